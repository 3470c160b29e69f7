public import EttinModel
public import EttinTokenizer
import Torch

/// Chooses among answers.
///
/// ```swift
/// let pipeline = try MultipleChoicePipeline(folder: "models/swag")
/// let result = try pipeline([.init("She opens the door and", choices: ["walks in.", "sings the floor."])])[0]
/// print(result.choice, result.scores)
/// ```
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class MultipleChoicePipeline {
    /// A prompt with its choices.
    public struct Input: Sendable, Hashable {
        /// What comes before each choice.
        public var prompt: String
        /// The choices.
        public var choices: [String]

        /// Creates an input.
        ///
        /// - Parameters:
        ///   - prompt: What comes before each choice.
        ///   - choices: The choices; at least two.
        public init(_ prompt: String, choices: [String]) {
            (self.prompt, self.choices) = (prompt, choices)
        }
    }

    /// Which choice it is.
    public struct Result: Sendable, Hashable {
        /// The number of the most probable choice, from 0.
        public let choice: Int
        /// The probability of each choice; they sum to 1.
        public let scores: [Double]
        /// The logit of each choice.
        public let logits: [Double]
        /// Whether a choice was truncated, or the prompt beside it.
        public let isTruncated: Bool
    }

    /// A prompt with its choices as token ids.
    public struct Prepared: Sendable, Hashable {
        /// The prompt with each choice.
        public let choices: [PreparedText]
    }

    /// Turns prompts and choices into what a ``MultipleChoicePipeline`` computes with, apart from its model.
    public struct Preparer: Sendable {
        private let pairs: PairPreparation

        init(_ preparation: TextPreparation) {
            pairs = PairPreparation(preparation)
        }

        /// Maximum number of tokens of a prompt with a choice, including special tokens.
        public var limit: Int { pairs.limit }

        /// Prepares prompts and choices, on all threads.
        ///
        /// - Parameters:
        ///   - inputs: Prompts with their choices.
        ///   - overlong: What to do with those that are too long: the longer text gives tokens up first.
        /// - Returns: One value for each input, in order.
        /// - Throws: ``InferenceError`` for a prompt with fewer than two choices, or one that is too long with a choice.
        public func prepare(_ inputs: [Input], overlong: OverlongTextRule = .refuse) throws -> [Prepared] {
            for (index, input) in inputs.enumerated() where input.choices.count < 2 {
                throw InferenceError.unsuitableText(
                    number: index + 1,
                    found: "has \(input.choices.count == 1 ? "one choice" : "no choices")",
                    expected: "at least two"
                )
            }
            let owners = owners(of: inputs.map(\.choices.count))
            let texts = inputs.flatMap { input in input.choices.map { TextPair(input.prompt, $0) } }
            let prepared = try InferenceError.numbering({ owners[$0 - 1] }) {
                try pairs.prepare(texts, overlong: overlong)
            }
            var next = 0
            return inputs.map { input in
                defer { next += input.choices.count }
                return Prepared(choices: Array(prepared[next..<next + input.choices.count]))
            }
        }
    }

    /// The model.
    public let model: MultipleChoiceModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares inputs for ``results(for:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    private let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForMultipleChoice`.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError` for a folder of another kind; `CheckpointError`, `StateDictionaryError`,
    ///   `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        let files = try ClassifierFiles(folder: folder, of: .multipleChoice, expected: "a multiple-choice model")
        (tokenizer, divergence) = (files.tokenizer, files.divergence)
        model = try MultipleChoiceModel.load(folder: folder, dtype: options.parameterDType, device: options.device)
        notices = try files.notices + options.widen(model)
        try options.prepare(model, divergence)
        preparer = Preparer(files.preparation)
    }

    /// Chooses among answers.
    ///
    /// - Parameters:
    ///   - inputs: Prompts with their choices.
    ///   - overlong: What to do with those that are too long.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each input, in order.
    /// - Throws: ``InferenceError`` for an input that is too long or has fewer than two choices; `TorchError` when memory
    ///   or device fails.
    public func callAsFunction(
        _ inputs: [Input],
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try results(for: preparer.prepare(inputs, overlong: overlong), maxBatchTokens: maxBatchTokens)
    }

    /// Chooses among prepared answers: the second half of ``callAsFunction(_:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - inputs: What ``preparer`` made, of one request or of several.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each input, in order.
    /// - Throws: ``InferenceError`` for what another model's preparer made, a prompt and choice without a token or an
    ///   option out of range; `TorchError` when memory or device fails; `CancellationError`.
    public func results(
        for inputs: [Prepared],
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        let texts = inputs.flatMap(\.choices)
        let owners = owners(of: inputs.map(\.choices.count))
        try InferenceError.numbering({ owners[$0 - 1] }) {
            try texts.check(limit: preparer.limit, vocabularySize: model.configuration.vocabularySize)
            try texts.requireTokens()
        }
        let all = try texts.outputs(.sequences, maxBatchTokens: maxBatchTokens) { model($0) }.map { $0[0] }
        var next = 0
        return try inputs.enumerated().map { number, input in
            let logits = all[next..<next + input.choices.count]
            next += input.choices.count
            guard logits.allSatisfy(\.isFinite) else {
                throw divergence.error("the score of a choice of text", number: number + 1)
            }
            let scores = softmax(logits)
            return Result(
                choice: scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 },
                scores: scores,
                logits: logits.map(Double.init),
                isTruncated: input.choices.contains(where: \.isTruncated)
            )
        }
    }
}
