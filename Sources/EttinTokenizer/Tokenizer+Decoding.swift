extension Tokenizer {
    /// Turns ids back into text.
    ///
    /// - Parameters:
    ///   - ids: Token ids; ids that do not exist are left out.
    ///   - skipSpecialTokens: Whether to leave out special tokens.
    ///   - cleanUpTokenizationSpaces: Whether to remove spaces in front of `.`, `?`, `!`, `,` and English contractions.
    ///     Nil means no: newest `transformers` ignores the `clean_up_tokenization_spaces` of a byte-level tokenizer's
    ///     configuration because it destroys text. Versions before 5 applied it; pass true for their result.
    /// - Returns: The text; bytes that are not UTF-8 become U+FFFD.
    public func decode(
        _ ids: some Sequence<some BinaryInteger>,
        skipSpecialTokens: Bool = false,
        cleanUpTokenizationSpaces: Bool? = nil
    ) -> String {
        let bytes = decodeBytes(ids, skipSpecialTokens: skipSpecialTokens)
        let text = String(decoding: bytes, as: UTF8.self)
        return cleanUpTokenizationSpaces == true ? Self.cleanedUp(text) : text
    }

    /// Turns ids back into the bytes of the text, which need not be UTF-8 at either end.
    ///
    /// - Parameters:
    ///   - ids: Token ids; ids that do not exist are left out.
    ///   - skipSpecialTokens: Whether to leave out special tokens.
    /// - Returns: The bytes.
    public func decodeBytes(_ ids: some Sequence<some BinaryInteger>, skipSpecialTokens: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
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

    /// Removes spaces as `clean_up_tokenization_spaces` does.
    static func cleanedUp(_ text: String) -> String {
        // In this order: the later replacements see the result of the earlier.
        let replacements: [(String, String)] = [
            (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
            (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
        ]
        var bytes = Array(text.utf8)
        for (pattern, replacement) in replacements {
            let pattern = Array(pattern.utf8)
            var result: [UInt8] = []
            result.reserveCapacity(bytes.count)
            var position = 0
            while position < bytes.count {
                if bytes[position] == pattern[0], bytes[position...].starts(with: pattern) {
                    result.append(contentsOf: replacement.utf8)
                    position += pattern.count
                } else {
                    result.append(bytes[position])
                    position += 1
                }
            }
            bytes = result
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
