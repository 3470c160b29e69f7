import EttinJSON

extension Tokenizer {
    /// The same tokenizer as decoders of the suite have it: `[CLS] A` without the `[SEP]` that would end a prompt.
    ///
    /// Begin and end of sequence are `[CLS]` and `[SEP]` unless the tokenizer names its own. The template itself changes,
    /// also in what is saved: not every version of transformers heeds `add_bos_token` beside a template.
    ///
    /// - Returns: A tokenizer that shares all tables with this one.
    /// - Throws: `TokenizerError` when the tokenizer names no token that could begin a sequence.
    public func forDecoder() throws -> Tokenizer {
        var copy = self
        for (role, source) in [("bos_token", "cls_token"), ("eos_token", "sep_token")]
        where copy.settings.specialToken(role) == nil {
            if let text = copy.settings.specialToken(source) { copy.settings.configuration[role] = .string(text) }
        }
        guard let token = copy.settings.specialToken("bos_token"), let id = copy.bosTokenID else {
            throw TokenizerError.invalid(
                file: "tokenizer_config.json",
                field: "bos_token",
                found: "missing",
                expected: "a token of the vocabulary, or \"cls_token\" in its place"
            )
        }
        var writer = TemplateWriter()
        let (first, second) = (writer.special(token, id: id), writer.special(token, id: id, typeID: 1))
        let (text, pair) = (TemplateWriter.text("A"), TemplateWriter.text("B", typeID: 1))
        try copy.file.setTemplate(writer.template(single: [first, text], pair: [first, text, second, pair]))
        copy.settings.configuration["add_bos_token"] = nil
        copy.settings.configuration["add_eos_token"] = nil
        copy.specialTokenRule = copy.settings.specialTokenRule
        return copy
    }
}

extension TokenizerFile {
    /// Replaces the template; other steps of the post-processor stay.
    mutating func setTemplate(_ template: JSONValue) throws {
        let present = header["post_processor"] ?? .null
        let steps = present["type"] == "Sequence" ? present["processors"]?.arrayValue ?? [] : [present]
        let others = steps.filter { !$0.isNull && $0["type"] != "TemplateProcessing" }
        let value: JSONValue =
            others.isEmpty ? template : ["type": "Sequence", "processors": .array(others + [template])]
        let checker = TokenizerFileChecker(name: "tokenizer.json")
        postProcessor = PostProcessor(steps: try checker.postProcessorSteps(value, field: "post_processor"))
        header["post_processor"] = value
    }
}
