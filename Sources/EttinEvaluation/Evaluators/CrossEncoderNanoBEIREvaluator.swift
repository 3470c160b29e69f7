public import EttinInference
import EttinJSON

/// Reranking what BM25 found in several small data sets, one after the other, and the means over them.
///
/// > Source: sentence-transformers 6.2, `CrossEncoderNanoBEIREvaluator`.
public final class CrossEncoderNanoBEIREvaluator: Evaluator {
    /// `NanoBEIR_R100_mean`, with the number of documents of each query.
    public let name: String
    /// The metric that one number for the model is: `ndcg@k`.
    public let primaryMetric: String?
    /// What was measured last: a report for each data set, and one for the means.
    public private(set) var reports: [EvaluationReport] = []
    private let evaluators: [CrossEncoderRerankingEvaluator]
    private let settings: JSONObject
    private let aggregateKey: String
    private let k: Int
    private let writesTable: Bool

    private static let typeName = "CrossEncoderNanoBEIREvaluator"

    /// The data sets that are measured by default: those whose task is not about arguments.
    public static let defaultDatasets = NanoBEIRDataset.allCases.filter { $0 != .arguAna && $0 != .touche2020 }

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - folder: Where the data sets are, with what BM25 found in each.
    ///   - datasets: The data sets; nil for ``defaultDatasets``.
    ///   - rerankCount: How many of the documents that BM25 found are ranked for each query.
    ///   - k: How many documents count for MRR and nDCG.
    ///   - ranksAllPositives: Whether positives that BM25 missed are ranked too (`always_rerank_positives`).
    ///   - prompt: What to put before each query.
    ///   - aggregateKey: What the means are called.
    ///   - writesTable: Whether to write tables (CSV).
    /// - Throws: ``EvaluationError`` or `TableError` for a data set that is not there or is broken.
    public init(
        _ folder: NanoBEIRFolder,
        datasets: [NanoBEIRDataset]? = nil,
        rerankCount: Int = 100,
        k: Int = 10,
        ranksAllPositives: Bool = true,
        prompt: RerankingPipeline.Prompt = .default,
        aggregateKey: String = "mean",
        writesTable: Bool = true
    ) throws {
        let datasets = try NanoBEIRDataset.checked(datasets ?? Self.defaultDatasets, in: Self.typeName)
        if writesTable { try checkFileName(aggregateKey, "aggregate_key", in: Self.typeName) }
        evaluators = try datasets.map { dataset in
            try CrossEncoderRerankingEvaluator(
                EvaluationColumn(folder.rerankingSamples(dataset, count: rerankCount)),
                k: k,
                ranksAllPositives: ranksAllPositives,
                name: "\(dataset.splitName)_R\(rerankCount)",
                prompt: prompt,
                writesTable: writesTable
            )
        }
        settings = [
            "dataset_names": .array(datasets.map { .string($0.rawValue) }), "rerank_k": JSONValue(rerankCount),
            "at_k": JSONValue(k), "always_rerank_positives": .bool(ranksAllPositives),
        ]
        self.aggregateKey = aggregateKey
        self.k = k
        self.writesTable = writesTable
        name = "NanoBEIR_R\(rerankCount)_\(aggregateKey)"
        primaryMetric = "\(name)_ndcg@\(k)"
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The reranker.
    ///   - place: Where the run is, and where to write a line of a table for each data set and for the means; nil to write
    ///     nothing.
    /// - Returns: The metrics of each data set, then their means; those of BM25 have `base_` before their keys.
    /// - Throws: As ``CrossEncoderRerankingEvaluator/evaluate(_:at:)``.
    public func evaluate(_ model: any PairScores, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let results = try evaluators.map { try $0.evaluate(model, at: place) }
        let keys = ["", "base_"].flatMap { prefix in RankingMetrics.zero.metrics(k: k, prefix: prefix).map(\.key) }
        let means: [Metric] = keys.map { key in
            let values = zip(evaluators, results).map { $1.value(named(key, by: $0.name)) }
            return (named(key, by: name), values.reduce(0, +) / Double(values.count))
        }
        if writesTable {
            let file = "NanoBEIR_evaluation_\(aggregateKey)_results.csv"
            try RankingMetrics.table(file, k: k, lineEnd: "\n").append(means.prefix(3).map(\.value), at: place)
        }
        reports =
            evaluators.flatMap(\.reports) + [
                EvaluationReport(
                    evaluator: Self.typeName,
                    name: name,
                    primaryMetric: "\(name)_ndcg@\(k)",
                    metrics: means,
                    settings: settings
                )
            ]
        return results.flatMap(\.self) + means
    }
}
