public import EttinTokenizer
public import Foundation

/// Finds the answers to questions in texts, for any number of tasks at once.
///
/// ```swift
/// let answerer = try await QuestionAnswerer(folder: URL(filePath: "models/squad"))
/// let context = "Paris is the capital of France."
/// let result = try await answerer("What is the capital of France?", context: context)
/// if let answer = result.answers.first { print(context[answer.range], answer.score) }
/// ```
///
/// ``QuestionAnsweringPipeline`` does the same synchronously.
public actor QuestionAnswerer {
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares questions; the actor does that itself.
    public nonisolated let preparer: QuestionAnsweringPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: QuestionAnsweringPipeline
    var scheduler: BatchScheduler<PreparedQuestion, Options, QuestionAnsweringPipeline.Result>

    /// What questions of one batch have in common.
    struct Options: Hashable {
        let topK: Int
        let maxAnswerLength: Int
        let handlesImpossibleAnswer: Bool
    }

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForQuestionAnswering`.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``QuestionAnsweringPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try QuestionAnsweringPipeline(folder: path, options: options) }
        self.thread = thread
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Answers questions.
    ///
    /// - Parameters:
    ///   - inputs: Questions with their contexts.
    ///   - topK: Number of answers per question.
    ///   - maxAnswerLength: Maximum number of tokens of an answer.
    ///   - handlesImpossibleAnswer: Whether "no answer" is one of the answers.
    ///   - stride: Number of tokens that the windows over a context too long for the model share; nil for 128, or less
    ///     where a window has few.
    ///   - maxLength: Maximum number of tokens per window; nil for the model's.
    /// - Returns: One result for each input, in order; ranges are those of its context.
    /// - Throws: ``InferenceError`` for a context of white space alone, a question that leaves no room for one, or an option out of
    ///   range; `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func callAsFunction(
        _ inputs: some Collection<QuestionAnsweringPipeline.Input>,
        topK: Int = 1,
        maxAnswerLength: Int = QuestionAnsweringPipeline.defaultMaxAnswerLength,
        handlesImpossibleAnswer: Bool = false,
        stride: Int? = nil,
        maxLength: Int? = nil
    ) async throws -> [QuestionAnsweringPipeline.Result] {
        let prepared = try preparedInParts(inputs) {
            try preparer.prepare($0, stride: stride, maxLength: maxLength)
        }
        let options = Options(
            topK: topK,
            maxAnswerLength: maxAnswerLength,
            handlesImpossibleAnswer: handlesImpossibleAnswer
        )
        return try await outputs(of: prepared, options)
    }

    /// Answers a question.
    ///
    /// - Parameters:
    ///   - question: The question.
    ///   - context: The text that may hold the answer.
    ///   - topK: Number of answers.
    ///   - handlesImpossibleAnswer: Whether "no answer" is one of the answers.
    /// - Returns: The answers by score, highest first; ranges are those of the context.
    /// - Throws: As for several questions.
    public nonisolated func callAsFunction(
        _ question: String,
        context: String,
        topK: Int = 1,
        handlesImpossibleAnswer: Bool = false
    ) async throws -> QuestionAnsweringPipeline.Result {
        try await self(
            CollectionOfOne(QuestionAnsweringPipeline.Input(question, context: context)),
            topK: topK,
            handlesImpossibleAnswer: handlesImpossibleAnswer
        )[0]
    }
}

extension QuestionAnswerer: BatchingActor {
    func compute(_ items: [PreparedQuestion], _ options: Options) throws -> [QuestionAnsweringPipeline.Result] {
        try pipeline.results(
            for: items,
            topK: options.topK,
            maxAnswerLength: options.maxAnswerLength,
            handlesImpossibleAnswer: options.handlesImpossibleAnswer,
            maxBatchTokens: scheduler.maxBatchTokens
        )
    }
}

extension PreparedQuestion: BatchItem {
    var tokenCount: Int { windows.reduce(0) { $0 + $1.text.tokenCount } }
}
