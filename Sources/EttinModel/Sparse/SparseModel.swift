import EttinFiles
import EttinJSON
public import Torch

/// What gives a weight to each entry of a vocabulary: a masked language model with SPLADE's pooling, static weights, or a
/// Router with one for queries and the other for documents.
///
/// Reads the folders of sentence-transformers' `SparseEncoder`. A masked language model without modules gets the pooling
/// that sentence-transformers would give it, the maximum.
public final class SparseModel: Module {
    /// The modules, each of which reads what those before it have written.
    @Child("") package var chain: ModuleChain
    /// What the folder says about prompts and similarity.
    public let settings: SparseSettings
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
}
