/// Decodes tokens as they are generated, holding bytes back until they form whole characters.
///
/// The pieces together are exactly what `Tokenizer.decode` returns for all ids at once when it cleans up no spaces.
///
/// ```swift
/// var decoder = TokenStreamDecoder(tokenizer, skipSpecialTokens: true)
/// for await id in generated { print(decoder.append(id), terminator: "") }
/// print(decoder.finish())
/// ```
public struct TokenStreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var pending: [UInt8] = []
    private var hasTokens = false
    /// The steps of a decoder that is not byte-level.
    private var steps: TokenDecoder.State?

    /// Creates a decoder for one text.
    ///
    /// - Parameters:
    ///   - tokenizer: The tokenizer.
    ///   - skipSpecialTokens: Whether to leave out special tokens.
    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        steps = tokenizer.file.decoder.map(TokenDecoder.State.init)
    }

    /// Takes the next token.
    ///
    /// - Parameter id: The token id; ids that do not exist are left out.
    /// - Returns: The text that is certain by now, often empty.
    public mutating func append(_ id: some BinaryInteger) -> String {
        if steps != nil {
            guard let token = tokenizer.tokenText(id, skipSpecialTokens: skipSpecialTokens) else { return "" }
            steps?.append(token, to: &pending)
            return completeText()
        }
        let bytes = tokenizer.decodeBytes(CollectionOfOne(id), skipSpecialTokens: skipSpecialTokens)
        guard !bytes.isEmpty else { return "" }
        if hasTokens, !tokenizer.file.decodesBytes { pending.append(UInt8(ascii: " ")) }
        hasTokens = true
        pending.append(contentsOf: bytes)
        return completeText()
    }

    /// Takes the whole characters out of what is pending.
    private mutating func completeText() -> String {
        let complete = pending.count - unfinishedTail()
        let text = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeFirst(complete)
        return text
    }

    /// Ends the text.
    ///
    /// - Returns: What was held back; an unfinished character becomes U+FFFD.
    public mutating func finish() -> String {
        defer {
            pending = []
            hasTokens = false
            steps = tokenizer.file.decoder.map(TokenDecoder.State.init)
        }
        steps?.finish(&pending)
        return String(decoding: pending, as: UTF8.self)
    }

    /// Bytes at the end that begin a character which later bytes may complete.
    private func unfinishedTail() -> Int {
        for length in 1..<4 where length <= pending.count {
            let lead = pending[pending.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let needed =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard needed > length else { return 0 }
            if length > 1 {
                // The byte behind the lead decides whether the sequence can still be well-formed.
                let second = pending[pending.count - length + 1]
                let allowed: ClosedRange<UInt8> =
                    switch lead {
                    case 0xE0: 0xA0...0xBF
                    case 0xED: 0x80...0x9F
                    case 0xF0: 0x90...0xBF
                    case 0xF4: 0x80...0x8F
                    default: 0x80...0xBF
                    }
                guard allowed.contains(second) else { return 0 }
            }
            return length
        }
        return 0
    }
}
