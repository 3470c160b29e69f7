public import EttinTokenizer
public import Foundation

/// Classifies texts and pairs of texts, for any number of tasks at once.
///
/// ```swift
/// let classifier = try await TextClassifier(folder: URL(filePath: "models/sentiment"))
/// let best = try await classifier("A joy from start to end.").labels[0]
/// print(best.label, best.score)
/// ```
///
/// ``TextClassificationPipeline`` does the same synchronously.
public actor TextClassifier {
    /// The labels in the order of the model's outputs.
    public nonisolated let labels: [String]
    /// How logits become scores unless the caller says otherwise.
    public nonisolated let defaultFunction: TextClassificationPipeline.Function
    /// The tokenizer.
    public nonisolated let tokenizer: Tokenizer
    /// Prepares texts; the actor does that itself.
    public nonisolated let preparer: TextClassificationPipeline.Preparer
    /// What the folder's files say that has no effect, a sentence each.
    public nonisolated let notices: [String]

    private let thread: ModelThread
    private let pipeline: TextClassificationPipeline
    var scheduler: BatchScheduler<Item, Options, TextClassificationPipeline.Result>

    /// What a batch is made of.
    enum Item: BatchItem {
        case text(PreparedText)
        case hypotheses(PreparedZeroShot)

        var tokenCount: Int {
            switch self {
            case .text(let text): text.tokenCount
            case .hypotheses(let prepared): prepared.texts.tokenCount
            }
        }
    }

    /// What texts of one batch have in common; the case says which items they are.
    enum Options: Hashable {
        case text(topK: Int?, TextClassificationPipeline.Function?)
        case hypotheses(multiLabel: Bool)
    }

    /// The thread that the model computes on.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - folder: A checkpoint of `…ForSequenceClassification`.
    ///   - options: Where and in which precision to compute.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Throws: As ``TextClassificationPipeline/init(folder:options:)``; ``InferenceError/noThread(reason:)``.
    public init(
        folder: URL,
        options: ComputeOptions = ComputeOptions(),
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) async throws {
        scheduler = try BatchScheduler(maxBatchTokens: maxBatchTokens)
        let thread = try ModelThread()
        let path = folder.modelPath
        let pipeline = try await thread.run { try TextClassificationPipeline(folder: path, options: options) }
        self.thread = thread
        labels = pipeline.labels
        defaultFunction = pipeline.defaultFunction
        tokenizer = pipeline.tokenizer
        preparer = pipeline.preparer
        notices = pipeline.notices
        self.pipeline = pipeline
    }

    /// Classifies texts.
    ///
    /// - Parameters:
    ///   - inputs: Texts and pairs of texts.
    ///   - topK: Number of labels per input; nil for all.
    ///   - function: How logits become scores; nil for ``defaultFunction``.
    ///   - overlong: What to do with inputs that are too long; of a pair the longer text gives tokens up first.
    /// - Returns: One result for each input, in order.
    /// - Throws: ``InferenceError`` for an input that is too long or an option out of range; `TorchError` when memory or
    ///   device fails; `CancellationError`.
    public nonisolated func callAsFunction(
        _ inputs: some Collection<TextClassificationPipeline.Input>,
        topK: Int? = nil,
        function: TextClassificationPipeline.Function? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [TextClassificationPipeline.Result] {
        let prepared = try preparedInParts(inputs) { try preparer.prepare($0, overlong: overlong) }
        return try await outputs(of: prepared.map(Item.text), .text(topK: topK, function))
    }

    /// Classifies a text.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - topK: Number of labels; nil for all.
    ///   - function: How logits become scores; nil for ``defaultFunction``.
    ///   - overlong: What to do when it is too long.
    /// - Returns: Its labels by score, highest first.
    /// - Throws: As for several texts.
    public nonisolated func callAsFunction(
        _ text: String,
        topK: Int? = nil,
        function: TextClassificationPipeline.Function? = nil,
        overlong: OverlongTextRule = .refuse
    ) async throws -> TextClassificationPipeline.Result {
        let input = TextClassificationPipeline.Input(text)
        return try await self(CollectionOfOne(input), topK: topK, function: function, overlong: overlong)[0]
    }

    /// Classifies texts by labels that the model has never seen; it must be one of natural language inference.
    ///
    /// - Parameters:
    ///   - texts: The texts.
    ///   - candidateLabels: The labels; at least one.
    ///   - hypothesisTemplate: A sentence with `{}` in the label's place.
    ///   - multiLabel: Whether several labels can be right.
    ///   - overlong: What to do with texts that are too long beside a hypothesis.
    /// - Returns: The labels of each text by score, highest first.
    /// - Throws: ``InferenceError`` for a model without a label for entailment, a text that is too long or an option out
    ///   of range; `TorchError` when memory or device fails; `CancellationError`.
    public nonisolated func zeroShot(
        _ texts: some Collection<String>,
        candidateLabels: [String],
        hypothesisTemplate: String = TextClassificationPipeline.defaultHypothesisTemplate,
        multiLabel: Bool = false,
        overlong: OverlongTextRule = .refuse
    ) async throws -> [TextClassificationPipeline.Result] {
        let prepared = try preparedInParts(texts) {
            try preparer.prepare(
                $0,
                candidateLabels: candidateLabels,
                hypothesisTemplate: hypothesisTemplate,
                overlong: overlong
            )
        }
        return try await outputs(of: prepared.map(Item.hypotheses), .hypotheses(multiLabel: multiLabel))
    }
}

extension TextClassifier: BatchingActor {
    func compute(_ items: [Item], _ options: Options) throws -> [TextClassificationPipeline.Result] {
        let budget = scheduler.maxBatchTokens
        switch options {
        case .text(let topK, let function):
            let texts = items.compactMap { if case .text(let text) = $0 { text } else { nil } }
            return try pipeline.results(for: texts, topK: topK, function: function, maxBatchTokens: budget)
        case .hypotheses(let multiLabel):
            let texts = items.compactMap { if case .hypotheses(let prepared) = $0 { prepared } else { nil } }
            return try pipeline.zeroShotResults(for: texts, multiLabel: multiLabel, maxBatchTokens: budget)
        }
    }
}
