public import EttinModel
public import EttinTokenizer
import Torch

/// Finds and classifies parts of texts, as transformers' `token-classification` pipeline does.
///
/// ```swift
/// let tagger = try TokenClassificationPipeline(folder: "models/names")
/// let text = "Ada met Orion in Paris"
/// for entity in try tagger([text], strategy: .simple)[0].entities {
///     print(entity.label, text[entity.range])
/// }
/// ```
///
/// Taggers that mark what a source does not support read three texts at once: see ``GroundedAnswer``.
///
/// Not `Sendable`: use one from one thread at a time. Its ``preparer`` is, and what that makes.
public final class TokenClassificationPipeline {
    /// How the labels of tokens become those of entities.
    public enum AggregationStrategy: String, Sendable, Hashable, CaseIterable {
        /// One entity for each token.
        case none
        /// Neighbouring tokens of one kind are one entity; `B-` begins another.
        case simple
        /// As `simple`, each word having the label of its first token.
        case first
        /// As `simple`, each word having the label with the highest mean score of its tokens.
        case average
        /// As `simple`, each word having the label of its most certain token.
        case max

        /// Refuses windows for a strategy that cannot merge them.
        func check(stride: Int?) throws {
            guard stride != nil, self == .none else { return }
            throw InferenceError.invalidOption(
                name: "stride",
                found: "given with the aggregation strategy none",
                expected: "simple, first, average or max, which can merge the windows"
            )
        }
    }

    /// An answer with what it was drawn from, for taggers that mark its unsupported parts.
    ///
    /// The model reads `[CLS] context [SEP] question [SEP] answer [SEP]`; only the tokens of the answer are classified.
    public struct GroundedAnswer: Sendable, Hashable {
        /// What the answer should be drawn from.
        public var context: String
        /// What was asked; nil leaves its segment out.
        public var question: String?
        /// The text to tag.
        public var answer: String

        /// Creates an answer.
        ///
        /// - Parameters:
        ///   - answer: The text to tag.
        ///   - context: What the answer should be drawn from.
        ///   - question: What was asked; nil leaves its segment out.
        public init(_ answer: String, context: String, question: String? = nil) {
            (self.answer, self.context, self.question) = (answer, context, question)
        }
    }

    /// A part of a text with its label.
    public struct Entity: Sendable, Hashable {
        /// The label of a token, such as `B-LOC`, or the kind of an aggregated entity, such as `LOC`: what follows the
        /// first hyphen, as in transformers, so that `not-supported` becomes `supported`.
        public let label: String
        /// The probability of the label, averaged over the tokens or words of an entity.
        public let score: Double
        /// The place of the token in its sequence, special tokens included; nil for aggregated entities.
        public let index: Int?
        /// The token as the tokenizer writes it, or the decoded tokens of an aggregated entity.
        ///
        /// A byte-level tokenizer leaves the blank before a word in it. With `first`, `average` and `max` the pipeline of
        /// transformers decodes twice, which destroys letters beyond ASCII; here they stay. Use `range` for the text.
        public let word: String
        /// Where the entity begins, in Unicode scalars (Python characters) of the text.
        public let start: Int
        /// Where the entity ends, in Unicode scalars (Python characters) of the text.
        public let end: Int
        /// The entity's place in the text that was given.
        public let range: Range<String.Index>
    }

    /// The entities of one text.
    public struct Result: Sendable, Hashable {
        /// The entities in the order of the text.
        public let entities: [Entity]
        /// Whether tokens were left out.
        public let isTruncated: Bool
    }

    /// The model.
    public let model: TokenClassificationModel
    /// The tokenizer.
    public let tokenizer: Tokenizer
    /// Prepares texts for ``results(for:strategy:ignoredLabels:maxBatchTokens:)``, on any thread.
    public let preparer: Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public let notices: [String]
    /// The labels in the order of the logits.
    public let labels: [String]
    private let divergence: Divergence

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForTokenClassification`.
    ///   - options: Where and in which precision to compute.
    /// - Throws: `CheckpointError` for a folder of another kind; `CheckpointError`, `StateDictionaryError`,
    ///   `TokenizerError` for files that are missing or broken; ``InferenceError`` when model and tokenizer do not fit.
    public init(folder: String, options: ComputeOptions = ComputeOptions()) throws {
        let files = try ClassifierFiles(folder: folder, of: .tagger, expected: "a token classifier")
        (tokenizer, divergence) = (files.tokenizer, files.divergence)
        model = try TokenClassificationModel.load(
            folder: folder,
            dtype: options.parameterDType,
            device: options.device
        )
        notices = try files.notices + options.widen(model)
        try options.prepare(model, divergence)
        labels = model.configuration.labelNames
        preparer = Preparer(files.preparation)
    }

    /// Tags texts.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - strategy: How the labels of tokens become those of entities.
    ///   - ignoredLabels: Labels, or kinds, whose entities are left out; of an aggregated entity the first label counts.
    ///   - stride: When given, texts that are too long are tagged in windows that share so many tokens; needs a strategy
    ///     that aggregates.
    ///   - overlong: What to do with texts that are too long without windows.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each text, in order.
    /// - Throws: ``InferenceError`` for a text that is too long or an option out of range; `TorchError` when memory or
    ///   device fails.
    public func callAsFunction(
        _ texts: [String],
        strategy: AggregationStrategy = .simple,
        ignoredLabels: Set<String> = ["O"],
        stride: Int? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try strategy.check(stride: stride)
        return try results(
            for: preparer.prepare(texts, stride: stride, overlong: overlong),
            strategy: strategy,
            ignoredLabels: ignoredLabels,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// Tags answers by what they were drawn from.
    ///
    /// - Parameters:
    ///   - answers: The answers; ranges and offsets of results are theirs.
    ///   - strategy: How the labels of tokens become those of spans.
    ///   - ignoredLabels: Labels whose spans are left out; nil for the first label, which stands for what is supported.
    ///   - overlong: What to do with inputs that are too long; the context gives tokens up.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each answer, in order.
    /// - Throws: ``InferenceError`` for an input that is too long; `TorchError` when memory or device fails.
    public func callAsFunction(
        _ answers: [GroundedAnswer],
        strategy: AggregationStrategy = .simple,
        ignoredLabels: Set<String>? = nil,
        overlong: OverlongTextRule = .refuse,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        try results(
            for: preparer.prepare(answers, overlong: overlong),
            strategy: strategy,
            ignoredLabels: ignoredLabels ?? supportedLabels,
            maxBatchTokens: maxBatchTokens
        )
    }

    /// The label of what an answer's source supports, which is the first one, by its names with and without `B-` or `I-`.
    public var supportedLabels: Set<String> { labels.first.map { ["O", $0, EntityAggregation.tag($0).name] } ?? ["O"] }

    /// Tags prepared texts: the second half of
    /// ``callAsFunction(_:strategy:ignoredLabels:stride:overlong:maxBatchTokens:)``.
    ///
    /// Asks between batches whether the current task is cancelled.
    ///
    /// - Parameters:
    ///   - texts: Texts that ``preparer`` made, of one request or of several.
    ///   - strategy: How the labels of tokens become those of entities.
    ///   - ignoredLabels: Labels, or kinds, whose entities are left out; of an aggregated entity the first label counts.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: One result for each text, in order.
    /// - Throws: ``InferenceError`` for texts that another model's preparer made or an option out of range; `TorchError`
    ///   when memory or device fails; `CancellationError`.
    public func results(
        for texts: [PreparedTagging],
        strategy: AggregationStrategy = .simple,
        ignoredLabels: Set<String> = ["O"],
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> [Result] {
        let owners = owners(of: texts.map(\.windows.count))
        let windows = texts.flatMap { $0.windows.map(\.text) }
        let logits = try logits(of: windows, maxBatchTokens: maxBatchTokens) { owners[$0 - 1] }
        var next = 0
        return try texts.enumerated().map { number, text in
            let characters = TextCharacters(text.source)
            let aggregation = EntityAggregation(tokenizer, labels: labels, strategy: strategy, characters: characters)
            var entities: [Entity] = []
            for window in text.windows {
                defer { next += 1 }
                guard logits[next].allSatisfy(\.isFinite) else {
                    throw divergence.error("the label of a token of text", number: number + 1)
                }
                entities += aggregation.entities(of: window, logits: logits[next], ignoring: ignoredLabels)
            }
            if text.windows.count > 1 { entities = EntityAggregation.merged(entities) }
            return Result(entities: entities, isTruncated: text.isTruncated)
        }
    }

    /// The logits of the tokens of some sequences.
    ///
    /// - Parameters:
    ///   - texts: Sequences, those of ``PreparedTagging/windows`` for instance.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: For each sequence the logits of its tokens, `[tokens, labels]`, end to end.
    /// - Throws: As ``results(for:strategy:ignoredLabels:maxBatchTokens:)``.
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
        return try texts.outputs(.tokens, maxBatchTokens: maxBatchTokens) { model($0) }
    }
}
