package import EttinCorpus
import EttinFiles
package import EttinInference
import EttinJSON
package import EttinTables

/// The rows of a table as pairs of a query and a document, to which a column of scores is added.
///
/// A row has one query and one or more documents: a text, a list of texts, or several columns of either.
package struct ScoringTable: Sendable {
    private let table: any TextTable
    private let query: Int
    private let documents: [Int]
    private let label: String
    /// The columns that are copied.
    private let copied: [Int]
    /// The rows of the table that are scored.
    package let rows: Range<Int>
    /// How many rows are read at a time.
    ///
    /// Parts consist of whole blocks of these, so that each makes the batches that a single run makes, whose scores may
    /// differ in the last digit from those of other batches.
    package static let blockRows = 256

    /// Columns that are not copied, because tables do not give their values.
    package let omittedColumns: [String]

    private static let options = JSONWritingOptions(layout: .singleLine, writesNonFiniteNumbers: true)

    /// Finds the columns of a table.
    ///
    /// - Parameters:
    ///   - table: The rows, which stay where they are.
    ///   - columns: The names of the column of queries and of those of documents; nil for the first two.
    ///   - label: The name of the column of scores.
    ///   - replacesLabel: Whether a column with that name is left out; otherwise it is an error.
    ///   - part: Which consecutive rows are scored: of b blocks those from ⌊index · b / count⌋ on.
    /// - Throws: ``EvaluationError`` for a table without these columns, or with the one that is to be added.
    package init(
        _ table: any TextTable,
        columns: [String]? = nil,
        label: String = "label",
        replacesLabel: Bool = false,
        part: JobPart = .whole
    ) throws {
        self.table = table
        self.label = label
        let names = columns ?? Array(table.columnNames.prefix(2))
        guard names.count >= 2 else {
            throw EvaluationError(
                .missing,
                file: table.name,
                found: "has \(table.columnNames.count) column\(table.columnNames.count == 1 ? "" : "s")",
                expected: "two, of queries and of documents"
            )
        }
        let numbers = try names.map { name in
            if let number = table.column(name) { return number }
            throw EvaluationError(
                .missing,
                file: table.name,
                item: "column \(quoted(name))",
                found: "is not there",
                expected: "--columns with names among \(listing(table.columnNames))"
            )
        }
        if let repeated = numbers.indices.first(where: { numbers[..<$0].contains(numbers[$0]) }) {
            throw EvaluationError(
                .invalidOption,
                file: "--columns",
                item: "column \(quoted(names[repeated]))",
                found: "is named twice",
                expected: "a column of queries, then columns of documents"
            )
        }
        (query, documents) = (numbers[0], Array(numbers.dropFirst()))
        let former = table.column(label)
        if let former, !replacesLabel || numbers.contains(former) {
            throw EvaluationError(
                .invalidOption,
                file: table.name,
                item: "column \(quoted(label))",
                found: "is there already",
                expected: "--column with another name for the scores"
                    + (numbers.contains(former) ? "" : ", or --replace")
            )
        }
        let others = table.columnNames.indices.filter { $0 != former }
        copied = others.filter { table.kind(ofColumn: $0) != .other }
        omittedColumns = others.filter { table.kind(ofColumn: $0) == .other }.map { table.columnNames[$0] }
        let blocks = part.range(of: (table.rowCount + Self.blockRows - 1) / Self.blockRows)
        rows = blocks.lowerBound * Self.blockRows..<min(table.rowCount, blocks.upperBound * Self.blockRows)
    }

    /// The names of the column of queries and of those of documents.
    package var columnNames: [String] { ([query] + documents).map { table.columnNames[$0] } }

    /// Where a row is, for messages.
    package func place(ofRow row: Int) -> String { table.place(ofRow: row) }

    /// What ``check()`` found.
    package struct Content: Sendable, Hashable {
        /// The number of pairs.
        package var pairCount = 0
        /// A hash of all values that are copied.
        package var fingerprint = ""
    }

    /// Reads every row once, so that nothing is wrong with the last one when the others were scored.
    ///
    /// - Returns: How many pairs there are, and a hash of the values.
    /// - Throws: ``EvaluationError`` for a value that is not a text or is empty; `TableError` when the table cannot be
    ///   read.
    package func check() throws -> Content {
        var content = Content()
        // A chain of hashes, so that memory does not grow with the table.
        var bytes: [UInt8] = []
        for row in rows {
            let values = try values(ofRow: row)
            content.pairCount += try pairs(values, row).pairs.count
            bytes += object(values).serialized(Self.options)
            if bytes.count > 1 << 20 { bytes = bytes.withUnsafeBytes { HashAlgorithm.xxh3.digest($0) } }
        }
        content.fingerprint = bytes.withUnsafeBytes { HashAlgorithm.xxh3.hexadecimal($0) }
        return content
    }

    /// A row with its pairs.
    package struct Row {
        /// The query with each document.
        package let pairs: [TextPair]
        /// Whether the row has a list of scores; otherwise it has one pair and one score.
        fileprivate let hasList: Bool
        fileprivate let object: JSONValue
    }

    /// Reads a row.
    ///
    /// - Parameter row: Its number in the table.
    /// - Returns: The row.
    /// - Throws: As ``check()`` does.
    package func row(_ row: Int) throws -> Row {
        let values = try values(ofRow: row)
        let (pairs, hasList) = try pairs(values, row)
        return Row(pairs: pairs, hasList: hasList, object: object(values))
    }

    /// A row with its scores as a line of JSON Lines, with its line feed.
    ///
    /// - Parameters:
    ///   - row: The row.
    ///   - scores: A score for each pair, which are written as float32.
    /// - Returns: UTF-8 text.
    package func line(_ row: Row, _ scores: ArraySlice<Double>) -> [UInt8] {
        let scores = scores.map { JSONValue.number(JSONNumber(Float($0))) }
        var object = row.object.objectValue ?? JSONObject()
        object[label] = row.hasList ? .array(scores) : scores.first ?? .null
        return JSONValue.object(object).serialized(Self.options) + [0x0A]
    }

    // MARK: - Values

    /// The values of the copied columns, then those of the query and the documents.
    private func values(ofRow row: Int) throws -> [TableValue] {
        try table.values(row: row, columns: copied + [query] + documents)
    }

    private func object(_ values: [TableValue]) -> JSONValue {
        .object(JSONObject(zip(copied, values).map { (table.columnNames[$0], $1.json) }))
    }

    private func pairs(_ values: [TableValue], _ row: Int) throws -> (pairs: [TextPair], hasList: Bool) {
        let query = try text(values[copied.count], row, self.query)
        var texts: [String] = []
        var hasList = documents.count > 1
        for (column, value) in zip(documents, values.dropFirst(copied.count + 1)) {
            guard case .list(let list) = value else {
                texts.append(try text(value, row, column))
                continue
            }
            hasList = true
            guard !list.isEmpty else { throw refused(row, column, "is an empty list", "at least one text") }
            texts += try list.map { try text($0, row, column, of: "a list with ") }
        }
        return (texts.map { TextPair(query, $0) }, hasList)
    }

    private func text(_ value: TableValue, _ row: Int, _ column: Int, of container: String = "") throws -> String {
        guard case .text(let text) = value else {
            let expected = column == query ? "a text" : "a text, or a list of texts"
            throw refused(row, column, "holds \(container)\(value.kindText)", expected)
        }
        guard !text.isEmpty else { throw refused(row, column, "holds \(container)an empty text", "a text") }
        return text
    }

    private func refused(_ row: Int, _ column: Int, _ found: String, _ expected: String) -> EvaluationError {
        EvaluationError(
            .malformed,
            file: table.place(ofRow: row),
            item: "column \(quoted(table.columnNames[column]))",
            found: found,
            expected: expected
        )
    }
}

extension TableValue {
    /// The value in JSON.
    fileprivate var json: JSONValue {
        switch self {
        case .null: .null
        case .text(let text): .string(text)
        case .integer(let number): JSONValue(number)
        case .real(let number): .number(JSONNumber(number))
        case .boolean(let value): .bool(value)
        case .list(let values): .array(values.map(\.json))
        }
    }
}
