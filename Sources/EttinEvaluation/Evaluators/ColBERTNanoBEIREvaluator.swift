import EttinInference
import EttinJSON

/// Retrieval by late interaction on several small data sets, one after the other, and the means over them.
///
/// > Source: PyLate 1.6, `NanoBEIREvaluator`.
package final class ColBERTNanoBEIREvaluator: Evaluator {
    /// `NanoBEIR_mean`.
    package let name: String
    /// `NanoBEIR_mean_MaxSim_ndcg@10`.
    package let primaryMetric: String?
    /// What was measured last: a report for each data set, and one for the means of several.
    package private(set) var reports: [EvaluationReport] = []
    private let settings: RetrievalEvaluatorSettings
    private let aggregateKey: String
    private let datasets: [NanoBEIRDataset]
    private let evaluators: [ColBERTRetrievalEvaluator]

    static let typeName = "NanoBEIREvaluator"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - folder: Where the data sets are.
    ///   - datasets: The data sets; nil for all thirteen.
    ///   - settings: How to measure; similarities and dimensions have no part in it.
    ///   - queryPrompts: What to put before the queries of each data set, in place of the settings' prompt.
    ///   - corpusPrompts: What to put before the documents of each data set, in place of the settings' prompt.
    ///   - aggregateKey: What the means are called.
    /// - Throws: ``EvaluationError`` or `TableError` for a data set that is not there or is broken.
    package init(
        _ folder: NanoBEIRFolder,
        datasets: [NanoBEIRDataset]? = nil,
        settings: RetrievalEvaluatorSettings = RetrievalEvaluatorSettings(),
        queryPrompts: [NanoBEIRDataset: String] = [:],
        corpusPrompts: [NanoBEIRDataset: String] = [:],
        aggregateKey: String = "mean"
    ) throws {
        let datasets = try NanoBEIRDataset.checked(datasets ?? NanoBEIRDataset.allCases, in: Self.typeName)
        if settings.writesTable { try checkFileName(aggregateKey, "aggregate_key", in: Self.typeName) }
        evaluators = try datasets.map { dataset in
            var settings = settings
            if let prompt = queryPrompts[dataset] { settings.queryPrompt = .text(prompt) }
            if let prompt = corpusPrompts[dataset] { settings.corpusPrompt = .text(prompt) }
            return try ColBERTRetrievalEvaluator(
                folder.retrievalData(dataset),
                settings: settings,
                name: dataset.splitName
            )
        }
        self.datasets = datasets
        self.settings = settings
        self.aggregateKey = aggregateKey
        name = "NanoBEIR_\(aggregateKey)"
        primaryMetric = named(ColBERTRetrievalEvaluator.primaryKey(settings), by: "NanoBEIR_\(aggregateKey)")
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table for each data set and for the means; nil to write
    ///     nothing.
    /// - Returns: The metrics of each data set, then their means.
    /// - Throws: As ``ColBERTRetrievalEvaluator/evaluate(_:at:)``.
    package func evaluate(_ model: any TokenVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let results = try evaluators.map { try $0.evaluate(model, at: place) }
        let means = Dictionary(
            uniqueKeysWithValues: settings.cutoffs.keys.map { key in
                let values = zip(evaluators, results).map { evaluator, metrics in
                    metrics.value(named("\(ColBERTRetrievalEvaluator.similarity)_\(key)", by: evaluator.name))
                }
                return (key, values.reduce(0, +) / Double(values.count))
            }
        )
        let metrics = ColBERTRetrievalEvaluator.metrics(means, settings, name: name)
        if settings.writesTable {
            let file = "NanoBEIR_evaluation_\(aggregateKey)_results.csv"
            try ColBERTRetrievalEvaluator.table(file, settings).append(settings.row([means]), at: place)
        }
        reports = evaluators.flatMap(\.reports)
        // With one data set the means would only repeat its report.
        if evaluators.count > 1 {
            var description = settings.description
            description["dataset_names"] = .array(datasets.map { .string($0.rawValue) })
            reports.append(
                EvaluationReport(
                    evaluator: Self.typeName,
                    name: name,
                    primaryMetric: primaryMetric ?? "",
                    metrics: metrics,
                    settings: description
                )
            )
        }
        return results.flatMap(\.self) + metrics
    }
}
