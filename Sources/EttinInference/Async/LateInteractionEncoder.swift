import EttinModel
public import EttinTokenizer
public import Foundation

/// Turns queries and documents into a vector for each token and scores them by late interaction, for any number of tasks
/// at once.
///
/// ```swift
/// let encoder = try await LateInteractionEncoder(folder: URL(filePath: "models/colbert"))
/// let documents = ["Paris is the capital of France.", "A dog sat on the mat."]
/// for match in try await encoder.rank("What is the capital of France?", documents) {
///     print(match.score, documents[match.index])
/// }
/// ```
///
/// ``LateInteractionPipeline`` does the same synchronously.
public actor LateInteractionEncoder {
    /// The prompt put before each text.
    public typealias Prompt = LateInteractionPipeline.Prompt

    /// The width of a vector.
    public nonisolated let dimensions: Int
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares texts; the actor does that itself.
    public nonisolated let preparer: LateInteractionPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: LateInteractionPipeline
    var scheduler: BatchScheduler<PreparedText, Options, [Float]>

    /// What texts of one batch have in common.
    struct Options: Hashable {
        let normalize: Bool
        let pooling: TokenPooling
    }

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A multi-vector model with its tokenizer.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``LateInteractionPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try LateInteractionPipeline(folder: path, options: options) }
        self.thread = thread
        dimensions = pipeline.model.dimensions
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - role: What they are to a search.
    ///   - prompt: What to put before each text; the default is the folder's own for the role.
    ///   - maxLength: Maximum number of tokens in place of the folder's own for the role.
    ///   - normalize: Whether to scale vectors to length 1, beyond what the folder's own modules do.
    ///   - pooling: How the vectors of documents are made fewer.
    ///   - overlong: What to do with texts that are too long.
    /// - Returns: The vectors of each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func encode(
        _ texts: some Collection<String>,
        as role: TextRole = .document,
        prompt: Prompt = .default,
        maxLength: Int? = nil,
        normalize: Bool = false,
        pooling: TokenPooling = TokenPooling(),
        overlong: OverlongTextRule = .refuse
    ) async throws -> MultiVectorEmbeddings {
        try pooling.check()
        let prepared = try preparedInParts(texts) {
            try preparer.prepare($0, as: role, prompt: prompt, maxLength: maxLength, overlong: overlong)
        }
        let vectors = try await outputs(of: prepared, Options(normalize: normalize, pooling: pooling))
        return MultiVectorEmbeddings(vectors, dimensions: dimensions, isTruncated: prepared.map(\.isTruncated))
    }

    /// Scores queries against documents, as ``LateInteractionPipeline/similarity(_:_:)`` does.
    ///
    /// - Parameters:
    ///   - queries: Vectors of queries.
    ///   - documents: Vectors of documents; a precondition is that they are as wide as those of the queries.
    /// - Returns: For each query its scores, one for each document.
    public func similarity(_ queries: MultiVectorEmbeddings, _ documents: MultiVectorEmbeddings) -> [[Float]] {
        pipeline.similarity(queries, documents)
    }

    /// Ranks documents for each query by their vectors.
    ///
    /// - Parameters:
    ///   - queries: Vectors of queries.
    ///   - documents: Vectors of documents; a precondition is that they are as wide as those of the queries.
    ///   - topK: Number of documents to return for each query; nil for all.
    /// - Returns: For each query the best documents, best first; equal scores in the order given.
    /// - Throws: ``InferenceError/invalidOption(name:found:expected:)`` for a `topK` below 1.
    public func rank(
        _ queries: MultiVectorEmbeddings,
        _ documents: MultiVectorEmbeddings,
        topK: Int? = nil
    ) throws -> [[LateInteractionPipeline.Match]] {
        try pipeline.rank(queries, documents, topK: topK)
    }

    /// Ranks documents for a query.
    ///
    /// - Parameters:
    ///   - query: The query.
    ///   - documents: The documents; none give an empty ranking.
    ///   - topK: Number of documents to return; nil for all.
    ///   - overlong: What to do with texts that are too long.
    /// - Returns: The best documents, best first; equal scores in the order given.
    /// - Throws: As ``encode(_:as:prompt:maxLength:normalize:pooling:overlong:)``.
    public nonisolated func rank(
        _ query: String,
        _ documents: some Collection<String>,
        topK: Int? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [LateInteractionPipeline.Match] {
        if let topK { try check("top-k", topK, in: 1...Int.max) }
        let queryVectors = try await encode(CollectionOfOne(query), as: .query, overlong: overlong)
        let documentVectors = try await encode(documents, overlong: overlong)
        return try await rank(queryVectors, documentVectors, topK: topK)[0]
    }
}

extension LateInteractionEncoder: BatchingActor {
    func compute(_ items: [PreparedText], _ options: Options) throws -> [[Float]] {
        let embeddings = try pipeline.embeddings(
            of: items,
            normalize: options.normalize,
            pooling: options.pooling,
            maxBatchTokens: scheduler.maxBatchTokens
        )
        return (0..<embeddings.count).map { Array(embeddings[$0]) }
    }
}
