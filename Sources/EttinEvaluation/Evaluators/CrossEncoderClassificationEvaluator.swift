public import EttinInference
import EttinJSON
public import EttinTables

/// How well a reranker tells pairs that belong together from others, or a classifier of pairs their classes.
///
/// With one score, accuracy and F1 are those of the best thresholds, which are found on the same pairs; with several, the
/// class of a pair is that of its largest score.
///
/// > Source: sentence-transformers 6.2, `CrossEncoderClassificationEvaluator`.
public final class CrossEncoderClassificationEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is: `average_precision`, or `f1_macro` of several classes.
    public let primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let pairs: CrossEncoderPairs
    private let labels: [Int]
    private let labelCount: Int
    private let writesTable: Bool

    private static let typeName = "CrossEncoderClassificationEvaluator"

    /// Creates an evaluator of a table: two columns of texts and one of labels, named `label` or `score`.
    ///
    /// - Parameters:
    ///   - table: The pairs, which stay where they are.
    ///   - labelCount: The number of scores of the model; with one, labels are 0 and 1.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - prompt: What to put before the first text of each pair.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table without these columns or without rows, and for other labels.
    public init(
        _ table: any TextTable,
        labelCount: Int = 1,
        name: String = "",
        prompt: RerankingPipeline.Prompt = .default,
        writesTable: Bool = true
    ) throws {
        let columns = TableColumns(table)
        let texts = try columns.texts(["sentence1", "sentence2"], in: Self.typeName)
        let column = try columns.labels(in: Self.typeName)
        try checkLengths([column.count], of: ["labels"], in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        let last = Double(max(1, labelCount - 1))
        labels = try (0..<column.count).map { row in
            let label = try column(row)
            guard label == label.rounded(), 0...last ~= label else {
                throw EvaluationError(
                    .malformed,
                    file: column.place(of: row),
                    item: "the label",
                    found: "is \(label)",
                    expected: labelCount <= 2
                        ? "0 or 1, as \(Self.typeName) takes them"
                        : "a whole number from 0 to \(labelCount - 1), as the model has \(labelCount) scores"
                )
            }
            return Int(label)
        }
        pairs = CrossEncoderPairs(texts[0], texts[1], prompt: prompt)
        self.labelCount = labelCount
        self.name = name
        self.writesTable = writesTable
        primaryMetric = named(labelCount == 1 ? "average_precision" : "f1_macro", by: name)
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a model with
    ///   another number of scores and for a table that cannot be written, what the model throws.
    public func evaluate(_ model: any PairScores, at place: EvaluationPlace? = nil) throws -> [Metric] {
        guard model.labelCount == labelCount else {
            throw EvaluationError(
                .unsupported,
                file: Self.typeName,
                item: "the model",
                found: "has \(model.labelCount) scores for each pair",
                expected: "\(labelCount), which the evaluator was made for"
            )
        }
        let scores = try pairs.scores(of: model)
        let values = labelCount == 1 ? thresholdMetrics(scores.map { Float($0[0]) }) : try classMetrics(scores)
        if writesTable {
            let table = EvaluationTable(
                file: "\(Self.typeName)\(name.isEmpty ? "" : "_" + name)_results.csv",
                columns: values.map(\.header)
            )
            // Thresholds are scores, which are float32.
            let texts = values.map { value in
                value.key.hasSuffix("threshold") ? pythonText(Float(value.value)) : pythonText(value.value)
            }
            try table.append(texts: texts, at: place)
        }
        let metrics: [Metric] = values.map { (named($0.key, by: name), $0.value) }
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                name: name,
                primaryMetric: primaryMetric ?? "",
                metrics: metrics,
                settings: [:]
            )
        ]
        return metrics
    }

    private typealias Value = (key: String, header: String, value: Double)

    private func thresholdMetrics(_ scores: [Float]) -> [Value] {
        let found = BinaryThresholds(scores, labels.map { $0 == 1 }, isDistance: false).metrics
        return [
            ("accuracy", "Accuracy"), ("accuracy_threshold", "Accuracy_Threshold"), ("f1", "F1"),
            ("f1_threshold", "F1_Threshold"), ("precision", "Precision"), ("recall", "Recall"),
            ("ap", "Average_Precision"),
        ].map { key, header in (key == "ap" ? "average_precision" : key, header, found.value(key)) }
    }

    private func classMetrics(_ scores: [[Double]]) throws -> [Value] {
        let found = try ClassificationScores(predictions: scores.map { largest($0).label }, labels: labels)
        return [
            ("f1_macro", "Macro_F1", found.macro.f1), ("f1_micro", "Micro_F1", found.micro.f1),
            ("f1_weighted", "Weighted_F1", found.weighted.f1),
        ]
    }
}
