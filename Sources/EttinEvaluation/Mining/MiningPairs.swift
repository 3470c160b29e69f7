import EttinFiles
public import EttinTables

/// Pairs of anchors and positives, each text once, with the corpus that negatives come from.
///
/// Texts are the same when their code points are, as in Python; canonical equivalence does not count.
public struct MiningPairs: Sendable {
    /// The anchors, each once, in the order in which they first occur.
    public let anchors: [String]
    /// The corpus and all positives, each text once.
    public let corpus: [String]
    /// For each anchor its positives, as places in the corpus, each once, in the order in which they first occur.
    let positives: [[Int32]]
    /// The number of rows.
    public let rowCount: Int
    /// The largest number of rows with the same anchor.
    public let mostPositives: Int
    /// The names of the columns.
    let anchorName: String
    let positiveName: String

    /// Gathers the pairs of a table.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - anchorColumn: The name of the anchors' column; nil for the first.
    ///   - positiveColumn: The name of the positives' column; nil for the second.
    ///   - corpus: Texts that may be negatives, besides the positives; nil for the positives alone.
    /// - Throws: ``EvaluationError`` for a missing column, and for a value that is not a text or is empty; `TableError` when
    ///   the table cannot be read.
    public init(
        _ table: any TextTable,
        anchorColumn: String? = nil,
        positiveColumn: String? = nil,
        corpus: [String]? = nil
    ) throws {
        guard table.rowCount > 0 else {
            throw EvaluationError(
                .malformed,
                file: table.name,
                found: "has no rows",
                expected: "at least one pair"
            )
        }
        let anchorColumn = try Self.column(anchorColumn, "--anchor-column-name", of: table, default: 0)
        let positiveColumn = try Self.column(positiveColumn, "--positive-column-name", of: table, default: 1)
        guard anchorColumn != positiveColumn else {
            throw EvaluationError(
                .invalidOption,
                file: table.name,
                item: "column \(quoted(table.columnNames[anchorColumn]))",
                found: "is the column of anchors and of positives",
                expected: "two columns; see --anchor-column-name and --positive-column-name"
            )
        }
        var anchors = DistinctTexts()
        var documents = DistinctTexts()
        corpus?.forEach { _ = documents.number(of: $0) }
        var positives: [[Int32]] = []
        var rows: [Int] = []
        for row in 0..<table.rowCount {
            let values = try table.values(row: row, columns: [anchorColumn, positiveColumn])
            let anchor = anchors.number(of: try Self.text(values[0], table, row, anchorColumn))
            let positive = documents.number(of: try Self.text(values[1], table, row, positiveColumn))
            if anchor == positives.count {
                positives.append([])
                rows.append(0)
            }
            rows[anchor] += 1
            if !positives[anchor].contains(Int32(positive)) { positives[anchor].append(Int32(positive)) }
        }
        self.anchors = anchors.texts
        self.corpus = documents.texts
        self.positives = positives
        rowCount = table.rowCount
        mostPositives = rows.max() ?? 0
        anchorName = table.columnNames[anchorColumn]
        positiveName = table.columnNames[positiveColumn]
    }

    /// The number of pairs, each once.
    var pairCount: Int { positives.reduce(0) { $0 + $1.count } }

    private static func column(
        _ name: String?,
        _ option: String,
        of table: any TextTable,
        default place: Int
    ) throws -> Int {
        guard let name else {
            guard table.columnNames.count > place else {
                throw EvaluationError(
                    .missing,
                    file: table.name,
                    found: "has \(table.columnNames.count) column\(table.columnNames.count == 1 ? "" : "s")",
                    expected: "two, of anchors and of positives"
                )
            }
            return place
        }
        guard let column = table.columnNames.firstIndex(of: name) else {
            throw EvaluationError(
                .missing,
                file: table.name,
                item: "column \(quoted(name))",
                found: "of \(option) is not there",
                expected: table.columnNames.map { quoted($0) }.joined(separator: ", ")
            )
        }
        return column
    }

    private static func text(
        _ value: TableValue,
        _ table: any TextTable,
        _ row: Int,
        _ column: Int
    ) throws -> String {
        if case .text(let text) = value, !text.isEmpty { return text }
        throw EvaluationError(
            .malformed,
            file: table.place(ofRow: row),
            item: "column \(quoted(table.columnNames[column]))",
            found: value == .text("") ? "is empty" : "holds \(value.kindText)",
            expected: "a text"
        )
    }
}

/// Texts by the order in which they first came.
struct DistinctTexts {
    private(set) var texts: [String] = []
    private var numbers: [ExactName: Int] = [:]

    /// The number of a text, which is a new one where the text is.
    mutating func number(of text: String) -> Int {
        let count = texts.count
        let number = numbers[ExactName(text), default: count]
        if number == count {
            numbers[ExactName(text)] = count
            texts.append(text)
        }
        return number
    }
}
