import EttinFiles
public import EttinInference
import EttinJSON
public import EttinModel
public import EttinTables

/// How well the similarities of pairs of texts agree with scores that people gave.
///
/// The metrics are `pearson_<similarity>` and `spearman_<similarity>`, and `pearson_max` and `spearman_max` with several
/// similarities. Both texts of a pair are encoded alike, without a role.
///
/// > Source: sentence-transformers 6.2, `EmbeddingSimilarityEvaluator`.
public final class EmbeddingSimilarityEvaluator: Evaluator, SupplementedEvaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public private(set) var primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let pairs: PairColumns
    private let scores: [Double]
    private let similarities: [EmbeddingSimilarity]
    private let mainSimilarity: EmbeddingSimilarity?
    private let precision: EmbeddingPrecision?
    private let truncateDimension: Int?
    private let writesTable: Bool

    private static let typeName = "EmbeddingSimilarityEvaluator"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - sentences1: The first text of each pair.
    ///   - sentences2: The second text of each pair.
    ///   - scores: How similar people found them; of any range.
    ///   - similarities: How to compare; empty for what the model says.
    ///   - mainSimilarity: The similarity of the primary metric; nil for the only one, or the best of several.
    ///   - precision: The number type of the embeddings, which are normalized; nil for those of the model as they are.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for columns of different lengths or none; what reading the scores throws.
    public init(
        sentences1: TextColumn,
        sentences2: TextColumn,
        scores: NumberColumn,
        similarities: [EmbeddingSimilarity] = [],
        mainSimilarity: EmbeddingSimilarity? = nil,
        precision: EmbeddingPrecision? = nil,
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        try checkLengths(
            [sentences1.count, sentences2.count, scores.count],
            of: ["sentences1", "sentences2", "scores"],
            in: Self.typeName
        )
        if writesTable { try checkFileName(name, in: Self.typeName) }
        pairs = PairColumns(sentences1, sentences2)
        self.scores = try scores(0..<scores.count)
        self.similarities = similarities.isEmpty ? mainSimilarity.map { [$0] } ?? [] : similarities
        self.mainSimilarity = mainSimilarity
        self.precision = precision
        self.name = name
        self.truncateDimension = truncateDimension
        self.writesTable = writesTable
        primaryMetric = mainSimilarity.map { named("spearman_\($0.rawValue)", by: name) }
    }

    /// Creates an evaluator of a table: two columns of texts and one of scores, named `score` or `label`.
    ///
    /// - Parameters:
    ///   - table: The pairs, which stay where they are.
    ///   - similarities: How to compare; empty for what the model says.
    ///   - mainSimilarity: The similarity of the primary metric; nil for the only one, or the best of several.
    ///   - precision: The number type of the embeddings, which are normalized; nil for those of the model as they are.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table without these columns, or without rows.
    public convenience init(
        _ table: any TextTable,
        similarities: [EmbeddingSimilarity] = [],
        mainSimilarity: EmbeddingSimilarity? = nil,
        precision: EmbeddingPrecision? = nil,
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        let columns = TableColumns(table)
        let texts = try columns.texts(["sentences1", "sentences2"], in: Self.typeName)
        try self.init(
            sentences1: texts[0],
            sentences2: texts[1],
            scores: columns.labels(in: Self.typeName),
            similarities: similarities,
            mainSimilarity: mainSimilarity,
            precision: precision,
            name: name,
            truncateDimension: truncateDimension,
            writesTable: writesTable
        )
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front; NaN where all scores or all similarities are
    ///   the same.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a table that
    ///   cannot be written, what the model throws.
    public func evaluate(_ model: any TextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        try evaluate(model, at: place, adding: nil)
    }

    func evaluate(
        _ model: any TextVectors,
        at place: EvaluationPlace?,
        adding supplement: EvaluatorSupplement?
    ) throws -> [Metric] {
        let similarities = similarities.isEmpty ? [model.similarity] : similarities
        let found = try pairs.scores(
            of: model,
            by: similarities,
            precision: precision,
            truncateDimension: truncateDimension
        )
        var values: [(pearson: Double, spearman: Double)] = []
        for found in found {
            let found = found.map(Double.init)
            values.append((pearsonCorrelation(scores, found), spearmanCorrelation(scores, found)))
        }
        let names = similarities.map(\.rawValue)
        let added = supplement?.metrics() ?? []
        if writesTable {
            let parts = [name, precision?.rawValue ?? ""].filter { !$0.isEmpty }.map { "_" + $0 }.joined()
            let table = EvaluationTable(
                file: "similarity_evaluation\(parts)_results.csv",
                columns: names.flatMap { ["\($0)_pearson", "\($0)_spearman"] } + added.map(\.key)
            )
            try table.append(values.flatMap { [$0.pearson, $0.spearman] } + added.map(\.value), at: place)
        }
        var metrics: [Metric] = zip(names, values).flatMap { similarity, values in
            [
                (named("pearson_\(similarity)", by: name), values.pearson),
                (named("spearman_\(similarity)", by: name), values.spearman),
            ]
        }
        var primary = "spearman_\((mainSimilarity ?? similarities[0]).rawValue)"
        if similarities.count > 1 {
            metrics.append((named("pearson_max", by: name), values.map(\.pearson).max() ?? .nan))
            metrics.append((named("spearman_max", by: name), values.map(\.spearman).max() ?? .nan))
            if mainSimilarity == nil { primary = "spearman_max" }
        }
        metrics += added.named(by: name)
        primary = named(primary, by: name)
        primaryMetric = primary
        var settings: JSONObject = [:]
        if let truncateDimension { settings["truncate_dim"] = JSONValue(truncateDimension) }
        if let precision { settings["precision"] = .string(precision.rawValue) }
        reports = [
            EvaluationReport(
                evaluator: supplement?.typeName ?? Self.typeName,
                description: "Semantic Similarity",
                name: name,
                primaryMetric: primary,
                metrics: metrics,
                settings: supplement.settings(after: settings)
            )
        ]
        return metrics
    }
}
