package import EttinModel
package import EttinTokenizer

extension TextPreparation {
    /// A preparation for a model that is being trained.
    ///
    /// - Parameters:
    ///   - tokenizer: The model's tokenizer.
    ///   - configuration: The model's configuration.
    ///   - folder: The folder of the model, for messages.
    ///   - maxLength: Maximum number of tokens; nil for what tokenizer and model say.
    /// - Throws: ``InferenceError`` when model and tokenizer do not fit, or the model takes fewer tokens.
    init(
        training tokenizer: Tokenizer,
        _ configuration: ModernBERTConfiguration,
        folder: String,
        maxLength: Int?
    ) throws {
        try configuration.requireIDs(of: tokenizer, folder: folder)
        let longest = configuration.maxPositionEmbeddings
        if let maxLength, maxLength > longest {
            throw InferenceError.invalidOption(
                name: "max_length",
                found: "\(maxLength)",
                expected: "at most \(longest), which the model takes"
            )
        }
        self.init(tokenizer: tokenizer, limit: maxLength ?? Self.limit(tokenizer, configuration))
    }
}

extension TextClassificationPipeline.Preparer {
    /// Prepares texts for a model that is being trained.
    ///
    /// - Parameters:
    ///   - tokenizer: The model's tokenizer.
    ///   - configuration: The model's configuration.
    ///   - folder: The folder of the model, for messages.
    ///   - maxLength: Maximum number of tokens; nil for what tokenizer and model say.
    /// - Throws: ``InferenceError`` when model and tokenizer do not fit, or the model takes fewer tokens.
    package init(
        training tokenizer: Tokenizer,
        _ configuration: ModernBERTConfiguration,
        folder: String,
        maxLength: Int?
    ) throws {
        self.init(try TextPreparation(training: tokenizer, configuration, folder: folder, maxLength: maxLength))
    }
}

extension TokenClassificationPipeline.Preparer {
    /// Prepares texts for a model that is being trained.
    ///
    /// - Parameters:
    ///   - tokenizer: The model's tokenizer.
    ///   - configuration: The model's configuration.
    ///   - folder: The folder of the model, for messages.
    ///   - maxLength: Maximum number of tokens; nil for what tokenizer and model say.
    /// - Throws: ``InferenceError`` when model and tokenizer do not fit, or the model takes fewer tokens.
    package init(
        training tokenizer: Tokenizer,
        _ configuration: ModernBERTConfiguration,
        folder: String,
        maxLength: Int?
    ) throws {
        self.init(try TextPreparation(training: tokenizer, configuration, folder: folder, maxLength: maxLength))
    }
}
