public import EttinJSON

/// Rows of named columns that stay in their files, or in a memory map of their own, until they are asked for.
///
/// Rows and columns are counted from 0. A table is a value that any number of threads read.
public protocol TextTable: Sendable {
    /// The names of the columns, in the order of the file.
    var columnNames: [String] { get }
    /// The number of rows.
    var rowCount: Int { get }
    /// What messages call the table: its file, or the first of several.
    var name: String { get }

    /// A value.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - column: The number of the column.
    /// - Returns: The value.
    /// - Throws: When it cannot be read, or is broken.
    func value(row: Int, column: Int) throws -> TableValue

    /// Some values of a row, which costs less than asking for one after the other.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - columns: The numbers of the columns.
    /// - Returns: The values in the order of `columns`.
    /// - Throws: When they cannot be read, or are broken.
    func values(row: Int, columns: [Int]) throws -> [TableValue]

    /// Some values of a row as JSON, with the objects that other reading refuses, such as the messages of a conversation.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - columns: The numbers of the columns.
    /// - Returns: The values in the order of `columns`.
    /// - Throws: When they cannot be read, or are broken.
    func json(row: Int, columns: [Int]) throws -> [JSONValue]

    /// What the values of a column are.
    ///
    /// - Parameter column: The number of the column.
    /// - Returns: The kind.
    func kind(ofColumn column: Int) -> TableColumnKind

    /// The names of the classes that the numbers of a column stand for (`ClassLabel` of `datasets`).
    ///
    /// - Parameter column: The number of the column.
    /// - Returns: The names, by number; nil for a column of anything else.
    func classNames(ofColumn column: Int) -> [String]?

    /// Where a row is, for messages: `train.jsonl: line 5`.
    ///
    /// - Parameter row: The number of the row.
    /// - Returns: The file and the line, or the row of a file without lines.
    func place(ofRow row: Int) -> String
}

extension TextTable {
    /// A value.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - column: The number of the column.
    /// - Returns: The value.
    /// - Throws: When it cannot be read, or is broken.
    public func value(row: Int, column: Int) throws -> TableValue { try values(row: row, columns: [column])[0] }

    /// The values without objects.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - columns: The numbers of the columns.
    /// - Returns: The values in the order of `columns`.
    /// - Throws: When they cannot be read, are broken, or are objects.
    public func json(row: Int, columns: [Int]) throws -> [JSONValue] {
        try values(row: row, columns: columns).map(\.json)
    }

    /// No column has classes.
    public func classNames(ofColumn column: Int) -> [String]? { nil }

    /// The number of a column.
    ///
    /// - Parameter name: The name.
    /// - Returns: The number; nil where there is no such column.
    package func column(_ name: String) -> Int? {
        columnNames.firstIndex { $0.utf8.elementsEqual(name.utf8) }
    }
}

/// What the values of a column are.
public enum TableColumnKind: String, Hashable, Sendable {
    /// Nothing in any row.
    case null
    /// Texts.
    case text
    /// Whole numbers.
    case integer
    /// Numbers, of which some have a fraction; `TableValue.real` in every row.
    case real
    /// True or false.
    case boolean
    /// Lists.
    case list
    /// Objects, bytes or dates; objects are read as JSON alone.
    case other
    /// Values that do not go together, such as texts and numbers.
    case mixed

    /// The kind of a column with values of two kinds.
    func merged(with other: TableColumnKind) -> TableColumnKind {
        switch (self, other) {
        case (.null, let kind), (let kind, .null): kind
        case (.integer, .real), (.real, .integer): .real
        case (let first, let second): first == second ? first : .mixed
        }
    }
}
