import EttinFiles
package import EttinTables
import EttinTraining

/// Queries with documents and a teacher's scores, put together of three tables: ids with scores, queries, documents.
///
/// Rows come as `query`, `documents` and `scores`; texts are looked up when a row is asked for. A document that is not
/// there is an empty text, a query that is not there an error.
///
/// > Source: PyLate 1.6, `KDProcessing`.
package struct DistillationTable: TextTable {
    /// The tables that all data sets of a recipe share.
    package struct Texts: Sendable {
        /// The queries; `queries_dataset`.
        package let queries: TextsByID
        /// The documents; `documents_dataset`.
        package let documents: TextsByID
        /// How many documents of a row are taken, the first; `n_ways`.
        package let ways: Int

        package init(queries: TextsByID, documents: TextsByID, ways: Int) {
            self.queries = queries
            self.documents = documents
            self.ways = ways
        }
    }

    package let columnNames = ["query", "documents", "scores"]
    private static let sourceNames = ["query_id", "document_ids", "scores"]

    private let table: any TextTable
    private let sources: [Int]
    private let texts: Texts

    /// Puts tables together.
    ///
    /// - Parameters:
    ///   - table: Ids and scores.
    ///   - texts: Queries and documents.
    /// - Throws: `TrainingError` for a table without a column that is needed.
    package init(_ table: any TextTable, _ texts: Texts) throws {
        sources = try Self.sourceNames.map { name in
            if let column = table.column(name) { return column }
            throw TrainingError(
                .missing,
                "\(table.name): column \(quoted(name))",
                found: "is not there",
                expected: "query_id, document_ids and scores, whose texts queries_dataset and documents_dataset have; "
                    + "there are \(table.columnNames.isEmpty ? "none" : listing(table.columnNames))"
            )
        }
        self.table = table
        self.texts = texts
    }

    package var rowCount: Int { table.rowCount }
    package var name: String { table.name }

    package func kind(ofColumn column: Int) -> TableColumnKind { column == 0 ? .text : .list }
    package func place(ofRow row: Int) -> String { table.place(ofRow: row) }

    package func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try columns.map { column in
            switch column {
            case 0: return .text(try texts.queries.text(ofRow: queryRow(of: row)))
            case 1:
                return .list(
                    try documentIDs(of: row).map { id in
                        .text(try texts.documents.row(of: id).map(texts.documents.text(ofRow:)) ?? "")
                    }
                )
            default: return .list(try scores(of: row))
            }
        }
    }

    /// Reads all ids and scores; texts were read with their tables.
    ///
    /// - Parameter refusesMissing: Whether a document that is not there, or an empty text, is an error.
    /// - Returns: What is odd, a sentence each.
    /// - Throws: `TrainingError` naming file and row for a query that is not there, scores that are not numbers, and lists
    ///   of unequal length; what reading throws.
    package func check(refusesMissing: Bool = false) throws -> [String] {
        var ways: Int?
        var missing = 0
        var firstMissing = ""
        for row in (table as? TableView)?.rowsInFileOrder?.map(Int.init) ?? Array(0..<rowCount) {
            let query = try queryRow(of: row)
            if refusesMissing { try texts.queries.refuseEmptyText(ofRow: query) }
            let ids = try documentIDs(of: row)
            let scores = try scores(of: row)
            guard ids.count == scores.count else {
                let found = "has \(Self.count(scores.count, "score")) for \(Self.count(ids.count, "document"))"
                throw refused(row, 2, found, "as many of both")
            }
            guard ids.count > 1 else {
                let found = "has \(Self.count(ids.count, "document"))"
                throw refused(row, 1, found, "2 or more, whose scores are compared")
            }
            guard ids.count == ways ?? ids.count else {
                throw refused(
                    row,
                    1,
                    "has \(ids.count) documents, and a row before \(ways ?? 0)",
                    "as many in every row; n_ways: \(min(ids.count, ways ?? 0)) takes the first so many"
                )
            }
            ways = ids.count
            for id in ids {
                if let document = try texts.documents.row(of: id) {
                    if refusesMissing { try texts.documents.refuseEmptyText(ofRow: document) }
                    continue
                }
                if refusesMissing {
                    let expected = "ids that \(texts.documents.name) has, or empty_texts: keep"
                    throw refused(row, 1, "has \(quoted(id.pythonText, limit: 60))", expected)
                }
                if missing == 0 { firstMissing = id.pythonText }
                missing += 1
            }
        }
        guard missing > 0 else { return [] }
        return [
            "\(name): \(missing) of its documents, such as \(firstMissing), are not in \(texts.documents.name); "
                + "empty texts take their place"
        ]
    }

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    private func queryRow(of row: Int) throws -> Int {
        let id = try table.value(row: row, column: sources[0])
        guard let found = try texts.queries.row(of: id) else {
            throw refused(row, 0, "is \(quoted(id.pythonText, limit: 60))", "an id that \(texts.queries.name) has")
        }
        return found
    }

    private func documentIDs(of row: Int) throws -> [TableValue] {
        try list(1, of: row, "a list of ids").map { id in
            switch id {
            case .text, .integer, .real: return id
            case .null, .boolean, .list: throw refused(row, 1, "has \(id.kindText)", "a list of ids")
            }
        }
    }

    private func scores(of row: Int) throws -> [TableValue] {
        try list(2, of: row, "a list of numbers").map { score in
            switch score {
            case .integer(let number): return .real(Double(number))
            case .real(let number) where Float(number).isFinite: return score
            case .real(let number):
                let range = number.isFinite ? " that float32 holds" : ""
                throw refused(row, 2, "has \(number)", "a list of numbers\(range)")
            case .text(let text):
                throw refused(row, 2, "has the text \(quoted(text, limit: 40))", "a list of numbers")
            case .null, .boolean, .list: throw refused(row, 2, "has \(score.kindText)", "a list of numbers")
            }
        }
    }

    /// The first values of a list, which may be stored as a text.
    private func list(_ source: Int, of row: Int, _ expected: String) throws -> ArraySlice<TableValue> {
        let value = try table.value(row: row, column: sources[source])
        switch value {
        case .list(let values): return values.prefix(texts.ways)
        case .text(let text):
            guard let values = LiteralList.values(of: text) else {
                throw refused(row, source, "is the text \(quoted(text, limit: 60))", "\(expected), or its text")
            }
            return values.prefix(texts.ways)
        case .null, .integer, .real, .boolean: throw refused(row, source, "is \(value.kindText)", expected)
        }
    }

    private func refused(_ row: Int, _ source: Int, _ found: String, _ expected: String) -> TrainingError {
        TrainingError(
            .malformed,
            "\(place(ofRow: row)) column \(quoted(Self.sourceNames[source]))",
            found: found,
            expected: expected
        )
    }
}
