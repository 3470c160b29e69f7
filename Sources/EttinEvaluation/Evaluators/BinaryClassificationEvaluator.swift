import EttinInference
import EttinJSON
public import EttinModel
public import EttinTables

/// How well similarity tells pairs that belong together from others.
///
/// Accuracy and F1 are those of the best thresholds, which are found on the same pairs. Both texts of a pair are encoded
/// alike, without a role.
///
/// > Source: sentence-transformers 6.2, `BinaryClassificationEvaluator`.
public final class BinaryClassificationEvaluator: Evaluator, SupplementedEvaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public private(set) var primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let pairs: PairColumns
    private let labels: [Bool]
    private let similarities: [EmbeddingSimilarity]
    private let truncateDimension: Int?
    private let writesTable: Bool

    private static let typeName = "BinaryClassificationEvaluator"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - sentences1: The first text of each pair.
    ///   - sentences2: The second text of each pair.
    ///   - labels: 1 for a pair that belongs together, 0 for any other.
    ///   - similarities: How to compare; empty for what the model says.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for columns of different lengths or none, and for other labels; what reading the
    ///   labels throws.
    public init(
        sentences1: TextColumn,
        sentences2: TextColumn,
        labels: NumberColumn,
        similarities: [EmbeddingSimilarity] = [],
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        try checkLengths(
            [sentences1.count, sentences2.count, labels.count],
            of: ["sentences1", "sentences2", "labels"],
            in: Self.typeName
        )
        if writesTable { try checkFileName(name, in: Self.typeName) }
        pairs = PairColumns(sentences1, sentences2)
        self.labels = try (0..<labels.count).map { row in
            let label = try labels(row)
            guard label == 0 || label == 1 else {
                throw EvaluationError(
                    .malformed,
                    file: labels.place(of: row),
                    item: "the label",
                    found: "is \(label)",
                    expected: "0 or 1, as \(Self.typeName) takes them"
                )
            }
            return label == 1
        }
        self.similarities = similarities
        self.name = name
        self.truncateDimension = truncateDimension
        self.writesTable = writesTable
    }

    /// Creates an evaluator of a table: two columns of texts and one of labels, named `label` or `score`.
    ///
    /// - Parameters:
    ///   - table: The pairs, which stay where they are.
    ///   - similarities: How to compare; empty for what the model says.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table without these columns, or without rows.
    public convenience init(
        _ table: any TextTable,
        similarities: [EmbeddingSimilarity] = [],
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        let columns = TableColumns(table)
        let texts = try columns.texts(["sentences1", "sentences2"], in: Self.typeName)
        try self.init(
            sentences1: texts[0],
            sentences2: texts[1],
            labels: columns.labels(in: Self.typeName),
            similarities: similarities,
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
    /// - Returns: The metrics, each with the name of the evaluator in front; thresholds of distances are distances.
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
        let scores = try pairs.scores(of: model, by: similarities, truncateDimension: truncateDimension)
        let results = zip(similarities, scores).map { similarity, scores in
            let isDistance = similarity == .euclidean || similarity == .manhattan
            return BinaryThresholds(isDistance ? scores.map(-) : scores, labels, isDistance: isDistance).metrics
        }
        let names = similarities.map(\.rawValue)
        let added = supplement?.metrics() ?? []
        if writesTable {
            let columns = BinaryThresholds.columns
            let table = EvaluationTable(
                file: "binary_classification_evaluation\(name.isEmpty ? "" : "_" + name)_results.csv",
                columns: names.flatMap { name in columns.map { "\(name)_\($0)" } } + added.map(\.key)
            )
            // Thresholds are scores, which are float32.
            let texts = results.flatMap { result in
                columns.map { column in
                    let value = result.value(column)
                    return column.hasSuffix("threshold") ? pythonText(Float(value)) : pythonText(value)
                }
            }
            try table.append(texts: texts + added.map { pythonText($0.value) }, at: place)
        }
        var metrics: [Metric] = zip(names, results).flatMap { similarity, result in
            result.map { (named("\(similarity)_\($0.key)", by: name), $0.value) }
        }
        if similarities.count > 1 {
            metrics += results[0].map { metric in
                (named("max_\(metric.key)", by: name), results.map { $0.value(metric.key) }.max() ?? 0)
            }
        }
        metrics += added.named(by: name)
        let primary = named(similarities.count > 1 ? "max_ap" : "\(names[0])_ap", by: name)
        primaryMetric = primary
        var settings: JSONObject = [:]
        if let truncateDimension { settings["truncate_dim"] = JSONValue(truncateDimension) }
        reports = [
            EvaluationReport(
                evaluator: supplement?.typeName ?? Self.typeName,
                name: name,
                primaryMetric: primary,
                metrics: metrics,
                settings: supplement.settings(after: settings)
            )
        ]
        return metrics
    }
}
