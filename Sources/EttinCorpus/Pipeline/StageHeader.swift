import EttinJSON
import EttinTokenizer

/// The part of a manifest that says what a run is; two runs with the same header write the same bytes.
enum StageHeader {
    static func make(
        stage: String,
        parameters: JSONObject,
        inputs: [JSONValue],
        options: StageOptions
    ) -> JSONObject {
        [
            "stage": .string(stage), "manifest_version": 1, "parameters": .object(parameters),
            "shard": .string("\(options.part.index)/\(options.part.count)"),
            "writing": [
                "compression": options.writing.compression.map { .string($0.description) } ?? .null,
                "hashes": .array(options.writing.sortedHashNames.map { .string($0) }),
                "size_limit": options.writing.sizeLimitValue,
            ],
            "inputs": .array(inputs),
        ]
    }

    /// What identifies a tokenizer: its size and the ids of a text that touches many of its rules.
    static func fingerprint(_ tokenizer: Tokenizer) -> JSONValue {
        let probe = "The naïve tokenizer's  test:\n\t3.14 + 1e10 — 語言 «é» e\u{301} 😀 [MASK] don't __init__  "
        let ids = tokenizer.encodeIDs(probe).flatMap(\.littleEndianBytes)
        return [
            "vocabulary_size": JSONValue(tokenizer.vocabularySize),
            "add_prefix_space": .bool(tokenizer.addsPrefixSpace),
            "probe_xxh64": .string(ids.withUnsafeBytes { HashAlgorithm.xxh64.hexadecimal($0) }),
        ]
    }

    /// The type for token ids: two bytes when the vocabulary allows it.
    static func element(for tokenizer: Tokenizer) -> MDSElement {
        tokenizer.vocabularySize <= 1 << 16 ? .uint16 : .uint32
    }
}
