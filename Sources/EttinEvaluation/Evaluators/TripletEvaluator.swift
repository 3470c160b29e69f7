import EttinFiles
import EttinInference
import EttinJSON
public import EttinModel
public import EttinTables

/// The share of anchors that are nearer to their positive than to their negative.
///
/// Anchors are encoded as queries, the others as documents. The metrics are `<similarity>_accuracy`, and `max_accuracy`
/// with several similarities.
///
/// > Source: sentence-transformers 6.2, `TripletEvaluator`.
public final class TripletEvaluator: Evaluator, SupplementedEvaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public private(set) var primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let columns: [TextColumn]
    private let similarities: [EmbeddingSimilarity]
    private let mainSimilarity: EmbeddingSimilarity?
    private let margins: [EmbeddingSimilarity: Double]
    private let truncateDimension: Int?
    private let writesTable: Bool

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - anchors: The anchors.
    ///   - positives: A text for each anchor that should be near it.
    ///   - negatives: A text for each anchor that should be farther away.
    ///   - similarities: How to compare; empty for what the model says.
    ///   - mainSimilarity: The similarity of the primary metric; nil for the only one, or the best of several.
    ///   - margins: By how much a positive must be nearer than a negative; 0 where a similarity is not named.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for columns of different lengths or none.
    public init(
        anchors: TextColumn,
        positives: TextColumn,
        negatives: TextColumn,
        similarities: [EmbeddingSimilarity] = [],
        mainSimilarity: EmbeddingSimilarity? = nil,
        margins: [EmbeddingSimilarity: Double] = [:],
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        columns = [anchors, positives, negatives]
        try checkLengths(columns.map(\.count), of: ["anchors", "positives", "negatives"], in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        self.similarities = similarities.isEmpty ? mainSimilarity.map { [$0] } ?? [] : similarities
        self.mainSimilarity = mainSimilarity
        self.margins = margins
        self.name = name
        self.truncateDimension = truncateDimension
        self.writesTable = writesTable
        primaryMetric = mainSimilarity.map { named("\($0.rawValue)_accuracy", by: name) }
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
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
        let rowCount = columns[0].count
        let blockRows = model.textsAtOnce(PairColumns.blockRows)
        var hits = [Int](repeating: 0, count: similarities.count)
        for begin in stride(from: 0, to: rowCount, by: blockRows) {
            let rows = begin..<min(begin + blockRows, rowCount)
            let vectors = try zip(columns, [.query, .document, .document]).map { column, role in
                try model.vectors(
                    of: column(rows),
                    role: role,
                    prompt: .default,
                    truncateDimension: truncateDimension,
                    normalize: false
                )
            }
            for (place, similarity) in similarities.enumerated() {
                let positive = similarity.scores(vectors[0], vectors[1])
                let negative = similarity.scores(vectors[0], vectors[2])
                let margin = Float(margins[similarity] ?? 0)
                hits[place] += zip(positive, negative).count { $0 > $1 + margin }
            }
        }
        // The mean of a float32 tensor, in the original.
        let accuracies = hits.map { Double(Float($0) / Float(rowCount)) }
        let names = similarities.map(\.rawValue)
        let added = supplement?.metrics() ?? []
        if writesTable {
            let file = "triplet_evaluation\(name.isEmpty ? "" : "_" + name)_results.csv"
            try EvaluationTable(file: file, columns: names.map { "accuracy_\($0)" } + added.map(\.key))
                .append(accuracies + added.map(\.value), at: place)
        }
        var metrics: [Metric] = zip(names, accuracies).map { (named("\($0)_accuracy", by: name), $1) }
        var primary = "\((mainSimilarity ?? similarities[0]).rawValue)_accuracy"
        if similarities.count > 1 {
            metrics.append((named("max_accuracy", by: name), accuracies.max() ?? 0))
            if mainSimilarity == nil { primary = "max_accuracy" }
        }
        metrics += added.named(by: name)
        primary = named(primary, by: name)
        primaryMetric = primary
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

    private static let typeName = "TripletEvaluator"

    private var settings: JSONObject {
        var settings: JSONObject = [:]
        if margins.values.contains(where: { $0 != 0 }) {
            settings["margin"] = .object(
                JSONObject(EmbeddingSimilarity.allCases.map { ($0.rawValue, JSONValue(margins[$0] ?? 0)) })
            )
        }
        if let truncateDimension { settings["truncate_dim"] = JSONValue(truncateDimension) }
        return settings
    }
}

extension TripletEvaluator {
    /// Creates an evaluator of the first three columns of a table.
    ///
    /// - Parameters:
    ///   - table: Anchors, positives and negatives, which stay where they are; further columns are not read.
    ///   - similarities: How to compare; empty for what the model says.
    ///   - mainSimilarity: The similarity of the primary metric; nil for the only one, or the best of several.
    ///   - margins: By how much a positive must be nearer than a negative; 0 where a similarity is not named.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table with fewer columns, or without rows.
    public convenience init(
        _ table: any TextTable,
        similarities: [EmbeddingSimilarity] = [],
        mainSimilarity: EmbeddingSimilarity? = nil,
        margins: [EmbeddingSimilarity: Double] = [:],
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        let columns = try TableColumns(table).texts(["anchors", "positives", "negatives"], in: Self.typeName)
        try self.init(
            anchors: columns[0],
            positives: columns[1],
            negatives: columns[2],
            similarities: similarities,
            mainSimilarity: mainSimilarity,
            margins: margins,
            name: name,
            truncateDimension: truncateDimension,
            writesTable: writesTable
        )
    }
}
