import EttinFiles
import EttinInference
import EttinJSON
package import EttinTables
import Torch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How far the scores of a model are from a teacher's: the Kullback-Leibler divergence of both softmax distributions.
///
/// > Source: PyLate 1.6, `ColBERTDistillationEvaluator`.
package final class ColBERTDistillationEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    package let name: String
    /// `kl_divergence`.
    package let primaryMetric: String?
    /// What was measured last.
    package private(set) var reports: [EvaluationReport] = []
    private let queries: TextColumn
    private let documents: EvaluationColumn<[String]>
    private let scores: EvaluationColumn<[Double]>
    private let normalizesScores: Bool
    private let writesTable: Bool

    static let typeName = "ColBERTDistillationEvaluator"

    /// Creates an evaluator of a table.
    ///
    /// - Parameters:
    ///   - table: The columns `query`, `documents` and `scores`: a text, a list of texts and as many numbers in each row,
    ///     which stay where they are.
    ///   - normalizesScores: Whether the model's scores of a query are brought to the range from 0 to 1.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table without these columns, or without rows.
    package init(
        _ table: any TextTable,
        normalizesScores: Bool = true,
        name: String = "",
        writesTable: Bool = true
    ) throws {
        let columns = TableColumns(table)
        queries = TextColumn(table, column: try columns.column("query", in: Self.typeName))
        documents = EvaluationColumn(table, column: try columns.column("documents", in: Self.typeName))
        scores = EvaluationColumn(table, column: try columns.column("scores", in: Self.typeName))
        try checkLengths([queries.count], of: ["query"], in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        self.normalizesScores = normalizesScores
        self.name = name
        self.writesTable = writesTable
        primaryMetric = named("kl_divergence", by: name)
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metric with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a row that cannot be read or has lists of unequal length,
    ///   ``EvaluationError`` for a table that cannot be written, what the model throws.
    package func evaluate(_ model: any TokenVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let count = queries.count
        // All documents of the original are padded to the longest: tokens tell its length before there are vectors.
        var prepared: [[PreparedText]] = []
        var teachers: [[Double]] = []
        for row in 0..<count {
            let (texts, teacher) = (try documents(row), try scores(row))
            let expected = teachers.first?.count ?? texts.count
            guard texts.count == teacher.count, teacher.count == expected, !texts.isEmpty else {
                throw EvaluationError(
                    .malformed,
                    file: documents.place(of: row),
                    found: "has \(texts.count) documents and \(teacher.count) scores",
                    expected: "as many of both, and as many in every row"
                )
            }
            prepared.append(try model.prepared(texts, as: .document))
            teachers.append(teacher)
        }
        let longest = prepared.lazy.flatMap { $0.lazy.map(model.vectorCount) }.max() ?? 0
        var divergence = 0.0
        for begin in stride(from: 0, to: count, by: Self.blockRows) {
            let rows = begin..<min(begin + Self.blockRows, count)
            let ways = teachers[begin].count
            let student = try LateInteractionScores.scores(
                model.vectors(of: model.prepared(queries(rows), as: .query)),
                model.vectors(of: Array(prepared[rows].joined())),
                .grouped(perQuery: ways),
                paddedLength: longest
            )
            for row in rows {
                let own = student[(row - begin) * ways..<(row - begin + 1) * ways].map(Double.init)
                divergence += Self.divergence(of: normalizesScores ? Self.normalized(own) : own, from: teachers[row])
            }
        }
        let metrics: [Metric] = [(named("kl_divergence", by: name), divergence / Double(count))]
        if writesTable {
            let file = "distillation_evaluation\(name.isEmpty ? "" : "_" + name)_results.csv"
            try EvaluationTable(file: file, columns: ["kl_divergence"]).append([metrics[0].value], at: place)
        }
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                name: name,
                primaryMetric: metrics[0].key,
                metrics: metrics,
                settings: [:]
            )
        ]
        return metrics
    }

    /// Queries that are encoded at once with their documents.
    private static let blockRows = 16

    private static func normalized(_ scores: [Double]) -> [Double] {
        guard let least = scores.min(), let most = scores.max() else { return scores }
        return scores.map { ($0 - least) / (most - least + 1e-8) }
    }

    /// The divergence of two lists of scores, each under a softmax.
    private static func divergence(of student: [Double], from teacher: [Double]) -> Double {
        func logSoftmax(_ scores: [Double]) -> [Double] {
            let most = scores.max() ?? 0
            let normalizer = most + log(scores.reduce(0) { $0 + exp($1 - most) })
            return scores.map { $0 - normalizer }
        }
        return zip(logSoftmax(teacher), logSoftmax(student)).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
    }
}
