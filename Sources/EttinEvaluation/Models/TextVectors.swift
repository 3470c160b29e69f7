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

extension TextEmbeddingPipeline: TextVectors {
    /// How two vectors are compared by default, by the model's files.
    public var similarity: EmbeddingSimilarity { model.settings.similarity }

    /// The folder of the model.
    public var modelName: String { folder }

    /// The vectors of texts; of texts that are too long, the side that the model's files say is left out.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What the texts are to a search, which has a prompt of its own where the model does; nil for neither.
    ///   - prompt: What to put before each text.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - normalize: Whether to scale vectors to length 1.
    /// - Returns: One vector for each text, in order.
    /// - Throws: As `encode` of ``/EttinInference/TextEmbeddingPipeline``;
    ///   `CancellationError`.
    public func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: Prompt,
        truncateDimension: Int?,
        normalize: Bool
    ) throws -> TextEmbeddings {
        try encode(
            texts,
            prompt: prompt,
            task: role,
            normalize: normalize,
            truncateDimension: truncateDimension,
            overlong: truncatesLeft(role) ? .keepEnd : .keepStart
        )
    }
}
