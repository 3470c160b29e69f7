/// Rows of named columns that stay in their files, or in a memory map of their own, until they are asked for.
///
/// Rows and columns are counted from 0. A table is a value that any number of threads read.
public protocol TextTable: Sendable {
    /// The names of the columns, in the order of the file.
    var columnNames: [String] { get }
    /// The number of rows.
    var rowCount: Int { get }

    /// A value.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - column: The number of the column.
    /// - Returns: The value.
    /// - Throws: When it cannot be read, or is broken.
    func value(row: Int, column: Int) throws -> TableValue

    /// Where a row is, for messages: `train.jsonl: line 5`.
    ///
    /// - Parameter row: The number of the row.
    /// - Returns: The file and the line, or the row of a file without lines.
    func place(ofRow row: Int) -> String
}
