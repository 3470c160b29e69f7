import EttinJSON

extension Tokenizer {
    /// The same tokenizer as encoders of the suite have it: `[CLS] A [SEP]`, and no begin and end of sequence of its own.
    ///
    /// The inverse of ``forDecoder()``. `[CLS]` and `[SEP]` are the tokenizer's own where it names them, else those that
    /// begin and end its sequences. All type ids are 0, as in the suite's published files.
    ///
    /// - Returns: A tokenizer that shares all tables with this one.
    /// - Throws: `TokenizerError` when the tokenizer names no token that could begin or end a sequence.
    public func forEncoder() throws -> Tokenizer {
        var copy = self
        var tokens: [(text: String, id: Int32)] = []
        for (role, source) in [("cls_token", "bos_token"), ("sep_token", "eos_token")] {
            guard let text = settings.specialToken(role) ?? settings.specialToken(source), let id = tokenToID(text)
            else {
                throw TokenizerError.invalid(
                    file: "tokenizer_config.json",
                    field: role,
                    found: "missing",
                    expected: "a token of the vocabulary, or \"\(source)\" in its place"
                )
            }
            if settings.specialToken(role) == nil { copy.settings.configuration[role] = .string(text) }
            tokens.append((text, id))
        }
        for key in ["bos_token", "eos_token", "add_bos_token", "add_eos_token"] {
            copy.settings.configuration[key] = nil
            copy.settings.specialTokensMap?[key] = nil
        }
        var writer = TemplateWriter()
        let (first, last) = (
            writer.special(tokens[0].text, id: tokens[0].id), writer.special(tokens[1].text, id: tokens[1].id)
        )
        let single = [first, TemplateWriter.text("A"), last]
        try copy.file.setTemplate(writer.template(single: single, pair: single + [TemplateWriter.text("B"), last]))
        copy.specialTokenRule = copy.settings.specialTokenRule
        return copy
    }
}
