import EttinFiles
import EttinTables

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

/// The first columns of a table, by position.
///
/// - Parameters:
///   - table: The table.
///   - names: What each column holds.
///   - evaluator: The evaluator.
/// - Returns: As many columns.
/// - Throws: ``EvaluationError`` for a table with fewer.
func textColumns(of table: any TextTable, _ names: [String], in evaluator: String) throws -> [TextColumn] {
    guard table.columnNames.count >= names.count else {
        throw EvaluationError(
            .missing,
            file: evaluator,
            item: "data",
            found: "has the columns \(table.columnNames.isEmpty ? "(none)" : listing(table.columnNames))",
            expected: "\(names.count), in this order: \(names.joined(separator: ", "))"
        )
    }
    return names.indices.map { TextColumn(table, column: $0) }
}
