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
    /// The modules, each of which reads what those before it have written.
    @Child("") package var chain: ModuleChain
    /// What the folder says about prompts, similarity and lengths.
    public var settings: EmbeddingSettings
    /// The width of an embedding before any truncation.
    public let dimensions: Int

    /// Puts modules together.
    ///
    /// - Parameters:
    ///   - modules: What turns token ids into an embedding.
    ///   - settings: What to say about the model.
    /// - Throws: `CheckpointError` when a module does not fit those before it.
    package convenience init(
        _ modules: [any FeatureModule],
        settings: EmbeddingSettings = EmbeddingSettings()
    ) throws {
        try self.init(ModuleChain(modules), settings: settings)
    }

    private init(_ chain: ModuleChain, settings: EmbeddingSettings) throws {
        guard chain.outputName == FeatureName.sentenceEmbedding || !(chain.modules.last is TransformerModule) else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                found: "has no Pooling",
                expected: "one after Transformer"
            )
        }
        try chain.require(FeatureName.sentenceEmbedding, of: "an embedding model")
        guard chain.rows == .sequences else {
            throw CheckpointError(
                .unsupported,
                file: FeatureModules.file,
                item: quoted(FeatureName.sentenceEmbedding),
                found: "has a vector for each \(chain.rows.rawValue)",
                expected: "one for each \(FeatureRows.sequences.rawValue)"
            )
        }
        self.settings = settings
        dimensions = chain.width
        super.init()
        self.chain = chain
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
        try self.init(folder: folder, poolings: pooling.map { [$0] }, dtype: dtype, device: device)
    }

    /// Loads a folder.
    ///
    /// - Parameters:
    ///   - folder: A sentence-transformers folder, or a checkpoint of any architecture.
    ///   - poolings: How hidden states become vectors, which are put end to end; nil for what the folder says.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Throws: As ``init(folder:pooling:dtype:device:)``.
    public convenience init(
        folder: String,
        poolings: [Pooling]?,
        dtype: DType? = nil,
        device: Device = .cpu
    ) throws {
        if poolings?.isEmpty == true {
            throw CheckpointError(
                .unsupported,
                file: folder,
                item: "--pooling",
                found: "is empty",
                expected: "one or more of \(Pooling.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        try FolderEvidence.requireEmbeddings(folder: folder, isPoolingGiven: poolings != nil)
        guard FilePath.exists(FilePath.joined(folder, FeatureModules.file)) else {
            let trunk = try ModernBERT.load(folder: folder, dtype: dtype, device: device)
            let poolings = poolings ?? [Self.defaultPooling(trunk.configuration)]
            try self.init([TransformerModule(trunk, folder: folder), PoolingModule(poolings)])
            return
        }
        let chain = try ModuleChain(folder: folder, poolings: poolings, dtype: dtype, device: device)
        // Modules that make no embedding say more about a folder of another kind than its settings would.
        try self.init(chain, settings: EmbeddingSettings())
        settings = try EmbeddingSettings(folder: folder)
        if let size = settings.truncateDimension, size > dimensions {
            throw CheckpointError(
                .malformed,
                file: EmbeddingSettings.file,
                item: "\"truncate_dim\"",
                found: "is \(size)",
                expected: "at most \(dimensions), the width of an embedding"
            )
        }
        for module in poolingModules { module.generation = settings.generation }
        if let transformer { settings.maxSequenceLength = transformer.settings.maxSequenceLength }
        settings.notices += chain.transformers.flatMap(\.settings.notices)
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
    static func defaultPooling(_ configuration: ModernBERTConfiguration) -> Pooling {
        let isCausal =
            configuration.architectures.first?.hasSuffix("ForCausalLM") == true
            && configuration.otherKeys["is_causal"]?.boolValue != false
        return isCausal ? .lastToken : .mean
    }

    /// The transformer; nil for static embeddings, and where a Router has one for each route.
    public var trunk: ModernBERT? { transformer?.trunk }

    private var transformer: TransformerModule? { chain.modules.first as? TransformerModule }

    private var poolingModules: [PoolingModule] { chain.allModules.compactMap { $0 as? PoolingModule } }

    /// How hidden states become vectors, which are put end to end.
    public var poolings: [Pooling] { poolingModules.last?.poolings ?? [] }

    /// Whether the tokens of a prompt take part in pooling.
    public var includesPrompt: Bool { poolingModules.allSatisfy(\.includesPrompt) }

    /// Whether the folder's own modules give vectors of length 1.
    public var normalizes: Bool { chain.modules.last is NormalizeModule }

    /// The vectors of a batch.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - promptTokenCounts: How many tokens at the start of each sequence belong to a prompt.
    ///   - task: What the texts are to the task, `query` or `document`, where a Router has a route for it.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[sequences, dimensions]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        promptTokenCounts: [Int]? = nil,
        task: String? = nil,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let features = chain(
            batch,
            promptTokenCounts: promptTokenCounts,
            task: task,
            training: training,
            precision: precision
        )
        let vectors = features[FeatureName.sentenceEmbedding]
        return precision == .full ? vectors : vectors.to(.float32)
    }

    /// Writes a folder that sentence-transformers loads.
    ///
    /// The tokenizer is not part of the model; its files belong beside those written here.
    ///
    /// - Parameters:
    ///   - folder: An existing folder.
    ///   - shardSize: The largest file of weights, as transformers' `max_shard_size`.
    ///   - format: The generation of transformers whose `config.json` is written; both are read by the newest.
    ///   - layout: The layout of the folder; that of versions up to 5 is read by all.
    /// - Throws: `CheckpointError` when a file cannot be written, an adapter is attached that is not merged, or the model
    ///   is prepacked for inference, as those of `EttinInference` are; `TorchError` when reading a device fails.
    public func save(
        folder: String,
        shardSize: ShardSize = .default,
        format: ModernBERTConfiguration.Format = .version4,
        layout: ModuleLayout = .version5
    ) throws {
        for module in chain.transformers { try requireOwnWeights(of: module.trunk, toSave: folder) }
        transformer?.settings.maxSequenceLength = settings.maxSequenceLength
        try FeatureModules.write(
            chain.modules,
            toFolder: folder,
            shardSize: shardSize,
            format: format,
            layout: layout
        )
        try settings.write(toFolder: folder, format: format)
    }
}
