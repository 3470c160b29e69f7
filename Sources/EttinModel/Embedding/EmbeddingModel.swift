import EttinFiles
import EttinJSON
public import Torch

/// A trunk and the modules after it: sequences of token ids in, one vector each out.
///
/// Reads a sentence-transformers folder, or any checkpoint, which then gets the pooling sentence-transformers would
/// give it. Parameters have the number of their module before their key, as in `0.layers.1.mlp.Wi.weight` and
/// `2.linear.weight`.
///
/// ```swift
/// let model = try EmbeddingModel.loadForTraining(folder: "models/ettin-encoder-17m")
/// model.setRequiresGradient(true)
/// let vectors = model(batch, training: DropoutContext(step: 0), precision: .mixedBFloat16)
/// ```
public final class EmbeddingModel: Module {
    /// The parts, in the order of ``chain``.
    @Child("") private var parts: [Module]
    /// The modules, each of which reads what those before it have written.
    package let chain: [any FeatureModule]
    /// What the folder says about prompts, similarity and lengths.
    public var settings: EmbeddingSettings
    /// The folder of the transformer and its tokenizer; empty for a model that comes from no folder.
    public let transformerFolder: String
    /// The width of an embedding before any truncation.
    public let dimensions: Int
    private let transformer: TransformerModule

    /// Puts modules together.
    ///
    /// - Parameters:
    ///   - transformer: The first module.
    ///   - others: What follows it, down to an embedding.
    ///   - settings: What to say about the model.
    ///   - transformerFolder: Where the transformer comes from.
    /// - Throws: `CheckpointError` when a module does not fit those before it.
    package init(
        _ transformer: TransformerModule,
        _ others: [any FeatureModule],
        settings: EmbeddingSettings = EmbeddingSettings(),
        transformerFolder: String = ""
    ) throws {
        chain = [transformer] + others
        self.transformer = transformer
        self.settings = settings
        self.transformerFolder = transformerFolder
        dimensions = try FeatureModules.connect(chain)
        super.init()
        parts = chain
    }

    /// Loads a folder.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or a checkpoint of any architecture.
    ///   - pooling: How hidden states become vectors; nil for what the folder says.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Throws: `CheckpointError` and `StateDictionaryError` as `PretrainedModel.load` does, and `CheckpointError` for
    ///   modules that are not known or do not fit each other.
    public convenience init(
        folder: String,
        pooling: Pooling? = nil,
        dtype: DType? = nil,
        device: Device = .cpu
    ) throws {
        guard FilePath.exists(FilePath.joined(folder, FeatureModules.file)) else {
            let trunk = try ModernBERT.load(folder: folder, dtype: dtype, device: device)
            let poolings = [pooling ?? Self.defaultPooling(trunk.configuration)]
            try self.init(TransformerModule(trunk), [PoolingModule(poolings)], transformerFolder: folder)
            return
        }
        let (modules, path) = try FeatureModules.read(folder: folder, dtype: dtype, device: device)
        guard let transformer = modules.first as? TransformerModule else {
            preconditionFailure("the first module is \(type(of: modules[0]))")
        }
        if let pooling {
            for case let module as PoolingModule in modules { module.poolings = [pooling] }
        }
        try self.init(
            transformer,
            Array(modules.dropFirst()),
            transformerFolder: path.isEmpty ? folder : FilePath.joined(folder, path)
        )
        // Modules that make no embedding say more about a folder of another kind than its settings would.
        settings = try EmbeddingSettings(folder: folder)
        for module in modules.dropFirst() { module.convert(to: trunk.parameterDType, on: device) }
    }

    /// Loads a folder with every parameter in float32 and in memory of its own, for an optimizer to change.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or a checkpoint of any architecture; nothing is written to it.
    ///   - pooling: How hidden states become vectors; nil for what the folder says.
    ///   - device: Where the parameters go.
    /// - Returns: The model; no gradients are recorded yet.
    /// - Throws: As ``init(folder:pooling:dtype:device:)``; `TorchError` when memory runs out.
    public static func loadForTraining(
        folder: String,
        pooling: Pooling? = nil,
        device: Device = .cpu
    ) throws -> EmbeddingModel {
        let model = try EmbeddingModel(folder: folder, pooling: pooling, dtype: .float32, device: device)
        try withRecovery { model.copyBorrowedParameters() }
        return model
    }

    /// What a checkpoint without `modules.json` gets: the mean, or the last token for a causal language model.
    ///
    /// > Source: sentence-transformers 6.2, `SentenceTransformer._load_auto_model`.
    private static func defaultPooling(_ configuration: ModernBERTConfiguration) -> Pooling {
        let isCausal =
            configuration.architectures.first?.hasSuffix("ForCausalLM") == true
            && configuration.otherKeys["is_causal"]?.boolValue != false
        return isCausal ? .lastToken : .mean
    }

    /// The transformer.
    public var trunk: ModernBERT { transformer.trunk }

    private var poolingModules: [PoolingModule] { chain.compactMap { $0 as? PoolingModule } }

    /// How hidden states become vectors, which are put end to end.
    public var poolings: [Pooling] { poolingModules.last?.poolings ?? [] }

    /// Whether the tokens of a prompt take part in pooling.
    public var includesPrompt: Bool { poolingModules.allSatisfy(\.includesPrompt) }

    /// Whether the folder's own modules give vectors of length 1.
    public var normalizes: Bool { chain.last is NormalizeModule }

    /// The vectors of a batch.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - promptTokenCounts: How many tokens at the start of each sequence belong to a prompt.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: In which types to compute.
    /// - Returns: `[sequences, dimensions]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        promptTokenCounts: [Int]? = nil,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        var features = ModuleFeatures(batch, promptTokenCounts: promptTokenCounts)
        for module in chain { module(&features, training: training, precision: precision) }
        let vectors = features[FeatureName.sentenceEmbedding]
        return precision == .full ? vectors : vectors.to(.float32)
    }

    /// Writes a folder that sentence-transformers loads, in the layout that its versions up to 5 and from 6 both read.
    ///
    /// The tokenizer is not part of the model; its files belong beside those written here.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - shardSize: The largest file of weights, as transformers' `max_shard_size`.
    ///   - format: The generation of transformers whose `config.json` is written; both are read by the newest.
    /// - Throws: `CheckpointError` when a file cannot be written, an adapter is attached that is not merged, or the model
    ///   is prepacked for inference, as those of `EttinInference` are; `TorchError` when reading a device fails.
    public func save(
        folder: String,
        shardSize: ShardSize = .default,
        format: ModernBERTConfiguration.Format = .version4
    ) throws {
        try requireOwnWeights(of: trunk, toSave: folder)
        try FeatureModules.write(chain, toFolder: folder, shardSize: shardSize, format: format)
        try settings.write(toFolder: folder, format: format)
    }
}
