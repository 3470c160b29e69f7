import EttinInference
import EttinJSON
import EttinModel

/// Retrieval on several small data sets, one after the other, and the means over them.
///
/// > Source: sentence-transformers 6.2, `NanoBEIREvaluator`.
public final class NanoBEIREvaluator: Evaluator {
    /// `NanoBEIR_mean`, with the number of dimensions where that is set.
    public let name: String
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public private(set) var primaryMetric: String?
    /// What was measured last: a report for each data set, and one for the means of several.
    public private(set) var reports: [EvaluationReport] = []
    private let settings: RetrievalEvaluatorSettings
    private let aggregateKey: String
    private let datasets: [NanoBEIRDataset]
    private let evaluators: [InformationRetrievalEvaluator]
    private var primary = PrimaryRetrievalMetric()

    static let typeName = "NanoBEIREvaluator"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - folder: Where the data sets are.
    ///   - datasets: The data sets; nil for all thirteen.
    ///   - settings: How to measure.
    ///   - queryPrompts: What to put before the queries of each data set, in place of the settings' prompt.
    ///   - corpusPrompts: What to put before the documents of each data set, in place of the settings' prompt.
    ///   - aggregateKey: What the means are called.
    /// - Throws: ``EvaluationError`` or `TableError` for a data set that is not there or is broken.
    public init(
        _ folder: NanoBEIRFolder,
        datasets: [NanoBEIRDataset]? = nil,
        settings: RetrievalEvaluatorSettings = RetrievalEvaluatorSettings(),
        queryPrompts: [NanoBEIRDataset: String] = [:],
        corpusPrompts: [NanoBEIRDataset: String] = [:],
        aggregateKey: String = "mean"
    ) throws {
        let datasets = try NanoBEIRDataset.checked(datasets ?? NanoBEIRDataset.allCases, in: Self.typeName)
        if settings.writesTable { try checkFileName(aggregateKey, "aggregate_key", in: Self.typeName) }
        let suffix = settings.truncateDimension.map { "_\($0)" } ?? ""
        evaluators = try datasets.map { dataset in
            var settings = settings
            if let prompt = queryPrompts[dataset] { settings.queryPrompt = .text(prompt) }
            if let prompt = corpusPrompts[dataset] { settings.corpusPrompt = .text(prompt) }
            return try InformationRetrievalEvaluator(
                folder.retrievalData(dataset),
                settings: settings,
                name: dataset.splitName + suffix
            )
        }
        self.datasets = datasets
        self.settings = settings
        self.aggregateKey = aggregateKey
        name = "NanoBEIR_\(aggregateKey)\(suffix)"
        primaryMetric = settings.mainSimilarity.map { [name] in named(settings.primaryKey($0), by: name) }
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table for each data set and for the means; nil to write
    ///     nothing.
    /// - Returns: The metrics of each data set, then their means.
    /// - Throws: As ``InformationRetrievalEvaluator/evaluate(_:at:)``.
    public func evaluate(_ model: any TextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let similarities = settings.orderedSimilarities(of: model)
        let results = try evaluators.map { try $0.evaluate(model, at: place) }
        let scores = similarities.map { similarity in
            Dictionary(
                uniqueKeysWithValues: settings.cutoffs.keys.map { key in
                    let values = zip(evaluators, results).map { evaluator, metrics in
                        metrics.value(named("\(similarity.rawValue)_\(key)", by: evaluator.name))
                    }
                    return (key, values.reduce(0, +) / Double(values.count))
                }
            )
        }
        if settings.writesTable {
            let file = "NanoBEIR_evaluation_\(aggregateKey)_results.csv"
            try settings.table(file, similarities).append(settings.row(scores), at: place)
        }
        let primary = primary.key(scores, similarities, settings, name: name)
        primaryMetric = primary
        let means = settings.metrics(scores, similarities, name: name)
        reports = evaluators.flatMap(\.reports)
        // With one data set the means would only repeat its report.
        if evaluators.count > 1 {
            var description = settings.description
            description["dataset_names"] = .array(datasets.map { .string($0.rawValue) })
            reports.append(
                EvaluationReport(
                    evaluator: Self.typeName,
                    name: name,
                    primaryMetric: primary,
                    metrics: means,
                    settings: description
                )
            )
        }
        return results.flatMap(\.self) + means
    }
}

extension [Metric] {
    /// The value at a key, which is there.
    func value(_ key: String) -> Double {
        guard let metric = first(where: { $0.key == key }) else { preconditionFailure("no metric \(key)") }
        return metric.value
    }
}
