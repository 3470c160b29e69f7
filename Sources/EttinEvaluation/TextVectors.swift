public import EttinInference
public import EttinModel

/// What gives the vectors that retrieval is measured with: a model in use, or one that is being trained.
public protocol TextVectors {
    /// How two vectors are compared by default.
    var similarity: EmbeddingSimilarity { get }
    /// The name or the folder of the model, for caches and cards.
    var modelName: String { get }

    /// The vectors of texts; texts that are too long are truncated.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What the texts are to a search, which has a prompt of its own where the model does; nil for neither.
    ///   - prompt: What to put before each text.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - normalize: Whether to scale vectors to length 1.
    /// - Returns: One vector for each text, in order.
    /// - Throws: When memory or the device fails; `CancellationError`.
    func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: TextEmbeddingPipeline.Prompt,
        truncateDimension: Int?,
        normalize: Bool
    ) throws -> TextEmbeddings
}
