import EttinJSON

extension Tokenizer {
    /// The same tokenizer with further added tokens, as `add_tokens` of transformers adds them.
    ///
    /// - Parameters:
    ///   - tokens: The tokens; added tokens that there are already stay as they are, words of the vocabulary keep their
    ///     ids, and the others get the next free ones.
    ///   - padToken: The token that pads from now on, in what is saved; nil for the one that does.
    /// - Returns: The tokenizer, with tables of its own.
    /// - Throws: `TokenizerError` for tokens that the others leave no id for.
    package func adding(_ tokens: [AddedToken], padToken: String? = nil) throws -> Tokenizer {
        var (file, settings) = (file, settings)
        // A word of the vocabulary becomes an added token too, with the id that it has.
        let known = Set(addedTokens.map { $0.token.content })
        let new = tokens.filter { !known.contains($0.content) }
        file.addedTokens += new
        if let padToken {
            settings.configuration["pad_token"] = .string(padToken)
            if settings.specialTokensMap != nil { settings.specialTokensMap?["pad_token"] = .string(padToken) }
        }
        var result = try Tokenizer(file: file, settings: settings, name: "tokenizer.json")
        // Where there is a list of added tokens beside those of tokenizer.json, it has all of them.
        if var listed = settings.configuration[TokenizerSettings.decoderKey]?.objectValue {
            for token in new {
                guard let id = result.tokenToID(token.content) else { continue }
                listed["\(id)"] = [
                    "content": .string(token.content), "lstrip": .bool(token.stripsLeft),
                    "normalized": .bool(token.isNormalized), "rstrip": .bool(token.stripsRight),
                    "single_word": .bool(token.isWholeWord), "special": .bool(token.isSpecial),
                ]
            }
            result.settings.configuration[TokenizerSettings.decoderKey] = .object(listed)
        }
        result.specialTokenRule = specialTokenRule
        return result
    }
}
