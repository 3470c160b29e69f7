import EttinFiles
public import EttinTables

/// Texts by row: those of an array, or those of a table's column, which are read when they are asked for.
public struct TextColumn: Sendable {
    /// The number of texts.
    public let count: Int
    private let text: @Sendable (Int) throws -> String

    /// Takes the texts of an array.
    ///
    /// - Parameter texts: The texts.
    public init(_ texts: [String]) {
        count = texts.count
        text = { texts[$0] }
    }

    /// Takes the texts of a table's column, which stay where they are.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - column: The number of the column; a precondition is that there is one.
    public init(_ table: any TextTable, column: Int) {
        count = table.rowCount
        let name = table.columnNames[column]
        text = { row in
            let value = try table.value(row: row, column: column)
            if case .text(let text) = value { return text }
            throw EvaluationError(
                .malformed,
                file: table.place(ofRow: row),
                item: "column \(quoted(name))",
                found: "holds \(value.kind)",
                expected: "a text"
            )
        }
    }

    /// Texts in a row.
    ///
    /// - Parameter rows: Their numbers; a precondition is that there are such.
    /// - Returns: The texts.
    /// - Throws: `TableError` when one cannot be read; ``EvaluationError`` for a value that is not a text.
    func texts(_ rows: Range<Int>) throws -> [String] { try rows.map(text) }
}

extension TableValue {
    /// What a message calls the value.
    var kind: String {
        switch self {
        case .null: "nothing"
        case .text: "a text"
        case .integer: "a whole number"
        case .real: "a number"
        case .boolean: "a truth value"
        case .list: "a list"
        }
    }
}
