import EttinFiles
package import EttinModel
package import EttinTokenizer
package import Torch

/// Makes a new language model with random weights: a folder that training, inference and transformers read.
///
/// ```swift
/// var initializer = ModelInitializer(configuration: .ettin(size: .size17M, kind: .encoder))
/// try initializer.adopt(Tokenizer(folder: "tokenizer"))
/// try initializer.write(toFolder: "encoder")
/// ```
package struct ModelInitializer {
    /// The shape of the model.
    package var configuration: ModernBERTConfiguration
    /// How weights are drawn.
    package var scheme = WeightInitialization.fullMegatron
    /// The seed; an encoder and a decoder of one shape and seed start from the same weights.
    package var seed: UInt64 = 0
    /// The type the weights are stored in.
    package var dtype = DType.float32
    /// The tokenizer that is written beside the weights.
    package private(set) var tokenizer: Tokenizer?

    /// Creates an initializer without a tokenizer.
    ///
    /// - Parameter configuration: The shape of the model.
    package init(configuration: ModernBERTConfiguration) {
        self.configuration = configuration
    }

    /// Takes a tokenizer, and vocabulary size and special ids from it.
    ///
    /// A decoder gets it in the form that does not end prompts.
    ///
    /// - Parameter tokenizer: The tokenizer.
    /// - Throws: `TokenizerError` for a decoder when the tokenizer names no token that could begin a sequence.
    package mutating func adopt(_ tokenizer: Tokenizer) throws {
        let tokenizer = configuration.kind == .decoder ? try tokenizer.forDecoder() : tokenizer
        self.tokenizer = tokenizer
        configuration.vocabularySize = tokenizer.vocabularySize
        configuration.adoptSpecialTokens(of: tokenizer)
    }

    /// Draws the weights and writes the folder, which appears complete or not at all.
    ///
    /// - Parameter folder: A folder that is empty or does not exist yet.
    /// - Returns: The number of parameters.
    /// - Throws: `CheckpointError` for an impossible configuration, a folder that holds something and failures of the
    ///   file system; `TokenizerError` when the tokenizer cannot be written; `TorchError` when memory runs out.
    @discardableResult
    package func write(toFolder folder: String) throws -> Int {
        try configuration.validate()
        let output = try CheckpointError.translating { try AtomicFolder(path: folder) }
        let model = try withRecovery {
            let model = LanguageModel(configuration)
            model.initialize(scheme, seed: seed)
            model.convert(to: dtype)
            return model
        }
        try model.save(folder: output.temporaryPath)
        if configuration.kind == .decoder {
            try GenerationConfiguration(model: configuration).write(toFolder: output.temporaryPath)
        }
        try tokenizer?.save(to: output.temporaryPath)
        try CheckpointError.translating { try output.commit() }
        return model.parameterCount
    }
}

extension ModernBERTConfiguration {
    /// Takes the ids of the special tokens from a tokenizer.
    ///
    /// - Parameter tokenizer: The tokenizer, in the form for the kind of model.
    package mutating func adoptSpecialTokens(of tokenizer: Tokenizer) {
        padTokenID = tokenizer.padTokenID.map(Int.init)
        clsTokenID = tokenizer.clsTokenID.map(Int.init)
        sepTokenID = tokenizer.sepTokenID.map(Int.init)
        bosTokenID = (tokenizer.bosTokenID ?? tokenizer.clsTokenID).map(Int.init)
        eosTokenIDs = [tokenizer.eosTokenID ?? tokenizer.sepTokenID].compactMap { $0.map(Int.init) }
    }
}
