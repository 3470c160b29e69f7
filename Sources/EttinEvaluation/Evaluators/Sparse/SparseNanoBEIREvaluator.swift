import EttinInference
import EttinModel

/// Retrieval by weights of a vocabulary on several small data sets, one after the other, and the means over them.
///
/// How sparse texts are is counted over all texts of all data sets.
///
/// > Source: sentence-transformers 6.2, `SparseNanoBEIREvaluator`.
public final class SparseNanoBEIREvaluator: Evaluator {
    /// `NanoBEIR_mean`, with the maximum number of weights where that is set.
    public let name: String
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public private(set) var primaryMetric: String?
    /// What was measured last: a report for each data set, and one for the means of several.
    public private(set) var reports: [EvaluationReport] = []
    private let evaluators: [SparseInformationRetrievalEvaluator]
    private let maxActiveDimensions: Int?
    private var means: NanoBEIRMeans

    static let typeName = "SparseNanoBEIREvaluator"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - folder: Where the data sets are.
    ///   - datasets: The data sets; nil for all thirteen.
    ///   - settings: How to measure.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    ///   - queryPrompts: What to put before the queries of each data set, in place of the settings' prompt.
    ///   - corpusPrompts: What to put before the documents of each data set, in place of the settings' prompt.
    ///   - aggregateKey: What the means are called.
    /// - Throws: ``EvaluationError`` or `TableError` for a data set that is not there or is broken.
    public init(
        _ folder: NanoBEIRFolder,
        datasets: [NanoBEIRDataset]? = nil,
        settings: RetrievalEvaluatorSettings = RetrievalEvaluatorSettings(),
        maxActiveDimensions: Int? = nil,
        queryPrompts: [NanoBEIRDataset: String] = [:],
        corpusPrompts: [NanoBEIRDataset: String] = [:],
        aggregateKey: String = "mean"
    ) throws {
        let datasets = try NanoBEIRDataset.checked(datasets ?? NanoBEIRDataset.allCases, in: Self.typeName)
        if settings.writesTable { try checkFileName(aggregateKey, "aggregate_key", in: Self.typeName) }
        let suffix = maxActiveDimensions.map { "_\($0)" } ?? ""
        evaluators = try datasets.map { dataset in
            var settings = settings
            if let prompt = queryPrompts[dataset] { settings.queryPrompt = .text(prompt) }
            if let prompt = corpusPrompts[dataset] { settings.corpusPrompt = .text(prompt) }
            return try SparseInformationRetrievalEvaluator(
                folder.retrievalData(dataset),
                settings: settings,
                maxActiveDimensions: maxActiveDimensions,
                name: dataset.splitName + suffix
            )
        }
        self.maxActiveDimensions = maxActiveDimensions
        means = NanoBEIRMeans(settings: settings, aggregateKey: aggregateKey, datasets: datasets, suffix: suffix)
        name = means.name
        primaryMetric = settings.mainSimilarity.map { [name] in named(settings.primaryKey($0), by: name) }
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table for each data set and for the means; nil to write
    ///     nothing.
    /// - Returns: The metrics of each data set, then their means.
    /// - Throws: As ``SparseInformationRetrievalEvaluator/evaluate(_:at:)``.
    public func evaluate(_ model: any SparseTextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let results = try evaluators.map { try $0.evaluate(model, at: place) }
        var sparsity = RetrievalSparsity(dimensions: model.dimensions)
        for evaluator in evaluators { evaluator.sparsity.map { sparsity.add($0) } }
        let (metrics, report) = try means(
            Array(zip(evaluators.map(\.name), results)),
            evaluators[0].settings.orderedSimilarities(else: model.similarity),
            Self.typeName,
            at: place,
            adding: sparsity.metrics,
            settings: sparseSettings(maxActiveDimensions)
        )
        primaryMetric = report.primaryMetric
        reports = evaluators.flatMap(\.reports)
        // With one data set the means would only repeat its report.
        if evaluators.count > 1 { reports.append(report) }
        return results.flatMap(\.self) + metrics
    }
}
