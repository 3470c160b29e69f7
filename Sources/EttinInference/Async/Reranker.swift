public import EttinTokenizer
public import Foundation
public import Torch

/// Scores pairs of texts and ranks documents, for any number of tasks at once.
///
/// ```swift
/// let reranker = try await Reranker(folder: URL(filePath: "ettin-reranker-17m-v1"))
/// for hit in try await reranker.rank("capital of France", ["Paris is.", "A cat sits."], topK: 1) {
///     print(hit.score, hit.text)
/// }
/// ```
///
/// ``RerankingPipeline`` does the same synchronously, and says what scores mean.
public actor Reranker {
    /// The prompt put directly before the first text of each pair.
    public typealias Prompt = RerankingPipeline.Prompt

    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares pairs; the actor does that itself.
    public nonisolated let preparer: RerankingPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: RerankingPipeline
    var scheduler: BatchScheduler<PreparedText, Options, RerankingPipeline.Score>

    /// What pairs of one batch have in common.
    struct Options: Hashable {
        let activation: Activation?
        let scalesScores: Bool
    }

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A folder of sentence-transformers modules that end in `scores`, or a checkpoint of
    ///     `…ForSequenceClassification` with one label.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``RerankingPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try RerankingPipeline(folder: path, options: options) }
        self.thread = thread
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Scores pairs.
    ///
    /// - Parameters:
    ///   - pairs: Queries with documents.
    ///   - prompt: What to put before the first text of each pair.
    ///   - activation: What raw scores go through; nil for what the folder says.
    ///   - scalesScores: Whether raw scores are mapped to 0…1; see ``RerankingPipeline/scaled(_:)``.
    ///   - overlong: What to do with pairs that are too long: the longer text gives tokens up first.
    /// - Returns: One score for each pair, in order.
    /// - Throws: ``InferenceError`` for a pair that is too long, a prompt that does not exist or an option out of range;
    ///   `CheckpointError` for an activation function that is not known; `TorchError` when memory or device fails;
    ///   `CancellationError`.
    public nonisolated func predict(
        _ pairs: some Collection<TextPair>,
        prompt: Prompt = .default,
        activation: Activation? = nil,
        scalesScores: Bool = false,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [RerankingPipeline.Score] {
        let prepared = try preparedInParts(pairs) { try preparer.prepare($0, prompt: prompt, overlong: overlong) }
        return try await outputs(of: prepared, Options(activation: activation, scalesScores: scalesScores))
    }

    /// Ranks documents by their relevance to a query.
    ///
    /// - Parameters:
    ///   - query: The query.
    ///   - documents: The documents; none give an empty ranking.
    ///   - topK: Number of documents to return; nil for all.
    ///   - prompt: What to put before the query.
    ///   - activation: What raw scores go through; nil for what the folder says.
    ///   - scalesScores: Whether raw scores are mapped to 0…1; see ``RerankingPipeline/scaled(_:)``.
    ///   - overlong: What to do with pairs that are too long: the longer text gives tokens up first.
    /// - Returns: The most relevant documents, the highest score first; equal ones in the order given.
    /// - Throws: As ``predict(_:prompt:activation:scalesScores:overlong:)``.
    public nonisolated func rank(
        _ query: String,
        _ documents: some Collection<String>,
        topK: Int? = nil,
        prompt: Prompt = .default,
        activation: Activation? = nil,
        scalesScores: Bool = false,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [RerankingPipeline.RankedDocument] {
        if let topK { try check("top-k", topK, in: 1...Int.max) }
        let documents = Array(documents)
        let scores = try await predict(
            documents.map { TextPair(query, $0) },
            prompt: prompt,
            activation: activation,
            scalesScores: scalesScores,
            overlong: overlong
        )
        return scores.ranked(documents, topK: topK)
    }
}

extension Reranker: BatchingActor {
    func compute(_ items: [PreparedText], _ options: Options) throws -> [RerankingPipeline.Score] {
        try pipeline.scores(
            of: items,
            activation: options.activation,
            scalesScores: options.scalesScores,
            maxBatchTokens: scheduler.maxBatchTokens
        )
    }
}
