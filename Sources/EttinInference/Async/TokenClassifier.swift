public import EttinTokenizer
public import Foundation

/// Finds and classifies parts of texts, for any number of tasks at once.
///
/// ```swift
/// let tagger = try await TokenClassifier(folder: URL(filePath: "models/names"))
/// let text = "Ada met Orion in Paris"
/// for entity in try await tagger(text).entities { print(entity.label, text[entity.range]) }
/// ```
///
/// ``TokenClassificationPipeline`` does the same synchronously.
public actor TokenClassifier {
    /// The labels of tokens in the order of the model's outputs.
    public nonisolated let labels: [String]
    /// The labels of what an answer's source supports, which spans of unsupported text do not have.
    public nonisolated let supportedLabels: Set<String>
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares texts; the actor does that itself.
    public nonisolated let preparer: TokenClassificationPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: TokenClassificationPipeline
    var scheduler: BatchScheduler<PreparedTagging, Options, TokenClassificationPipeline.Result>

    /// What texts of one batch have in common.
    struct Options: Hashable {
        let strategy: TokenClassificationPipeline.AggregationStrategy
        let ignoredLabels: Set<String>
    }

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForTokenClassification`.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``TokenClassificationPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try TokenClassificationPipeline(folder: path, options: options) }
        self.thread = thread
        labels = pipeline.labels
        supportedLabels = pipeline.supportedLabels
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Tags texts.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - strategy: How the labels of tokens become those of entities.
    ///   - ignoredLabels: Labels, or kinds, whose entities are left out.
    ///   - stride: When given, texts that are too long are tagged in windows that share so many tokens; needs a strategy
    ///     that aggregates.
    ///   - overlong: What to do with texts that are too long without windows.
    /// - Returns: One result for each text, in order; ranges are those of the text given.
    /// - Throws: ``InferenceError`` for a text that is too long or an option out of range; `TorchError` when memory or
    ///   device fails; `CancellationError`.
    public nonisolated func callAsFunction(
        _ texts: some Collection<String>,
        strategy: TokenClassificationPipeline.AggregationStrategy = .simple,
        ignoredLabels: Set<String> = ["O"],
        stride: Int? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [TokenClassificationPipeline.Result] {
        try strategy.check(stride: stride)
        let prepared = try preparedInParts(texts) { try preparer.prepare($0, stride: stride, overlong: overlong) }
        return try await outputs(of: prepared, Options(strategy: strategy, ignoredLabels: ignoredLabels))
    }

    /// Tags a text.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - strategy: How the labels of tokens become those of entities.
    ///   - ignoredLabels: Labels, or kinds, whose entities are left out.
    ///   - stride: When given, a text that is too long is tagged in windows that share so many tokens.
    ///   - overlong: What to do when it is too long without windows.
    /// - Returns: Its entities, with ranges of the text given.
    /// - Throws: As for several texts.
    public nonisolated func callAsFunction(
        _ text: String,
        strategy: TokenClassificationPipeline.AggregationStrategy = .simple,
        ignoredLabels: Set<String> = ["O"],
        stride: Int? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> TokenClassificationPipeline.Result {
        try await self(
            CollectionOfOne(text),
            strategy: strategy,
            ignoredLabels: ignoredLabels,
            stride: stride,
            overlong: overlong
        )[0]
    }

    /// Tags answers by what they were drawn from.
    ///
    /// - Parameters:
    ///   - answers: The answers; ranges of results are theirs.
    ///   - strategy: How the labels of tokens become those of spans.
    ///   - ignoredLabels: Labels whose spans are left out; nil for ``supportedLabels``.
    ///   - overlong: What to do with inputs that are too long; the context gives tokens up.
    /// - Returns: One result for each answer, in order.
    /// - Throws: ``InferenceError`` for an input that is too long; `TorchError` when memory or device fails;
    ///   `CancellationError`.
    public nonisolated func callAsFunction(
        _ answers: some Collection<TokenClassificationPipeline.GroundedAnswer>,
        strategy: TokenClassificationPipeline.AggregationStrategy = .simple,
        ignoredLabels: Set<String>? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [TokenClassificationPipeline.Result] {
        let prepared = try preparedInParts(answers) { try preparer.prepare($0, overlong: overlong) }
        let options = Options(strategy: strategy, ignoredLabels: ignoredLabels ?? supportedLabels)
        return try await outputs(of: prepared, options)
    }
}

extension TokenClassifier: BatchingActor {
    func compute(_ items: [PreparedTagging], _ options: Options) throws -> [TokenClassificationPipeline.Result] {
        try pipeline.results(
            for: items,
            strategy: options.strategy,
            ignoredLabels: options.ignoredLabels,
            maxBatchTokens: scheduler.maxBatchTokens
        )
    }
}

extension PreparedTagging: BatchItem {
    var tokenCount: Int { windows.reduce(0) { $0 + $1.text.tokenCount } }
}
