public import EttinTokenizer
public import Foundation

/// Predicts masked tokens, for any number of tasks at once.
///
/// ```swift
/// let fillMask = try await FillMask(folder: URL(filePath: "ettin-encoder-17m"))
/// let result = try await fillMask("The capital of France is [MASK].")
/// print(result.masks[0][0].text)
/// ```
///
/// ``FillMaskPipeline`` does the same synchronously.
public actor FillMask {
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares texts; the actor does that itself.
    public nonisolated let preparer: FillMaskPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: FillMaskPipeline
    /// The option is the number of predictions per mask.
    var scheduler: BatchScheduler<PreparedText, Int, FillMaskPipeline.Result>

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads an encoder.
    ///
    /// - Parameters:
    ///   - folder: A masked language model with its tokenizer.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``FillMaskPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try FillMaskPipeline(folder: path, options: options) }
        self.thread = thread
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Predicts the masks of some texts.
    ///
    /// - Parameters:
    ///   - texts: Each with at least one mask token.
    ///   - topK: Number of predictions per mask; at most the whole vocabulary.
    ///   - overlong: What to do with texts that are too long.
    /// - Returns: One result for each text, in order.
    /// - Throws: ``InferenceError`` for a text without a mask, one that is too long or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func callAsFunction(
        _ texts: some Collection<String>,
        topK: Int = 5,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [FillMaskPipeline.Result] {
        let prepared = try preparedInParts(texts) { try preparer.prepare($0, overlong: overlong) }
        return try await outputs(of: prepared, topK)
    }

    /// Predicts the masks of a text.
    ///
    /// - Parameters:
    ///   - text: A text with at least one mask token.
    ///   - topK: Number of predictions per mask; at most the whole vocabulary.
    ///   - overlong: What to do when it is too long.
    /// - Returns: The predictions for each mask.
    /// - Throws: As ``callAsFunction(_:topK:overlong:)-(Collection<String>,_,_)``.
    public nonisolated func callAsFunction(
        _ text: String,
        topK: Int = 5,
        overlong: OverlongTextRule = .refuse
    ) async throws -> FillMaskPipeline.Result {
        try await self(CollectionOfOne(text), topK: topK, overlong: overlong)[0]
    }
}

extension FillMask: BatchingActor {
    func compute(_ items: [PreparedText], _ topK: Int) throws -> [FillMaskPipeline.Result] {
        try pipeline.predictions(for: items, topK: topK, maxBatchTokens: scheduler.maxBatchTokens)
    }
}
