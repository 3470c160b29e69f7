public import EttinTokenizer
public import Foundation

/// Chooses among answers, for any number of tasks at once.
///
/// ```swift
/// let model = try await MultipleChoice(folder: URL(filePath: "models/swag"))
/// let choices = ["walks in.", "sings the floor."]
/// print(choices[try await model("She opens the door and", choices: choices).choice])
/// ```
///
/// ``MultipleChoicePipeline`` does the same synchronously.
public actor MultipleChoice {
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares prompts and choices; the actor does that itself.
    public nonisolated let preparer: MultipleChoicePipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: MultipleChoicePipeline
    var scheduler: BatchScheduler<MultipleChoicePipeline.Prepared, NoOptions, MultipleChoicePipeline.Result>

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForMultipleChoice`.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``MultipleChoicePipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try MultipleChoicePipeline(folder: path, options: options) }
        self.thread = thread
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Chooses among answers.
    ///
    /// - Parameters:
    ///   - inputs: Prompts with their choices.
    ///   - overlong: What to do with those that are too long.
    /// - Returns: One result for each input, in order.
    /// - Throws: ``InferenceError`` for an input that is too long or has fewer than two choices; `TorchError` when memory
    ///   or device fails; `CancellationError`.
    public nonisolated func callAsFunction(
        _ inputs: some Collection<MultipleChoicePipeline.Input>,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [MultipleChoicePipeline.Result] {
        let prepared = try preparedInParts(inputs) { try preparer.prepare($0, overlong: overlong) }
        return try await outputs(of: prepared, NoOptions())
    }

    /// Chooses among the answers to one prompt.
    ///
    /// - Parameters:
    ///   - prompt: What comes before each choice.
    ///   - choices: The choices; at least two.
    ///   - overlong: What to do when they are too long.
    /// - Returns: Which choice it is.
    /// - Throws: As for several prompts.
    public nonisolated func callAsFunction(
        _ prompt: String,
        choices: [String],
        overlong: OverlongTextRule = .refuse
    ) async throws -> MultipleChoicePipeline.Result {
        let input = MultipleChoicePipeline.Input(prompt, choices: choices)
        return try await self(CollectionOfOne(input), overlong: overlong)[0]
    }
}

extension MultipleChoice: BatchingActor {
    func compute(
        _ items: [MultipleChoicePipeline.Prepared],
        _ options: NoOptions
    ) throws -> [MultipleChoicePipeline.Result] {
        try pipeline.results(for: items, maxBatchTokens: scheduler.maxBatchTokens)
    }
}

/// What the items of a batch have in common where nothing can be chosen.
struct NoOptions: Hashable, Sendable {}

extension MultipleChoicePipeline.Prepared: BatchItem {
    var tokenCount: Int { choices.tokenCount }
}
