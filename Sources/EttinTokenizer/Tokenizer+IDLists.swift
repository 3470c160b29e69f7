extension Tokenizer {
    /// Reads token ids that people wrote: numbers separated by spaces or commas, with or without square brackets.
    ///
    /// - Parameter text: Such as `1 17 2` or `[1, 17, 2]`.
    /// - Returns: The ids.
    /// - Throws: `TokenizerError` for anything else and for ids that no token has.
    package func ids(parsing text: String) throws -> [Int32] {
        let separators: Set<Character> = [" ", ",", "\t", "[", "]"]
        return try text.split(whereSeparator: separators.contains).map { part in
            guard let id = Int32(part), idToToken(id) != nil else {
                throw TokenizerError.invalidOption(
                    name: "token id",
                    found: "\"\(part)\"",
                    expected: "a number that the vocabulary of \(vocabularySize) tokens has"
                )
            }
            return id
        }
    }
}
