import EttinFiles
public import EttinTables

/// Values by row: those of an array, or those of a table's column, which are read when they are asked for.
public struct EvaluationColumn<Value: Sendable>: Sendable {
    /// The number of values.
    public let count: Int
    private let value: @Sendable (Int) throws -> Value
    private let place: @Sendable (Int) -> String

    /// Takes the values of an array.
    ///
    /// - Parameter values: The values.
    public init(_ values: [Value]) {
        count = values.count
        value = { values[$0] }
        place = { "row \($0 + 1)" }
    }

    /// Takes values that are made when they are asked for.
    ///
    /// - Parameters:
    ///   - count: How many there are.
    ///   - place: Says where one is, for messages.
    ///   - value: Makes one.
    package init(
        count: Int,
        place: @escaping @Sendable (Int) -> String,
        _ value: @escaping @Sendable (Int) throws -> Value
    ) {
        self.count = count
        self.place = place
        self.value = value
    }

    /// Takes the values of a table's column that are of a kind.
    private init(
        _ table: any TextTable,
        _ column: Int,
        _ expected: String,
        _ convert: @escaping @Sendable (TableValue) -> Value?
    ) {
        let name = table.columnNames[column]
        self.init(count: table.rowCount, place: { table.place(ofRow: $0) }) { row in
            let value = try table.value(row: row, column: column)
            if let converted = convert(value) { return converted }
            throw EvaluationError(
                .malformed,
                file: table.place(ofRow: row),
                item: "column \(quoted(name))",
                found: "holds \(value.kindText)",
                expected: expected
            )
        }
    }

    /// A value.
    ///
    /// - Parameter row: Its number; a precondition is that there is such.
    /// - Returns: The value.
    /// - Throws: `TableError` when it cannot be read; ``EvaluationError`` when it is of another kind.
    func callAsFunction(_ row: Int) throws -> Value { try value(row) }

    /// Values in a row.
    ///
    /// - Parameter rows: Their numbers; a precondition is that there are such.
    /// - Returns: The values.
    /// - Throws: As for one of them.
    func callAsFunction(_ rows: Range<Int>) throws -> [Value] { try rows.map(value) }

    /// Where a value is, for messages.
    func place(of row: Int) -> String { place(row) }

    /// Some of the values, in an order.
    ///
    /// - Parameter rows: Their numbers.
    /// - Returns: The values in that order.
    func selecting(_ rows: [Int]) -> EvaluationColumn {
        EvaluationColumn(count: rows.count, place: { place(of: rows[$0]) }) { try value(rows[$0]) }
    }
}

/// Texts by row.
public typealias TextColumn = EvaluationColumn<String>
/// Numbers by row.
public typealias NumberColumn = EvaluationColumn<Double>

extension EvaluationColumn where Value == String {
    /// Takes the texts of a table's column, which stay where they are.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - column: The number of the column; a precondition is that there is one.
    public init(_ table: any TextTable, column: Int) {
        self.init(table, column, "a text") { value in
            if case .text(let text) = value { text } else { nil }
        }
    }
}

extension EvaluationColumn where Value == Double {
    /// Takes the numbers of a table's column; true is 1 and false 0.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - column: The number of the column; a precondition is that there is one.
    public init(_ table: any TextTable, column: Int) {
        self.init(table, column, "a number") { value in
            switch value {
            case .integer(let number): Double(number)
            case .real(let number): number
            case .boolean(let flag): flag ? 1 : 0
            case .null, .text, .list: nil
            }
        }
    }
}

extension EvaluationColumn where Value == [String] {
    /// Takes the texts of a table's column, several or one in each row.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - column: The number of the column; a precondition is that there is one.
    public init(_ table: any TextTable, column: Int) {
        self.init(table, column, "a text or a list of texts") { value in
            switch value {
            case .text(let text): return [text]
            case .list(let values):
                let texts = values.compactMap { if case .text(let text) = $0 { text } else { nil } }
                return texts.count == values.count ? texts : nil
            case .null, .integer, .real, .boolean: return nil
            }
        }
    }
}

extension EvaluationColumn where Value == [Double] {
    /// Takes the lists of numbers of a table's column.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - column: The number of the column; a precondition is that there is one.
    package init(_ table: any TextTable, column: Int) {
        self.init(table, column, "a list of numbers") { value in
            guard case .list(let values) = value else { return nil }
            let numbers = values.compactMap { value -> Double? in
                switch value {
                case .integer(let number): Double(number)
                case .real(let number): number.isFinite ? number : nil
                case .null, .text, .boolean, .list: nil
                }
            }
            return numbers.count == values.count ? numbers : nil
        }
    }
}
