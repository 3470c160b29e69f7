public import EttinModel
public import EttinTokenizer
import Torch

/// Classifies texts and pairs of texts, as transformers' `text-classification` pipeline does.
///
/// ```swift
/// let classifier = try TextClassificationPipeline(folder: "models/sentiment")
/// let result = try classifier(["A joy from start to end."])[0]
/// print(result.labels[0].label, result.labels[0].score)
/// ```
///
/// With a model of natural language inference, labels can be chosen freely:
/// ``zeroShot(_:candidateLabels:hypothesisTemplate:multiLabel:overlong:maxBatchTokens:)``.
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class TextClassificationPipeline {
    /// A text, or a pair of texts such as premise and hypothesis.
    public struct Input: Sendable, Hashable, ExpressibleByStringLiteral {
        /// The text, or the first of a pair.
        public var text: String
        /// The second text of a pair; an empty one is none, as in transformers.
        public var textPair: String?

        /// Creates an input.
        ///
        /// - Parameters:
        ///   - text: The text, or the first of a pair.
        ///   - textPair: The second text of a pair.
        public init(_ text: String, textPair: String? = nil) {
            (self.text, self.textPair) = (text, textPair)
        }

        /// Creates an input of one text.
        public init(stringLiteral text: String) {
            self.init(text)
        }
    }

    /// How logits become scores.
    public enum Function: String, Sendable, Hashable, CaseIterable {
        /// `1 / (1 + exp(−x))` of each logit: labels do not exclude each other.
        case sigmoid
        /// Probabilities that sum to 1: one label is right.
        case softmax
        /// The logits themselves.
        case identity = "none"
    }

    /// A label with its score.
    public struct LabelScore: Sendable, Hashable {
        /// The label.
        public let label: String
        /// The score; a probability except with ``Function/identity``.
        public let score: Double
    }

    /// The labels of one input.
    public struct Result: Sendable, Hashable {
        /// The labels by score, highest first.
        public let labels: [LabelScore]
        /// Whether the input was truncated.
        public let isTruncated: Bool
    }

    /// The model.
    public let model: SequenceClassificationModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares texts for ``results(for:topK:function:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    /// The labels in the order of the logits.
    public let labels: [String]
    let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForSequenceClassification`; a reranker is one with one label.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError` for a folder of another kind; `CheckpointError`, `StateDictionaryError`,
    ///   `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        let files = try ClassifierFiles(folder: folder, of: .classifier, expected: "a classifier of texts")
        (tokenizer, divergence) = (files.tokenizer, files.divergence)
        model = try SequenceClassificationModel.load(
            folder: folder,
            dtype: options.parameterDType,
            device: options.device
        )
        notices = try files.notices + options.widen(model)
        try options.prepare(model, divergence)
        labels = model.configuration.labelNames
        preparer = Preparer(files.preparation)
    }

    /// How logits become scores unless the caller says otherwise.
    ///
    /// Sigmoid for `multi_label_classification` and for one label, softmax for several, none for `regression`.
    ///
    /// > Source: transformers `pipelines/text_classification.py`.
    public var defaultFunction: Function {
        switch model.configuration.problemType {
        case .regression: .identity
        case .multiLabelClassification: .sigmoid
        case .singleLabelClassification, nil: labels.count == 1 ? .sigmoid : .softmax
        }
    }

    /// Classifies texts.
    ///
    /// - Parameters:
    ///   - inputs: Texts and pairs of texts.
    ///   - topK: Number of labels per input; nil for all.
    ///   - function: How logits become scores; nil for ``defaultFunction``.
    ///   - overlong: What to do with inputs that are too long; of a pair the longer text gives tokens up first.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each input, in order.
    /// - Throws: ``InferenceError`` for an input that is too long or an option out of range; `TorchError` when memory or
    ///   device fails.
    public func callAsFunction(
        _ inputs: [Input],
        topK: Int? = nil,
        function: Function? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try checkTopK(topK)
        return try results(
            for: preparer.prepare(inputs, overlong: overlong),
            topK: topK,
            function: function,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Classifies prepared texts: the second half of ``callAsFunction(_:topK:function:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made, of one request or of several.
    ///   - topK: Number of labels per input; nil for all.
    ///   - function: How logits become scores; nil for ``defaultFunction``.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each text, in order.
    /// - Throws: ``InferenceError`` for texts that another model's preparer made or an option out of range; `TorchError`
    ///   when memory or device fails; `CancellationError`.
    public func results(
        for texts: [PreparedText],
        topK: Int? = nil,
        function: Function? = nil,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try checkTopK(topK)
        let function = function ?? defaultFunction
        return try zip(texts, logits(of: texts, maxBatchTokens: maxBatchTokens)).map { text, logits in
            let scores =
                switch function {
                case .sigmoid: logits.map { sigmoid(Double($0)) }
                case .softmax: softmax(logits)
                case .identity: logits.map { Double($0) }
                }
            let all = zip(labels, scores).map { LabelScore(label: $0, score: $1) }.sortedByScore()
            return Result(labels: Array(all.prefix(topK ?? .max)), isTruncated: text.isTruncated)
        }
    }

    /// The logits of prepared texts.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: For each text a logit for each of ``labels``.
    /// - Throws: As ``results(for:topK:function:maxBatchTokens:)``.
    public func logits(
        of texts: [PreparedText],
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [[Float]] {
        try logits(of: texts, maxBatchTokens: maxBatchTokens) { $0 }
    }

    /// The logits of texts that the caller counts otherwise: `number` gives its number for theirs, both from 1.
    func logits(of texts: [PreparedText], maxBatchTokens: Int, number: (Int) -> Int) throws -> [[Float]] {
        try check("max-batch-tokens", maxBatchTokens, in: 1...Int.max)
        try InferenceError.numbering(number) {
            try texts.check(limit: preparer.limit, vocabularySize: model.configuration.vocabularySize)
            try texts.requireTokens()
        }
        let logits = try texts.outputs(.sequences, maxBatchTokens: maxBatchTokens) { model($0) }
        for (index, values) in logits.enumerated() where !values.allSatisfy(\.isFinite) {
            throw divergence.error("the score of text", number: number(index + 1))
        }
        return logits
    }

    private func checkTopK(_ topK: Int?) throws {
        if let topK { try check("top-k", topK, in: 1...Int.max) }
    }
}

extension [TextClassificationPipeline.LabelScore] {
    /// Highest scores first; equal ones in the order of their labels.
    func sortedByScore() -> Self {
        enumerated().sorted { ($1.element.score, $0.offset) < ($0.element.score, $1.offset) }.map(\.element)
    }
}

extension ModernBERTConfiguration {
    /// The labels in the order of their ids; transformers' own two where the configuration has none.
    var labelNames: [String] { labels ?? (0..<labelCount).map { "LABEL_\($0)" } }
}
