import EttinJSON

extension Tokenizer {
    /// What the model writes before tokens that continue a word, such as `##`; nil where tokens do not tell.
    package var continuingSubwordPrefix: String? {
        guard let prefix = file.modelOptions["continuing_subword_prefix"]?.stringValue, !prefix.isEmpty else {
            return nil
        }
        return prefix
    }
}
