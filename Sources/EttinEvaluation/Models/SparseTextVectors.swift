public import EttinInference
public import EttinModel
import EttinTokenizer

/// What gives the weights that sparse retrieval is measured with: a model in use, or one that is being trained.
public protocol SparseTextVectors {
    /// How two vectors are compared by default.
    var similarity: EmbeddingSimilarity { get }
    /// The name or the folder of the model, for caches and cards.
    var modelName: String { get }
    /// The number of entries of the vocabulary.
    var dimensions: Int { get }

    /// The weights of texts; texts that are too long are truncated.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What the texts are to a search, which has a prompt of its own where the model does; nil for neither.
    ///   - prompt: What to put before each text.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Returns: One vector for each text, in order.
    /// - Throws: When memory or the device fails; `CancellationError`.
    func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: TextEmbeddingPipeline.Prompt,
        maxActiveDimensions: Int?
    ) throws -> SparseEmbeddings
}

extension SparseEmbeddingPipeline: SparseTextVectors {
    /// How two vectors are compared by default, by the model's files.
    public var similarity: EmbeddingSimilarity { model.settings.similarity }

    /// The folder of the model.
    public var modelName: String { folder }

    /// The number of entries of the vocabulary.
    public var dimensions: Int { model.dimensions }

    /// The weights of texts; of texts that are too long, the side that the tokenizer names is left out.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What the texts are to a search, which has a prompt of its own where the model does; nil for neither.
    ///   - prompt: What to put before each text.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Returns: One vector for each text, in order.
    /// - Throws: As `encode` of ``/EttinInference/SparseEmbeddingPipeline``; `CancellationError`.
    public func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: Prompt,
        maxActiveDimensions: Int?
    ) throws -> SparseEmbeddings {
        try encode(
            texts,
            as: role,
            prompt: prompt,
            maxActiveDimensions: maxActiveDimensions,
            overlong: tokenizer.truncatesLeft ? .keepEnd : .keepStart
        )
    }
}
