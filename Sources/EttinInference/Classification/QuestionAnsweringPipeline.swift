public import EttinModel
public import EttinTokenizer
import Torch

/// Finds the answers to questions in texts.
///
/// ```swift
/// let pipeline = try QuestionAnsweringPipeline(folder: "models/squad")
/// let context = "Paris is the capital of France."
/// let result = try pipeline([.init("What is the capital of France?", context: context)])[0]
/// if let answer = result.answers.first { print(answer.text, answer.score) }
/// ```
///
/// An answer is the run of tokens of the context with the largest sum of start and end logit. Its score is the product
/// of two probabilities, of its start and of its end, among the tokens of the context and the first token of the
/// sequence, which stands for "no answer": as in the pipeline that transformers had until version 4. White space at both
/// ends of an answer is left out. That pipeline also widened answers to whole words of the context; here they end where
/// their tokens end.
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class QuestionAnsweringPipeline {
    /// A question with the text that may answer it.
    public struct Input: Sendable, Hashable {
        /// The question.
        public var question: String
        /// The text that may hold the answer.
        public var context: String

        /// Creates an input.
        ///
        /// - Parameters:
        ///   - question: The question.
        ///   - context: The text that may hold the answer.
        public init(_ question: String, context: String) {
            (self.question, self.context) = (question, context)
        }
    }

    /// A part of a context.
    public struct Answer: Sendable, Hashable {
        /// The text of the answer; empty for no answer.
        public let text: String
        /// The probability of its start times that of its end, 0 to 1.
        public let score: Double
        /// The sum of its start and end logits.
        public let logit: Double
        /// Where the answer begins, in Unicode scalars (Python characters) of the context.
        public let start: Int
        /// Where the answer ends, in Unicode scalars (Python characters) of the context.
        public let end: Int
        /// The answer's place in the context that was given.
        public let range: Range<String.Index>
    }

    /// The answers to one question.
    public struct Result: Sendable, Hashable {
        /// Different parts of the context by score, highest first; at least one.
        public let answers: [Answer]
    }

    /// The model.
    public let model: QuestionAnsweringModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares questions for ``results(for:topK:maxAnswerLength:handlesImpossibleAnswer:maxBatchTokens:)``, on any
    /// thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForQuestionAnswering`.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError` for a folder of another kind; `CheckpointError`, `StateDictionaryError`,
    ///   `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        let files = try ClassifierFiles(
            folder: folder,
            of: .questionAnswering,
            expected: "a question-answering model"
        )
        (tokenizer, divergence) = (files.tokenizer, files.divergence)
        model = try QuestionAnsweringModel.load(
            folder: folder,
            dtype: options.parameterDType,
            device: options.device
        )
        notices = try files.notices + options.widen(model)
        try options.prepare(model, divergence)
        preparer = Preparer(files.preparation)
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
    ///   - maxLength: Maximum number of tokens per window, question and special tokens included; nil for the model's.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each input, in order.
    /// - Throws: ``InferenceError`` for a context of white space alone, a question that leaves no room for one, or an option out of
    ///   range; `TorchError` when memory or device fails.
    public func callAsFunction(
        _ inputs: [Input],
        topK: Int = 1,
        maxAnswerLength: Int = defaultMaxAnswerLength,
        handlesImpossibleAnswer: Bool = false,
        stride: Int? = nil,
        maxLength: Int? = nil,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try results(
            for: preparer.prepare(inputs, stride: stride, maxLength: maxLength),
            topK: topK,
            maxAnswerLength: maxAnswerLength,
            handlesImpossibleAnswer: handlesImpossibleAnswer,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Default for the number of tokens of an answer.
    public static let defaultMaxAnswerLength = 15
    /// Default for the number of tokens that windows share.
    static let defaultStride = 128

    /// Answers prepared questions: the second half of
    /// ``callAsFunction(_:topK:maxAnswerLength:handlesImpossibleAnswer:stride:maxLength:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - questions: Questions that ``preparer`` made, of one request or of several.
    ///   - topK: Number of answers per question.
    ///   - maxAnswerLength: Maximum number of tokens of an answer.
    ///   - handlesImpossibleAnswer: Whether "no answer" is one of the answers.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each question, in order.
    /// - Throws: ``InferenceError`` for questions that another model's preparer made or an option out of range;
    ///   `TorchError` when memory or device fails; `CancellationError`.
    public func results(
        for questions: [PreparedQuestion],
        topK: Int = 1,
        maxAnswerLength: Int = defaultMaxAnswerLength,
        handlesImpossibleAnswer: Bool = false,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try check("top-k", topK, in: 1...Int.max)
        try check("max-answer-length", maxAnswerLength, in: 1...Int.max)
        let owners = owners(of: questions.map(\.windows.count))
        let windows = questions.flatMap { $0.windows.map(\.text) }
        let logits = try logits(of: windows, maxBatchTokens: maxBatchTokens) { owners[$0 - 1] }
        var next = 0
        return try questions.enumerated().map { number, question in
            let characters = TextCharacters(question.context)
            var search = AnswerSearch(topK: topK, maxLength: maxAnswerLength)
            for window in question.windows {
                defer { next += 1 }
                guard logits[next].allSatisfy(\.isFinite) else {
                    throw divergence.error("the answer to question", number: number + 1)
                }
                search.add(window, startsAndEnds: logits[next], characters)
            }
            return Result(
                answers: search.best(handlesImpossibleAnswer: handlesImpossibleAnswer).map { span in
                    let range = characters.range(span.characters)
                    return Answer(
                        text: String(question.context[range]),
                        score: span.score,
                        logit: span.logit,
                        start: span.characters.lowerBound,
                        end: span.characters.upperBound,
                        range: range
                    )
                }
            )
        }
    }

    /// The start and end logits of the tokens of some sequences.
    ///
    /// - Parameters:
    ///   - texts: Sequences, those of ``PreparedQuestion/windows`` for instance.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: For each sequence a start and an end logit of each token, `[tokens, 2]`, end to end.
    /// - Throws: As ``results(for:topK:maxAnswerLength:handlesImpossibleAnswer:maxBatchTokens:)``.
    public func logits(
        of texts: [PreparedText],
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [[Float]] {
        try logits(of: texts, maxBatchTokens: maxBatchTokens) { $0 }
    }

    private func logits(of texts: [PreparedText], maxBatchTokens: Int, number: (Int) -> Int) throws -> [[Float]] {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        try InferenceError.numbering(number) {
            try texts.check(limit: preparer.limit, vocabularySize: model.configuration.vocabularySize)
        }
        return try texts.outputs(.tokens, maxBatchTokens: maxBatchTokens) { model.logits($0) }
    }
}
