import EttinInference
import EttinJSON
package import EttinTables
import Torch

/// The share of queries whose positive scores higher by late interaction than their negative.
///
/// > Source: PyLate 1.6, `ColBERTTripletEvaluator`.
package final class ColBERTTripletEvaluator: Evaluator {
    /// What the keys of reports and the names of files have in them; empty for none.
    package let name: String
    /// `accuracy`.
    package let primaryMetric: String? = "accuracy"
    /// What was measured last.
    package private(set) var reports: [EvaluationReport] = []
    private let columns: [TextColumn]
    private let writesTable: Bool

    /// Creates an evaluator of the first three columns of a table.
    ///
    /// - Parameters:
    ///   - table: Queries, positives and negatives, which stay where they are; further columns are not read.
    ///   - name: What the names of files have in them.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table with fewer columns, or without rows.
    package init(_ table: any TextTable, name: String = "", writesTable: Bool = true) throws {
        let names = ["anchors", "positives", "negatives"]
        columns = try TableColumns(table).texts(names, in: Self.typeName)
        try checkLengths(columns.map(\.count), of: names, in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        self.name = name
        self.writesTable = writesTable
    }

    static let typeName = "ColBERTTripletEvaluator"

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metric, without the name of the evaluator, as PyLate gives it.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a table that
    ///   cannot be written, what the model throws.
    package func evaluate(_ model: any TokenVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let count = columns[0].count
        var hits = 0
        for begin in stride(from: 0, to: count, by: Self.blockRows) {
            let rows = begin..<min(begin + Self.blockRows, count)
            let vectors = try zip(columns, [TextRole.query, .document, .document]).map { column, role in
                try model.vectors(of: model.prepared(column(rows), as: role))
            }
            let scores = try vectors.dropFirst().map {
                try LateInteractionScores.scores(vectors[0], $0, .pairwise, paddedLength: nil)
            }
            hits += zip(scores[0], scores[1]).count { $0 > $1 }
        }
        // The mean of a float32 tensor, in the original.
        let accuracy = Double(Float(hits) / Float(count))
        if writesTable {
            let file = "triplet_evaluation\(name.isEmpty ? "" : "_" + name)_results.csv"
            try EvaluationTable(file: file, columns: ["accuracy"]).append([accuracy], at: place)
        }
        let metrics: [Metric] = [("accuracy", accuracy)]
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                name: "",
                primaryMetric: "accuracy",
                metrics: metrics,
                settings: [:]
            )
        ]
        return metrics
    }

    /// Rows that are encoded at once, whose vectors take little memory.
    private static let blockRows = 512
}
