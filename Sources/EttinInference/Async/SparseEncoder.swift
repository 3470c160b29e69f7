public import EttinModel
public import EttinTokenizer
public import Foundation

/// Turns texts into weights of a vocabulary (SPLADE), for any number of tasks at once.
///
/// ```swift
/// let encoder = try await SparseEncoder(folder: URL(filePath: "models/splade"))
/// let embeddings = try await encoder.encode(["A cat sits."], as: .document)
/// for (token, weight) in encoder.decode(embeddings[0], topK: 5) { print(token, weight) }
/// ```
///
/// ``SparseEmbeddingPipeline`` does the same synchronously.
public actor SparseEncoder {
    /// The prompt put before each text.
    public typealias Prompt = SparseEmbeddingPipeline.Prompt

    /// The number of entries of the vocabulary.
    public nonisolated let dimensions: Int
    /// The tokenizer of documents; a Router may have another for queries.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares texts; the actor does that itself.
    public nonisolated let preparer: SparseEmbeddingPipeline.Preparer
    /// How the folder compares texts.
    public nonisolated let similarityFunction: EmbeddingSimilarity
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: SparseEmbeddingPipeline
    /// The option is the maximum number of weights per text; nil for what the folder says.
    var scheduler: BatchScheduler<PreparedText, Int?, SparseVector>

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A sparse model, or a masked language model, with its tokenizer.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``SparseEmbeddingPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try SparseEmbeddingPipeline(folder: path, options: options) }
        self.thread = thread
        dimensions = pipeline.model.dimensions
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        similarityFunction = pipeline.model.settings.similarity
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Encodes texts.
    ///
    /// - Parameters:
    ///   - texts: The texts; an empty one is only its special tokens.
    ///   - role: What they are to a search; nil for neither.
    ///   - prompt: What to put before each text; the default is the folder's own for the role.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the folder says.
    ///   - overlong: What to do with texts that are too long.
    /// - Returns: One vector for each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long, a prompt that does not exist, a role that the model has no
    ///   route for or an option out of range; `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func encode(
        _ texts: some Collection<String>,
        as role: TextRole? = nil,
        prompt: Prompt = .default,
        maxActiveDimensions: Int? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> SparseEmbeddings {
        let prepared = try preparedInParts(texts) {
            try preparer.prepare($0, as: role, prompt: prompt, overlong: overlong)
        }
        return SparseEmbeddings(
            vectors: try await outputs(of: prepared, maxActiveDimensions),
            dimensions: dimensions,
            isTruncated: prepared.map(\.isTruncated)
        )
    }

    /// The tokens of a vector's entries with their weights, the largest first.
    ///
    /// - Parameters:
    ///   - vector: Weights of this model's vocabulary.
    ///   - topK: The greatest number of tokens; nil for all.
    /// - Returns: Each token as the vocabulary spells it, and its weight.
    public nonisolated func decode(_ vector: SparseVector, topK: Int? = nil) -> [(token: String, weight: Float)] {
        vector.decoded(by: tokenizer, topK: topK)
    }

    /// Compares texts, by the folder's own similarity.
    ///
    /// - Parameters:
    ///   - queries: Weights of queries.
    ///   - documents: Weights of documents.
    /// - Returns: For each query its similarities, one for each document; larger is nearer.
    public nonisolated func similarity(_ queries: SparseEmbeddings, _ documents: SparseEmbeddings) -> [[Float]] {
        queries.similarity(to: documents, by: similarityFunction)
    }
}

extension SparseEncoder: BatchingActor {
    func compute(_ items: [PreparedText], _ maxActiveDimensions: Int?) throws -> [SparseVector] {
        try pipeline.embeddings(
            of: items,
            maxActiveDimensions: maxActiveDimensions,
            maxBatchTokens: scheduler.maxBatchTokens
        ).vectors
    }
}
