/// Everything that encoding reads and nothing that it writes: one per tokenizer, shared by all threads.
final class TokenizerCore: Sendable {
    let vocabulary: Vocabulary
    let merges: MergeTable
    /// The token of each byte, −1 where the vocabulary has none.
    let byteSymbols: SharedTable<Int32>
    let unknownID: Int32?
    let fusesUnknown: Bool
    let ignoresMerges: Bool

    /// Added tokens in order, each with its id.
    let addedTokens: [(token: AddedToken, id: Int32)]
    /// The text of each added token as matched, shown and decoded: normalised if the token is.
    private let addedBytes: SharedTable<UInt8>
    private let addedRanges: [Int32: Range<Int>]
    let addedIDsByContent: [[UInt8]: Int32]
    /// For added tokens that the model can make too, with another text, the bytes that the model's stands for.
    let modelLengths: [Int32: Int]
    let rawMatcher: AddedTokenMatcher
    let normalizedMatcher: AddedTokenMatcher

    let composesCanonically: Bool
    /// How texts are encoded when not by the path of byte-level BPE.
    let pipeline: Pipeline?

    /// Bytes of all tokens when decoded, by id.
    let decodedBytes: SharedTable<UInt8>
    let decodedStarts: SharedTable<UInt32>
    /// Whether an id is a special token, by id.
    let specialFlags: SharedTable<UInt8>
    /// One more than the largest id, added tokens included.
    let idLimit: Int
    /// The number of tokens, added ones included.
    let tokenCount: Int

    init(
        vocabulary: Vocabulary,
        merges: MergeTable,
        unknownID: Int32?,
        fusesUnknown: Bool,
        ignoresMerges: Bool,
        addedTokens: [AddedToken],
        composesCanonically: Bool,
        pipeline: Pipeline? = nil
    ) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.unknownID = unknownID
        self.fusesUnknown = fusesUnknown
        self.ignoresMerges = ignoresMerges
        self.composesCanonically = composesCanonically
        self.pipeline = pipeline

        let symbols = MutableTable<Int32>(repeating: -1, count: 256)
        for byte in 0..<256 {
            if let id = vocabulary.id(of: ByteAlphabet.text(of: CollectionOfOne(UInt8(byte)))) {
                symbols[byte] = id
            }
        }
        byteSymbols = symbols.frozen()

        // The original ignores the ids that a file gives to added tokens: those in the vocabulary have that id, others
        // are numbered behind it in order.
        var numbered: [(token: AddedToken, id: Int32)] = []
        var textsByID: [Int32: [UInt8]] = [:]
        var byContent: [[UInt8]: Int32] = [:]
        var largestAdded = -1
        for token in addedTokens {
            let content = Array(token.content.utf8)
            guard !content.isEmpty, byContent[content] == nil else { continue }
            let id: Int32
            if let known = vocabulary.id(of: content) {
                id = known
            } else {
                let isBehind = largestAdded >= vocabulary.count || (vocabulary.count == 0 && largestAdded >= 0)
                id = Int32(truncatingIfNeeded: isBehind ? largestAdded + 1 : vocabulary.count)
            }
            largestAdded = max(largestAdded, Int(id))
            numbered.append((token, id))
            textsByID[id] = token.isNormalized ? Self.normalized(content, composesCanonically, pipeline) : content
            byContent[content] = id
        }
        self.addedTokens = numbered
        var allBytes: [UInt8] = []
        addedRanges = textsByID.mapValues { text in
            allBytes += text
            return allBytes.count - text.count..<allBytes.count
        }
        addedBytes = SharedTable(allBytes)
        addedIDsByContent = byContent
        var modelLengths: [Int32: Int] = [:]
        for (id, text) in textsByID {
            guard let modelText = vocabulary.text(of: Int(id)), !modelText.elementsEqual(text) else { continue }
            modelLengths[id] = ByteAlphabet.bytes(of: modelText).count
        }
        self.modelLengths = modelLengths

        func matcher(normalized: Bool) -> AddedTokenMatcher {
            // Of two tokens that normalise to the same text, the original matches either, as its hashing has it; here it
            // is the first.
            return AddedTokenMatcher(
                numbered.filter { $0.token.isNormalized == normalized }.map { entry in
                    let pattern = AddedTokenMatcher.Pattern(
                        id: entry.id,
                        isWholeWord: entry.token.isWholeWord,
                        stripsLeft: entry.token.stripsLeft,
                        stripsRight: entry.token.stripsRight
                    )
                    return (textsByID[entry.id] ?? [], pattern)
                }
            )
        }
        rawMatcher = matcher(normalized: false)
        normalizedMatcher = matcher(normalized: true)

        idLimit = max(vocabulary.idLimit, numbered.map { Int($0.id) + 1 }.max() ?? 0)
        var tokenCount = vocabulary.count
        var bytes: [UInt8] = []
        var starts: [UInt32] = []
        starts.reserveCapacity(idLimit + 1)
        bytes.reserveCapacity(vocabulary.count * 8)
        let flags = MutableTable<UInt8>(capacity: idLimit)
        let specialContents = Set(numbered.filter(\.token.isSpecial).map { Array($0.token.content.utf8) })
        for id in 0..<idLimit {
            starts.append(UInt32(truncatingIfNeeded: bytes.count))
            if let text = textsByID[Int32(id)] {
                bytes.append(contentsOf: text.withUnsafeBufferPointer { ByteAlphabet.bytes(of: $0) })
                if vocabulary.text(of: id) == nil { tokenCount += 1 }
                // The original compares the shown text with the contents of special tokens.
                if specialContents.contains(text) { flags[id] = 1 }
            } else if let text = vocabulary.text(of: id) {
                Self.appendDecoded(text, to: &bytes)
            }
        }
        starts.append(UInt32(truncatingIfNeeded: bytes.count))
        decodedBytes = SharedTable(bytes)
        decodedStarts = SharedTable(starts)
        specialFlags = flags.frozen()
        self.tokenCount = tokenCount
    }

    private static func appendDecoded(_ text: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        // Most tokens are plain ASCII and stand for themselves.
        if text.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            bytes.append(contentsOf: text)
        } else {
            bytes.append(contentsOf: ByteAlphabet.bytes(of: text))
        }
    }

    private static func normalized(_ text: [UInt8], _ composes: Bool, _ pipeline: Pipeline?) -> [UInt8] {
        if let pipeline {
            var state = NormalizerState()
            return text.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return text }
                state.text.load(base, buffer.count, tracksPlaces: false)
                state.apply(pipeline.normalizers, tracksPlaces: false)
                return Array(state.text.buffer)
            }
        }
        guard composes else { return text }
        var composer = CanonicalComposer()
        return text.withUnsafeBufferPointer { buffer in
            composer.normalize(buffer, aligning: false) ? Array(composer.bytes.buffer) : text
        }
    }

    /// The bytes that an id decodes to; nil when there is no such token.
    func decoded(_ id: Int) -> UnsafeBufferPointer<UInt8>? {
        guard id >= 0, id < idLimit, vocabulary.text(of: id) != nil || addedRanges[Int32(id)] != nil else {
            return nil
        }
        let start = Int(decodedStarts[id])
        return UnsafeBufferPointer(start: decodedBytes.pointer + start, count: Int(decodedStarts[id + 1]) - start)
    }

    /// The UTF-8 of a token's text; nil when there is no such token.
    func textBytes(of id: Int) -> UnsafeBufferPointer<UInt8>? {
        if let id = Int32(exactly: id), let range = addedRanges[id] {
            return UnsafeBufferPointer(rebasing: addedBytes.buffer[range])
        }
        return vocabulary.text(of: id)
    }

    /// The UTF-8 of the text of a token that was encoded; for `modelLengths`, that of the model.
    func encodedBytes(of id: Int) -> UnsafeBufferPointer<UInt8>? {
        vocabulary.text(of: id) ?? textBytes(of: id)
    }

    /// The text of a token as the original's `id_to_token` gives it.
    func text(of id: Int) -> String? {
        textBytes(of: id).map { String(decoding: $0, as: UTF8.self) }
    }
}
