import EttinFiles
import EttinTables

/// The columns of a table by what they are to an evaluation: texts by position, and a column of labels by its name.
///
/// > Source: sentence-transformers 6.2, the column rule of its trainers.
struct TableColumns {
    private let table: any TextTable
    private let texts: [Int]
    private let label: Int?

    private static let labelNames = ["label", "labels", "score", "scores"]

    init(_ table: any TextTable) {
        self.table = table
        label = Self.labelNames.lazy.compactMap { table.columnNames.firstIndex(of: $0) }.first
        texts = table.columnNames.indices.filter { [label] in $0 != label && table.columnNames[$0] != "dataset_name" }
    }

    /// The first columns of texts.
    ///
    /// - Parameters:
    ///   - names: What each column holds.
    ///   - evaluator: The evaluator.
    /// - Returns: As many columns.
    /// - Throws: ``EvaluationError`` for a table with fewer.
    func texts(_ names: [String], in evaluator: String) throws -> [TextColumn] {
        guard texts.count >= names.count else {
            throw missing("\(names.count) of texts, in this order: \(names.joined(separator: ", "))", evaluator)
        }
        return names.indices.map { TextColumn(table, column: texts[$0]) }
    }

    /// The column of labels.
    ///
    /// - Parameter evaluator: The evaluator.
    /// - Returns: The column.
    /// - Throws: ``EvaluationError`` for a table without.
    func labels(in evaluator: String) throws -> NumberColumn {
        guard let label else {
            throw missing("a column of numbers named \(Self.labelNames.joined(separator: ", "))", evaluator)
        }
        return NumberColumn(table, column: label)
    }

    /// A column by its name.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - evaluator: The evaluator.
    /// - Returns: Its number.
    /// - Throws: ``EvaluationError`` for a table without.
    func column(_ name: String, in evaluator: String) throws -> Int {
        guard let column = optionalColumn(name) else { throw missing("one named \(quoted(name))", evaluator) }
        return column
    }

    /// A column by its name; nil for none.
    func optionalColumn(_ name: String) -> Int? { table.columnNames.firstIndex(of: name) }

    private func missing(_ expected: String, _ evaluator: String) -> EvaluationError {
        EvaluationError(
            .missing,
            file: evaluator,
            item: "data",
            found: "has the columns \(table.columnNames.isEmpty ? "(none)" : listing(table.columnNames))",
            expected: expected
        )
    }
}

/// Refuses columns of different lengths and those without a row, whose metrics would not be numbers.
///
/// - Parameters:
///   - counts: The number of rows of each column.
///   - names: What each column holds.
///   - evaluator: The evaluator.
/// - Throws: ``EvaluationError`` that names them.
func checkLengths(_ counts: [Int], of names: [String], in evaluator: String) throws {
    for (name, count) in zip(names, counts).dropFirst() where count != counts[0] {
        throw EvaluationError(
            .malformed,
            file: evaluator,
            item: "\"\(name)\"",
            found: "has \(count) rows beside \(counts[0]) of \"\(names[0])\"",
            expected: "as many"
        )
    }
    guard counts[0] == 0 else { return }
    throw EvaluationError(.malformed, file: evaluator, found: "has no data", expected: "at least one row")
}
