import EttinFiles
import EttinJSON
package import Torch

/// A reranker: the tokens of pairs of texts in, a score of each pair out, or one for each of several classes.
///
/// Its head is that of a classification checkpoint, or a chain of modules, as Ettin's rerankers have it. Parameters have
/// the number of their module before their key, as in `0.model.layers.1.mlp.Wi.weight` and `2.linear.weight`.
package final class RerankerModel: Module {
    /// What computes scores from hidden states.
    package enum Head: String, Sendable, Hashable, CaseIterable {
        /// That of `…ForSequenceClassification`, in the checkpoint of the transformer.
        case classification
        /// Modules: Pooling, Dense, LayerNorm, and a Dense that writes the scores.
        case modular
    }

    /// The modules, each of which reads what those before it have written.
    @Child("") package var chain: ModuleChain
    /// Prompts, and what the files say that has no effect.
    package var settings: EmbeddingSettings
    /// What raw scores go through when the model is used.
    package var activation: Activation

    /// Puts modules together.
    ///
    /// - Parameters:
    ///   - modules: What turns token ids into scores; a transformer comes first.
    ///   - settings: Prompts of the model.
    ///   - activation: What raw scores go through; nil for the sigmoid of one score, and nothing for several.
    /// - Throws: `CheckpointError` when a module does not fit those before it, or there are no scores for pairs.
    package init(
        _ modules: [any FeatureModule],
        settings: EmbeddingSettings = EmbeddingSettings(),
        activation: Activation? = nil
    ) throws {
        let chain = try ModuleChain(modules)
        try chain.require(FeatureName.scores, of: "a reranker")
        guard chain.rows == .sequences, modules.first is TransformerModule else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                found: "has scores for each token, or no Transformer",
                expected: "a Transformer in first place, and a score for each pair"
            )
        }
        self.settings = settings
        self.activation = activation ?? (chain.width == 1 ? .sigmoid : .identity)
        super.init()
        self.chain = chain
    }

    /// Loads a reranker, or a classifier of texts, in float32.
    ///
    /// - Parameters:
    ///   - folder: A folder of sentence-transformers modules that end in `scores`, or a checkpoint of
    ///     `…ForSequenceClassification`.
    ///   - activation: What raw scores go through; nil for what the folder says.
    /// - Throws: `CheckpointError` for a folder of another kind, `CheckpointError` and `StateDictionaryError` for files that
    ///   are missing or broken; `TorchError` when memory runs out.
    package convenience init(folder: String, activation: Activation? = nil) throws {
        try UnsupportedFolder.check(folder)
        if let evidence = try FolderEvidence(folder: folder), ![.reranker, .classifier].contains(evidence.kind) {
            throw evidence.error(folder: folder, expected: "a reranker")
        }
        let modules: [any FeatureModule]
        if FilePath.exists(FilePath.joined(folder, FeatureModules.file)) {
            modules = try ModuleChain(folder: folder, dtype: .float32).modules
        } else {
            let model = try SequenceClassificationModel.load(folder: folder, dtype: .float32)
            modules = [TransformerModule(.classifier(model), settings: .classification, folder: folder)]
        }
        try self.init(modules)
        let configuration = transformer.trunk.configuration
        let found = try RerankerSettings(folder: folder, configuration: configuration, labelCount: labelCount)
        settings = found.settings
        settings.notices += chain.transformers.flatMap(\.settings.notices)
        self.activation = try activation ?? found.activation.get()
        try withRecovery { copyBorrowedParameters() }
    }

    /// What computes scores from hidden states.
    package var head: Head { if case .classifier = transformer.model { .classification } else { .modular } }

    /// The number of scores of a pair.
    package var labelCount: Int { chain.width }

    /// How hidden states become one vector; nil where the head does it in another way than a classification head can.
    package var pooling: ClassifierPooling? {
        if case .classifier(let model) = transformer.model { return model.configuration.classifierPooling }
        switch chain.modules.lazy.compactMap({ $0 as? PoolingModule }).first?.poolings {
        case [.cls]: return .cls
        case [.mean]: return .mean
        default: return nil
        }
    }

    /// The transformer's module.
    package var transformer: TransformerModule {
        guard let transformer = chain.modules[0] as? TransformerModule else {
            preconditionFailure("RerankerModel: its first module is a Transformer")
        }
        return transformer
    }

    /// The raw scores of a batch.
    ///
    /// - Parameters:
    ///   - batch: Pairs of texts as sequences of token ids.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision of the transformer; the modules after it compute in float32.
    /// - Returns: `[pairs, labelCount]`, float32.
    package func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        chain.scores(batch, training: training, precision: precision).to(.float32)
    }

    /// Whether a training pass drops activations anywhere, so that it differs from inference.
    package var dropsActivations: Bool {
        let configuration = transformer.trunk.configuration
        return configuration.dropsActivations || head == .classification && configuration.classifierDropout > 0
            || chain.modules.contains { $0 is DropoutModule } || transformer.hasAdaptedLayers
    }

    /// Computes with a transformer whose weights are prepacked for inference on the CPU, and given up afterwards.
    ///
    /// - Parameters:
    ///   - longestText: The number of tokens of the longest pair.
    ///   - body: What computes scores, without a dropout context.
    /// - Returns: What `body` returns; the weights stay as they are where they cannot be prepacked.
    package func withPrepackedWeights<Result>(
        longestText: Int,
        _ body: () throws -> Result
    ) rethrows -> Result {
        let trunk = transformer.trunk
        guard trunk.parameterDType == .float32, trunk.device == .cpu else { return try body() }
        return try trunk.withPrepackedWeights(.float32, longestSequence: longestText, body)
    }
}

extension ModuleChain {
    /// The scores of a batch, which the modules after the transformer compute in float32: in bfloat16 they would tie.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision of the transformer.
    /// - Returns: `[sequences, width]`.
    package func scores(_ batch: PackedBatch, training: DropoutContext? = nil, precision: Precision = .full) -> Tensor {
        var features = ModuleFeatures(batch)
        for module in modules {
            module(&features, training: training, precision: precision)
            if let pooled = features.tensor(FeatureName.sentenceEmbedding), pooled.dtype != .float32 {
                features[FeatureName.sentenceEmbedding] = pooled.to(.float32)
            }
        }
        return features[outputName]
    }
}
