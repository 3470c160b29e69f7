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
    private let evaluators: [InformationRetrievalEvaluator]
    private var means: NanoBEIRMeans

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
    /// - Throws: As ``InformationRetrievalEvaluator/evaluate(_:at:)``.
    public func evaluate(_ model: any TextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let results = try evaluators.map { try $0.evaluate(model, at: place) }
        let (metrics, report) = try means(
            Array(zip(evaluators.map(\.name), results)),
            evaluators[0].settings.orderedSimilarities(else: model.similarity),
            Self.typeName,
            at: place
        )
        primaryMetric = report.primaryMetric
        reports = evaluators.flatMap(\.reports)
        // With one data set the means would only repeat its report.
        if evaluators.count > 1 { reports.append(report) }
        return results.flatMap(\.self) + metrics
    }
}

/// The means over the data sets of NanoBEIR.
struct NanoBEIRMeans {
    /// `NanoBEIR_mean`, with the number of dimensions where that is set.
    let name: String
    private let settings: RetrievalEvaluatorSettings
    private let aggregateKey: String
    private let datasets: [NanoBEIRDataset]
    private var primary = PrimaryRetrievalMetric()

    /// Describes what is taken means of.
    ///
    /// - Parameters:
    ///   - settings: How data sets are measured.
    ///   - aggregateKey: What the means are called.
    ///   - datasets: The data sets.
    ///   - suffix: The end of names.
    init(
        settings: RetrievalEvaluatorSettings,
        aggregateKey: String,
        datasets: [NanoBEIRDataset],
        suffix: String
    ) {
        self.settings = settings
        self.aggregateKey = aggregateKey
        self.datasets = datasets
        name = "NanoBEIR_\(aggregateKey)\(suffix)"
    }

    /// Takes means.
    ///
    /// - Parameters:
    ///   - results: The metrics of each data set, with the name of its evaluator.
    ///   - similarities: How was compared.
    ///   - evaluator: The name of the evaluator's class.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    ///   - added: What the means have besides.
    ///   - others: Further settings that model cards tell.
    /// - Returns: The means, and the report of them.
    /// - Throws: ``EvaluationError`` for a table that cannot be written.
    mutating func callAsFunction(
        _ results: [(name: String, metrics: [Metric])],
        _ similarities: [EmbeddingSimilarity],
        _ evaluator: String,
        at place: EvaluationPlace?,
        adding added: [Metric] = [],
        settings others: JSONObject = [:]
    ) throws -> (metrics: [Metric], report: EvaluationReport) {
        let scores = similarities.map { similarity in
            Dictionary(
                uniqueKeysWithValues: settings.cutoffs.keys.map { key in
                    let values = results.map { name, metrics in
                        metrics.value(named("\(similarity.rawValue)_\(key)", by: name))
                    }
                    return (key, values.reduce(0, +) / Double(values.count))
                }
            )
        }
        if settings.writesTable {
            let file = "NanoBEIR_evaluation_\(aggregateKey)_results.csv"
            try settings.table(file, similarities, further: added.map(\.key))
                .append(settings.row(scores) + added.map(\.value), at: place)
        }
        let metrics = settings.metrics(scores, similarities, name: name) + added.named(by: name)
        var description = settings.description
        description["dataset_names"] = .array(datasets.map { .string($0.rawValue) })
        for member in others { description[member.key] = member.value }
        let report = EvaluationReport(
            evaluator: evaluator,
            name: name,
            primaryMetric: primary.key(scores, similarities, settings, name: name),
            metrics: metrics,
            settings: description
        )
        return (metrics, report)
    }
}

extension [Metric] {
    /// The value at a key, which is there.
    func value(_ key: String) -> Double {
        guard let metric = first(where: { $0.key == key }) else { preconditionFailure("no metric \(key)") }
        return metric.value
    }
}
