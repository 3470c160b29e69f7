import EttinJSON

extension Tokenizer {
    /// The same tokenizer as decoders of the suite have it: `[CLS] A` without the `[SEP]` that would end a prompt.
    ///
    /// Begin and end of sequence are `[CLS]` and `[SEP]` unless the tokenizer has its own. What is saved says the same.
    ///
    /// - Returns: A tokenizer that shares all tables with this one.
    public func forDecoder() -> Tokenizer {
        var copy = self
        for (role, source) in [("bos_token", "cls_token"), ("eos_token", "sep_token")]
        where copy.settings.specialToken(role) == nil {
            if let text = copy.settings.specialToken(source) { copy.settings.configuration[role] = .string(text) }
        }
        copy.settings.configuration["add_bos_token"] = true
        copy.settings.configuration["add_eos_token"] = false
        copy.specialTokenRule = copy.settings.specialTokenRule
        return copy
    }
}
