import EttinFiles
import EttinJSON
public import Torch

/// What gives a weight to each entry of a vocabulary: a masked language model with SPLADE's pooling, static weights, or a
/// Router with one for queries and the other for documents.
///
/// Reads the folders of sentence-transformers' `SparseEncoder`. A masked language model without modules gets the pooling
/// that sentence-transformers would give it, the maximum.
///
/// ```swift
/// let model = try SparseModel.loadForTraining(folder: "models/ettin-encoder-17m")
/// model.setRequiresGradient(true)
/// let weights = model(batch, training: DropoutContext(step: 0))
/// ```
public final class SparseModel: Module {
    /// The modules, each of which reads what those before it have written.
    @Child("") package var chain: ModuleChain
    /// What the folder says about prompts and similarity.
    public var settings: SparseSettings
    /// The number of entries, of which most have no weight.
    public let dimensions: Int

    /// Loads a folder.
    ///
    /// - Parameters:
    ///   - folder: A sparse model, or a masked language model.
    ///   - dtype: The dtype to convert to; nil keeps the file's.
    ///   - device: Where the parameters go.
    /// - Throws: `CheckpointError` and `StateDictionaryError` for files that are missing or broken, for models of another
    ///   kind and for modules that do not fit each other; `TorchError` when memory runs out.
    public init(folder: String, dtype: DType? = nil, device: Device = .cpu) throws {
        let expected = "a sparse model, or a masked language model to pool as SPLADE does"
        let evidence = try FolderEvidence(folder: folder)
        switch evidence?.kind {
        case .sparse:
            settings = try SparseSettings(folder: folder)
            let chain = try ModuleChain(folder: folder, dtype: dtype, device: device)
            try chain.require(FeatureName.sentenceEmbedding, of: "a sparse model")
            dimensions = chain.width
            super.init()
            self.chain = chain
        case .maskedLM:
            settings = SparseSettings()
            let model = try LanguageModel.load(folder: folder, dtype: dtype, device: device)
            let chain = try ModuleChain([
                TransformerModule(.languageModel(model), folder: folder), SpladePoolingModule(),
            ])
            dimensions = chain.width
            super.init()
            self.chain = chain
        case nil:
            throw CheckpointError(.unsupported, file: folder, found: "does not say what kind it is", expected: expected)
        case .some:
            throw evidence?.error(folder: folder, expected: expected)
                ?? CheckpointError(.unsupported, file: folder, found: "is of another kind", expected: expected)
        }
    }

    /// Loads a folder with every parameter in float32 and in memory of its own, for an optimizer to change.
    ///
    /// - Parameters:
    ///   - folder: A masked language model, or a sparse model with one; nothing is written to it.
    ///   - device: Where the parameters go.
    /// - Returns: The model; no gradients are recorded yet.
    /// - Throws: As ``init(folder:dtype:device:)``; `CheckpointError` for a model with a Router or without a masked
    ///   language model.
    public static func loadForTraining(folder: String, device: Device = .cpu) throws -> SparseModel {
        let model = try SparseModel(folder: folder, dtype: .float32, device: device)
        if model.chain.router != nil {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "has a Router",
                expected: "a sparse model with one route for all texts"
            )
        }
        guard model.languageModel != nil, model.pooling != nil else {
            throw CheckpointError(
                .unsupported,
                file: folder,
                found: "has no masked language model with a SpladePooling after it",
                expected: "one, whose vocabulary gets the weights"
            )
        }
        try withRecovery { model.copyBorrowedParameters() }
        return model
    }

    private var transformer: TransformerModule? { chain.modules.first as? TransformerModule }

    /// The masked language model; nil for static weights, and where a Router has one on a route.
    package var languageModel: LanguageModel? {
        if case .languageModel(let model)? = transformer?.model { model } else { nil }
    }

    /// The pooling; nil for static weights and a Router.
    package var pooling: SpladePoolingModule? { chain.modules.last as? SpladePoolingModule }

    /// Maximum number of tokens of a text by the model's own settings; nil where only tokenizer and `config.json` limit it.
    package var maxSequenceLength: Int? {
        get { transformer?.settings.maxSequenceLength }
        set { transformer?.settings.maxSequenceLength = newValue }
    }

    /// The weights of a batch.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - task: What the texts are to the task, `query` or `document`, where a Router has a route for it.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[sequences, dimensions]`, float32, 0 or above.
    public func callAsFunction(
        _ batch: PackedBatch,
        task: String? = nil,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        chain(batch, task: task, training: training, precision: precision)[FeatureName.sentenceEmbedding].to(.float32)
    }

    /// Whether a training pass drops activations anywhere, so that it differs from inference.
    package var dropsActivations: Bool { chain.dropsActivations }

    /// Computes with weights that are prepacked for inference on the CPU, which are given up afterwards.
    ///
    /// - Parameters:
    ///   - longestText: The number of tokens of the longest text.
    ///   - body: What computes weights, without a dropout context.
    /// - Returns: What `body` returns; the weights stay as they are where they cannot be prepacked.
    package func withPrepackedWeights<Result>(longestText: Int, _ body: () throws -> Result) rethrows -> Result {
        guard let model = languageModel, model.trunk.parameterDType == .float32, model.trunk.device == .cpu else {
            return try body()
        }
        return try model.withPrepackedWeights(.float32, longestSequence: longestText, body)
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

/// What a sparse model's folder says about the whole model.
///
/// > Source: sentence-transformers 6.2 `sparse_encoder/model.py`.
public struct SparseSettings: Sendable, Hashable {
    /// Texts put before an input, by name.
    public var prompts: [String: String] = [:]
    /// The prompt that is used when none is named.
    public var defaultPromptName: String?
    /// How embeddings are meant to be compared.
    public var similarity = EmbeddingSimilarity.dot
    /// Maximum number of weights per text; nil for all; `max_active_dims`.
    public var maxActiveDimensions: Int?
    /// The generation of sentence-transformers whose rules for texts hold.
    public var generation = SentenceTransformersGeneration.version6
    /// What the files say that has no effect, a sentence each.
    package var notices: [String] = []

    /// Creates the settings of a folder that has none.
    public init() {}

    init(folder: String) throws {
        var (common, fields) = try EmbeddingSettings.read(folder: folder)
        (prompts, defaultPromptName) = (common.prompts, common.defaultPromptName)
        generation = common.generation
        if fields.object["similarity_fn_name"]?.isNull == false { similarity = common.similarity }
        fields.read("max_active_dims", into: &maxActiveDimensions)
        if let count = maxActiveDimensions, count < 1 {
            fields.refuse("max_active_dims", "is \(count)", expected: "1 or more")
        }
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        common.note(&fields, inert: [])
        notices = common.notices
    }

    /// Writes the settings into the folder of a model.
    ///
    /// - Throws: `CheckpointError` when the file cannot be written.
    fileprivate func write(toFolder folder: String, format: ModernBERTConfiguration.Format) throws {
        var common = EmbeddingSettings()
        (common.prompts, common.defaultPromptName) = (prompts, defaultPromptName)
        (common.similarity, common.generation) = (similarity, generation)
        var others: JSONObject = [:]
        if let maxActiveDimensions { others["max_active_dims"] = JSONValue(maxActiveDimensions) }
        try common.write(toFolder: folder, format: format, modelType: "SparseEncoder", others)
    }
}
