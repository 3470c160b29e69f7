public import EttinInference
import EttinJSON
public import EttinTables

/// How well the scores of a reranker follow those that pairs are known to have.
///
/// > Source: sentence-transformers 6.2, `CrossEncoderCorrelationEvaluator`.
public final class CrossEncoderCorrelationEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is: `spearman`.
    public let primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let pairs: CrossEncoderPairs
    private let scores: [Double]
    private let writesTable: Bool

    private static let typeName = "CrossEncoderCorrelationEvaluator"

    /// Creates an evaluator of a table: two columns of texts and one of scores, named `score` or `label`.
    ///
    /// - Parameters:
    ///   - table: The pairs, which stay where they are.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - prompt: What to put before the first text of each pair.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table without these columns, or without rows.
    public init(
        _ table: any TextTable,
        name: String = "",
        prompt: RerankingPipeline.Prompt = .default,
        writesTable: Bool = true
    ) throws {
        let columns = TableColumns(table)
        let texts = try columns.texts(["sentence1", "sentence2"], in: Self.typeName)
        let scores = try columns.labels(in: Self.typeName)
        try checkLengths([scores.count], of: ["scores"], in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        pairs = CrossEncoderPairs(texts[0], texts[1], prompt: prompt)
        self.scores = try scores(0..<scores.count)
        self.name = name
        self.writesTable = writesTable
        primaryMetric = named("spearman", by: name)
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The reranker.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: `pearson` and `spearman`, each with the name of the evaluator in front; NaN where all scores are the same.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a model of
    ///   several scores and for a table that cannot be written, what the model throws.
    public func evaluate(_ model: any PairScores, at place: EvaluationPlace? = nil) throws -> [Metric] {
        try requireOneScore(model, in: Self.typeName)
        let found = try pairs.scores(of: model).map { $0[0] }
        let (pearson, spearman) = (pearsonCorrelation(scores, found), spearmanCorrelation(scores, found))
        if writesTable {
            let table = EvaluationTable(
                file: "\(Self.typeName)\(name.isEmpty ? "" : "_" + name)_results.csv",
                columns: ["Pearson_Correlation", "Spearman_Correlation"]
            )
            try table.append([pearson, spearman], at: place)
        }
        let metrics: [Metric] = [(named("pearson", by: name), pearson), (named("spearman", by: name), spearman)]
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                name: name,
                primaryMetric: named("spearman", by: name),
                metrics: metrics,
                settings: [:]
            )
        ]
        return metrics
    }
}
