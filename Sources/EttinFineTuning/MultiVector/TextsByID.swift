import EttinCorpus
import EttinFiles
package import EttinTables
import EttinTraining

/// The texts of a table by their ids; texts stay in the table, and 12 bytes for each row in memory.
package struct TextsByID: Sendable {
    /// What messages call the table.
    package var name: String { table.name }
    private let table: any TextTable
    private let idColumn: Int
    private let textColumn: Int
    /// The hashes of all ids, ascending, and the rows that have them.
    private let hashes: [UInt64]
    private let rows: [Int32]
    /// The rows whose text has no characters.
    private let emptyRows: Set<Int32>
    /// A hash of all ids and texts in their order.
    private let contentHash: UInt64
    /// What tells the table from others, wherever it is.
    package var identity: String { "\(rows.count) rows with the hash \(String(contentHash, radix: 16))" }

    /// Reads a table, so that training does not meet a row without a text in the middle.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - idName: The name of the column of ids.
    ///   - key: The key of the recipe that names the table, for messages.
    /// - Throws: `TrainingError` for a column that is not there or holds something else, naming file and row; what
    ///   reading throws.
    package init(_ table: any TextTable, id idName: String, key: String) throws {
        guard let idColumn = table.column(idName), let textColumn = table.column("text") else {
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(table.name), which has the columns "
                    + (table.columnNames.isEmpty ? "(none)" : listing(table.columnNames)),
                expected: "\(quoted(idName)) and \"text\""
            )
        }
        guard table.rowCount <= Int(Int32.max) else {
            throw TrainingError(
                .unsupported,
                key,
                found: "is \(table.name) of \(table.rowCount) rows",
                expected: "at most \(Int32.max)"
            )
        }
        var emptyRows: Set<Int32> = []
        var contentHash: UInt64 = 0
        let keys = try (0..<table.rowCount).map { row in
            let values = try table.values(row: row, columns: [idColumn, textColumn])
            guard let id = Self.key(values[0]) else {
                throw TrainingError(
                    .malformed,
                    "\(table.place(ofRow: row)) column \(quoted(idName))",
                    found: "is \(values[0].kindText)",
                    expected: "a whole number or a text"
                )
            }
            let text = try Self.text(values[1], row: row, of: table)
            if text.isEmpty { emptyRows.insert(Int32(row)) }
            let hash = Self.hash(id)
            contentHash = withUnsafeBytes(of: (contentHash, hash, Self.hash(text))) { XXHash.hash64($0) }
            return hash
        }
        (self.emptyRows, self.contentHash) = (emptyRows, contentHash)
        let order = (0..<Int32(keys.count)).sorted { (keys[Int($0)], $0) < (keys[Int($1)], $1) }
        hashes = order.map { keys[Int($0)] }
        rows = order
        self.table = table
        (self.idColumn, self.textColumn) = (idColumn, textColumn)
    }

    /// The row of an id; of several, the last, as a dictionary of Python keeps it.
    ///
    /// - Parameter id: The id.
    /// - Returns: The row; nil for an id that no row has.
    /// - Throws: What reading the row's own id throws.
    package func row(of id: TableValue) throws -> Int? {
        guard let key = Self.key(id) else { return nil }
        let hash = Self.hash(key)
        var (low, high) = (0, hashes.count)
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] <= hash { low = middle + 1 } else { high = middle }
        }
        while low > 0, hashes[low - 1] == hash {
            let row = Int(rows[low - 1])
            if Self.key(try table.value(row: row, column: idColumn)) == key { return row }
            low -= 1
        }
        return nil
    }

    /// The text of a row.
    ///
    /// - Parameter row: The row.
    /// - Returns: Its text.
    /// - Throws: `TrainingError` for something else than a text; what reading throws.
    package func text(ofRow row: Int) throws -> String {
        try Self.text(try table.value(row: row, column: textColumn), row: row, of: table)
    }

    /// Refuses a text without characters.
    ///
    /// - Parameter row: The row.
    /// - Throws: `TrainingError` naming file and row.
    package func refuseEmptyText(ofRow row: Int) throws {
        guard emptyRows.contains(Int32(row)) else { return }
        throw TrainingError(
            .malformed,
            "\(table.place(ofRow: row)) column \"text\"",
            found: "is an empty text",
            expected: "a text, or empty_texts: keep"
        )
    }

    private static func text(_ value: TableValue, row: Int, of table: any TextTable) throws -> String {
        guard case .text(let text) = value else {
            throw TrainingError(
                .malformed,
                "\(table.place(ofRow: row)) column \"text\"",
                found: "is \(value.kindText)",
                expected: "a text"
            )
        }
        return text
    }

    /// What ids are compared by: 1, 1.0 and "1" are one, whichever a file has.
    private static func key(_ value: TableValue) -> String? {
        switch value {
        case .text(let text): text
        case .integer(let number): "\(number)"
        case .real(let number): Int(exactly: number).map { "\($0)" }
        case .null, .boolean, .list: nil
        }
    }

    private static func hash(_ key: String) -> UInt64 {
        var key = key
        return key.withUTF8 { XXHash.hash64(UnsafeRawBufferPointer($0)) }
    }
}
