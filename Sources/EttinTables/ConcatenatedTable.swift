import EttinJSON

/// Several tables with the same columns, one behind the other.
final class ConcatenatedTable: TextTable {
    let columnNames: [String]
    let rowCount: Int
    private let parts: [any TextTable]
    /// The first row of each part.
    private let firstRows: [Int]
    /// The column of each part for each of ours.
    private let columns: [[Int]]
    private let kinds: [TableColumnKind]

    init(_ parts: [any TextTable]) throws {
        precondition(!parts.isEmpty, "ConcatenatedTable: there is a table")
        let names = parts[0].columnNames
        var kinds = names.indices.map { parts[0].kind(ofColumn: $0) }
        var columns: [[Int]] = []
        var firstRows: [Int] = []
        var count = 0
        for part in parts {
            firstRows.append(count)
            count += part.rowCount
            func refused(_ column: String, _ found: String, _ expected: String) -> TableError {
                TableError(
                    .malformed,
                    file: part.name,
                    item: "column \(shown(column))",
                    found: found,
                    expected: expected
                )
            }
            if let other = part.columnNames.first(where: { name in !names.contains { $0 == name } }) {
                throw refused(
                    other,
                    "is not in \(parts[0].name)",
                    "the columns \(names.map { shown($0) }.joined(separator: ", ")) in every file"
                )
            }
            columns.append(
                try names.map { name in
                    guard let column = part.column(name) else {
                        throw refused(name, "is not there", "the columns of \(parts[0].name) in every file")
                    }
                    return column
                }
            )
            for (column, name) in names.enumerated() {
                let kind = part.kind(ofColumn: columns[columns.count - 1][column])
                let merged = kinds[column].merged(with: kind)
                guard merged != .mixed || kind == .mixed || kinds[column] == .mixed else {
                    throw refused(
                        name,
                        "has values of kind \(kind.rawValue)",
                        "\(kinds[column].rawValue), as in the files before"
                    )
                }
                kinds[column] = merged
            }
        }
        self.parts = parts
        self.columns = columns
        self.firstRows = firstRows
        self.kinds = kinds
        columnNames = names
        rowCount = count
    }

    var name: String { parts[0].name }

    func kind(ofColumn column: Int) -> TableColumnKind { kinds[column] }

    func classNames(ofColumn column: Int) -> [String]? { parts[0].classNames(ofColumn: columns[0][column]) }

    func place(ofRow row: Int) -> String {
        let part = part(ofRow: row)
        return parts[part].place(ofRow: row - firstRows[part])
    }

    func values(row: Int, columns: [Int]) throws -> [TableValue] {
        let part = part(ofRow: row)
        var values = try parts[part].values(row: row - firstRows[part], columns: columns.map { self.columns[part][$0] })
        for (place, column) in columns.enumerated() where kinds[column] == .real {
            if case .integer(let number) = values[place] { values[place] = .real(Double(number)) }
        }
        return values
    }

    func json(row: Int, columns: [Int]) throws -> [JSONValue] {
        let part = part(ofRow: row)
        return try parts[part].json(row: row - firstRows[part], columns: columns.map { self.columns[part][$0] })
    }

    /// The last part that begins at a row or before; empty ones have no rows.
    private func part(ofRow row: Int) -> Int {
        var (low, high) = (0, firstRows.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if firstRows[middle] <= row { low = middle } else { high = middle }
        }
        return low
    }
}
