import EttinFiles
import EttinInference
import EttinJSON
public import EttinModel
public import EttinTokenizer
import EttinTraining
import Torch

extension ComposerCheckpoint {
    /// Writes the model as a folder that transformers reads, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - output: A folder that is empty or does not exist yet.
    ///   - configuration: The configuration, of the checkpoint's kind or of the other.
    ///   - tokenizer: The tokenizer; nil for the one that the checkpoint holds, if any.
    /// - Returns: The number of parameters.
    /// - Throws: `StateDictionaryError` for weights that do not fit the configuration; `CheckpointError` for failures of
    ///   the file system; `TokenizerError` for a broken tokenizer; `TorchError` when memory runs out.
    @discardableResult
    public func write(
        toFolder output: String,
        configuration: ModernBERTConfiguration,
        tokenizer: Tokenizer? = nil
    ) throws -> Int {
        let target = try CheckpointError.translating { try AtomicFolder(path: output) }
        var configuration = configuration
        let tokenizer = try (tokenizer ?? storedTokenizer()).map {
            configuration.kind == .decoder ? try $0.forDecoder() : try $0.forEncoder()
        }
        if let tokenizer { configuration.adoptSpecialTokens(of: tokenizer) }
        try configuration.completeTokens(place: path)
        let model = try withRecovery {
            let model = LanguageModel(configuration)
            try model.load(weights)
            return model
        }
        try model.save(folder: target.temporaryPath)
        if configuration.kind == .decoder {
            try GenerationConfiguration(model: configuration).write(toFolder: target.temporaryPath)
        }
        try tokenizer?.save(to: target.temporaryPath)
        try card(named: FilePath.lastComponent(of: target.path), model).write(toFolder: target.temporaryPath)
        try CheckpointError.translating { try target.commit() }
        return model.parameterCount
    }

    private func storedTokenizer() throws -> Tokenizer? {
        guard let file = tokenizerFiles["tokenizer.json"] else { return nil }
        return try Tokenizer(
            tokenizerJSON: file.serialized(),
            tokenizerConfig: tokenizerFiles["tokenizer_config.json"]?.serialized(),
            specialTokensMap: tokenizerFiles["special_tokens_map.json"]?.serialized(),
            location: "\(path): "
        )
    }

    private func card(named name: String, _ model: LanguageModel) -> ModelCard {
        var card = ModelCard(title: name)
        let kind = model.configuration.kind
        card.summary =
            "A ModernBERT \(kind == .encoder ? "encoder" : "decoder") of \(model.parameterCount) parameters"
            + (clock.map { " after \($0.batch) steps and \($0.token) tokens." } ?? ".")
        card.pipelineTag = kind == .encoder ? "fill-mask" : "text-generation"
        return card
    }
}
