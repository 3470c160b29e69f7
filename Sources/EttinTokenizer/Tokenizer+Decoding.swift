import EttinJSON

extension Tokenizer {
    /// Turns ids back into text.
    ///
    /// - Parameters:
    ///   - ids: Token ids; ids that do not exist are left out.
    ///   - skipSpecialTokens: Whether to leave out special tokens.
    ///   - cleanUpTokenizationSpaces: Whether to remove spaces in front of `.`, `?`, `!`, `,` and English contractions.
    ///     Nil means the `clean_up_tokenization_spaces` of `tokenizer_config.json` for WordPiece and Unigram models, and
    ///     no for BPE: newest `transformers` ignores it there because it destroys text. Versions before 5 applied it;
    ///     pass true for their result.
    /// - Returns: The text; bytes that are not UTF-8 become U+FFFD.
    public func decode(
        _ ids: some Sequence<some BinaryInteger>,
        skipSpecialTokens: Bool = false,
        cleanUpTokenizationSpaces: Bool? = nil
    ) -> String {
        let bytes = decodeBytes(ids, skipSpecialTokens: skipSpecialTokens)
        let text = String(decoding: bytes, as: UTF8.self)
        return cleanUpTokenizationSpaces ?? cleansUpTokenizationSpaces ? Self.cleanedUp(text) : text
    }

    /// Whether spaces are removed from decoded texts by default.
    private var cleansUpTokenizationSpaces: Bool {
        switch file.pipeline?.model {
        case .wordPiece, .unigram: settings.configuration["clean_up_tokenization_spaces"] == true
        case .bytes, .characters, nil: false
        }
    }

    /// Turns ids back into the bytes of the text, which need not be UTF-8 at either end.
    ///
    /// - Parameters:
    ///   - ids: Token ids; ids that do not exist are left out.
    ///   - skipSpecialTokens: Whether to leave out special tokens.
    /// - Returns: The bytes.
    public func decodeBytes(_ ids: some Sequence<some BinaryInteger>, skipSpecialTokens: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        if let decoder = file.decoder {
            var state = TokenDecoder.State(decoder)
            for id in ids {
                guard let token = tokenText(id, skipSpecialTokens: skipSpecialTokens) else { continue }
                state.append(token, to: &bytes)
            }
            state.finish(&bytes)
            return bytes
        }
        var isFirst = true
        for id in ids {
            guard let id = Int32(exactly: id), !(skipSpecialTokens && isSpecial(id)) else { continue }
            if file.decodesBytes {
                if let token = core.decoded(Int(id)) { bytes.append(contentsOf: token) }
            } else if let token = core.text(of: Int(id)) {
                // Without a decoder, the original joins the tokens' texts by spaces.
                if !isFirst { bytes.append(UInt8(ascii: " ")) }
                bytes.append(contentsOf: token.utf8)
                isFirst = false
            }
        }
        return bytes
    }

    /// Whether tokens stand for bytes, so that one of them need not be whole characters.
    package var decodesBytes: Bool {
        file.decodesBytes || file.decoder?.stages.contains { if case .byteLevel = $0 { true } else { false } } == true
    }

    /// Joins the texts of tokens, which need not be in the vocabulary.
    ///
    /// - Parameter tokens: Texts of tokens, as the vocabulary has them.
    /// - Returns: The text; bytes that are not UTF-8 become U+FFFD.
    ///
    /// > Source: transformers `convert_tokens_to_string`.
    package func decode(tokens: [String]) -> String {
        var bytes: [UInt8] = []
        if let decoder = file.decoder {
            var state = TokenDecoder.State(decoder)
            for token in tokens { state.append(Array(token.utf8), to: &bytes) }
            state.finish(&bytes)
        } else if file.decodesBytes {
            bytes = tokens.flatMap { Array($0.utf8).withUnsafeBufferPointer { ByteAlphabet.bytes(of: $0) } }
        } else {
            return tokens.joined(separator: " ")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text of a token for a decoder; nil when it is left out.
    func tokenText(_ id: some BinaryInteger, skipSpecialTokens: Bool) -> [UInt8]? {
        guard let id = Int32(exactly: id), !(skipSpecialTokens && isSpecial(id)) else { return nil }
        return core.textBytes(of: Int(id)).map { Array($0) }
    }

    /// Removes spaces as `clean_up_tokenization_spaces` does.
    static func cleanedUp(_ text: String) -> String {
        // In this order: the later replacements see the result of the earlier.
        let replacements: [(String, String)] = [
            (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
            (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
        ]
        let bytes = replacements.reduce(Array(text.utf8)) { bytes, replacement in
            TokenDecoder.replacing(Array(replacement.0.utf8), by: Array(replacement.1.utf8), in: bytes)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
