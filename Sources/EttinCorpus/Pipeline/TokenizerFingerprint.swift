package import EttinJSON
package import EttinTokenizer

/// What identifies a tokenizer in a manifest: its size and the ids of a text that touches many of its rules.
package struct TokenizerFingerprint: Hashable, Sendable, CustomStringConvertible {
    private static let probe = "The naïve tokenizer's  test:\n\t3.14 + 1e10 — 語言 «é» e\u{301} 😀 [MASK] don't __init__  "

    /// The number of tokens, added ones included.
    package let vocabularySize: Int
    /// Whether a text that does not begin with a space gets one.
    package let addsPrefixSpace: Bool
    /// The hash of the ids of the probe.
    package let probeHash: String

    /// The fingerprint of a tokenizer as it is set up, special tokens around a text included.
    package init(_ tokenizer: Tokenizer) {
        vocabularySize = tokenizer.vocabularySize
        addsPrefixSpace = tokenizer.addsPrefixSpace
        probeHash = Self.hash(tokenizer.encodeIDs(Self.probe))
    }

    /// Reads the fingerprint of a manifest; nil where there is none.
    package init?(_ json: JSONValue?) {
        guard let size = json?["vocabulary_size"]?.intValue, let hash = json?["probe_xxh64"]?.stringValue,
            let addsPrefixSpace = json?["add_prefix_space"]?.boolValue
        else { return nil }
        (vocabularySize, self.addsPrefixSpace, probeHash) = (size, addsPrefixSpace, hash)
    }

    /// The fingerprint as a manifest holds it.
    package var json: JSONValue {
        [
            "vocabulary_size": JSONValue(vocabularySize), "add_prefix_space": .bool(addsPrefixSpace),
            "probe_xxh64": .string(probeHash),
        ]
    }

    /// The size and the front of the hash.
    package var description: String { "\(vocabularySize) tokens, probe_xxh64 \(probeHash.prefix(16))" }

    /// Whether two tokenizers give the same ids to the probe, whatever special tokens they put around a text.
    package static func sameIDs(_ first: Tokenizer, _ second: Tokenizer) -> Bool {
        let (one, other) = (first.withPrefixSpace(true), second.withPrefixSpace(true))
        return one.encodeIDs(probe, addSpecialTokens: false) == other.encodeIDs(probe, addSpecialTokens: false)
    }

    /// Whether a data set with this fingerprint has the ids of a tokenizer, which may have more tokens.
    ///
    /// The special tokens around a text belong to the fingerprint but not to the vocabulary: encoders' and decoders'
    /// tokenizers differ in them alone, so all that may stand around a text are tried.
    package func hasIDs(of tokenizer: Tokenizer) -> Bool {
        guard tokenizer.vocabularySize >= vocabularySize else { return false }
        let tokenizer = tokenizer.withPrefixSpace(addsPrefixSpace)
        if Self.hash(tokenizer.encodeIDs(Self.probe)) == probeHash { return true }
        let ids = tokenizer.encodeIDs(Self.probe, addSpecialTokens: false)
        let starts = [[]] + [tokenizer.clsTokenID, tokenizer.bosTokenID].compactMap { $0.map { [$0] } }
        let ends = [[]] + [tokenizer.sepTokenID, tokenizer.eosTokenID].compactMap { $0.map { [$0] } }
        return starts.contains { start in ends.contains { Self.hash(start + ids + $0) == probeHash } }
    }

    private static func hash(_ ids: [Int32]) -> String {
        ids.flatMap(\.littleEndianBytes).withUnsafeBytes { HashAlgorithm.xxh64.hexadecimal($0) }
    }
}
