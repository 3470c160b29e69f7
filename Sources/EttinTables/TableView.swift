import EttinCorpus
public import EttinJSON

/// Some rows of a table in any order, with some of its columns.
///
/// The rows of a permutation take 4 bytes each, which the parts of a split share.
public struct TableView: TextTable {
    private enum Rows: Sendable {
        case range(Range<Int>)
        case list(ArraySlice<Int32>)

        var count: Int {
            switch self {
            case .range(let range): range.count
            case .list(let rows): rows.count
            }
        }

        subscript(row: Int) -> Int {
            switch self {
            case .range(let range): range.lowerBound + row
            case .list(let rows): Int(rows[rows.startIndex + row])
            }
        }
    }

    private let table: any TextTable
    private var rows: Rows
    private var columns: [Int]
    /// The names of the columns, in the order that was asked for.
    public private(set) var columnNames: [String]

    /// What the rows are of.
    package var source: any TextTable { table }

    /// All of a table.
    ///
    /// - Parameter table: The table.
    public init(_ table: any TextTable) {
        if let view = table as? TableView {
            self = view
            return
        }
        self.table = table
        rows = .range(0..<table.rowCount)
        columnNames = table.columnNames
        columns = Array(table.columnNames.indices)
    }

    /// The number of rows.
    public var rowCount: Int { rows.count }

    /// What messages call the table.
    public var name: String { table.name }

    /// Some values of a row.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - columns: The numbers of the columns.
    /// - Returns: The values in the order of `columns`.
    /// - Throws: When they cannot be read, or are broken.
    public func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try table.values(row: rows[row], columns: columns.map { self.columns[$0] })
    }

    /// Some values of a row as JSON.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - columns: The numbers of the columns.
    /// - Returns: The values in the order of `columns`.
    /// - Throws: When they cannot be read, or are broken.
    public func json(row: Int, columns: [Int]) throws -> [JSONValue] {
        try table.json(row: rows[row], columns: columns.map { self.columns[$0] })
    }

    /// What the values of a column are.
    ///
    /// - Parameter column: The number of the column.
    /// - Returns: The kind.
    public func kind(ofColumn column: Int) -> TableColumnKind { table.kind(ofColumn: columns[column]) }

    /// The names of the classes that the numbers of a column stand for.
    ///
    /// - Parameter column: The number of the column.
    /// - Returns: The names, by number; nil for a column of anything else.
    public func classNames(ofColumn column: Int) -> [String]? { table.classNames(ofColumn: columns[column]) }

    /// Where a row is, for messages.
    ///
    /// - Parameter row: The number of the row.
    /// - Returns: The file and the line, or the row of a file without lines.
    public func place(ofRow row: Int) -> String {
        table.place(ofRow: row < rowCount ? rows[row] : 0)
    }

    /// The rows of this view in the order in which they lie in their files, for what reads all of them; nil where that is
    /// their order.
    ///
    /// Reading a permutation of a large file row by row would touch its pages in random order.
    package var rowsInFileOrder: [Int32]? {
        guard case .list(let list) = rows else { return nil }
        return (0..<Int32(list.count)).sorted { list[list.startIndex + Int($0)] < list[list.startIndex + Int($1)] }
    }

    /// Consecutive rows, as `select(range(…))` of `datasets` takes them.
    ///
    /// - Parameter range: The rows of this view.
    /// - Returns: The view.
    /// - Throws: `TableError` when there are not so many rows.
    public func select(_ range: Range<Int>) throws -> TableView {
        guard range.lowerBound >= 0, range.upperBound <= rowCount else {
            throw TableError(
                .invalidOption,
                file: name,
                found: "has \(rowCount) rows",
                expected: "\(range.upperBound) or more to select from"
            )
        }
        var view = self
        switch rows {
        case .range(let all):
            view.rows = .range(all.lowerBound + range.lowerBound..<all.lowerBound + range.upperBound)
        case .list(let list):
            view.rows = .list(list[list.startIndex + range.lowerBound..<list.startIndex + range.upperBound])
        }
        return view
    }

    /// Rows in an order of the caller's.
    ///
    /// - Parameter list: The numbers of rows of this view; one may occur several times.
    /// - Returns: The view.
    /// - Throws: `TableError` when there is no such row.
    public func select(_ list: some Sequence<Int>) throws -> TableView {
        var view = self
        view.rows = .list(
            try list.map { row -> Int32 in
                guard row >= 0, row < rowCount, let number = Int32(exactly: rows[row]) else {
                    throw TableError(
                        .invalidOption,
                        file: name,
                        found: "has \(rowCount) rows",
                        expected: "a row \(row) to select"
                    )
                }
                return number
            }[...]
        )
        return view
    }

    /// Some columns in an order of the caller's.
    ///
    /// - Parameter names: The names.
    /// - Returns: The view.
    /// - Throws: `TableError` for a column that is not there, or is named twice.
    public func keeping(columns names: [String]) throws -> TableView {
        var view = self
        view.columnNames = []
        view.columns = []
        for wanted in names {
            guard let column = column(wanted) else {
                throw TableError(
                    .missing,
                    file: name,
                    item: "column \(shown(wanted))",
                    found: "is not there",
                    expected: "one of \(columnNames.map { shown($0) }.joined(separator: ", "))"
                )
            }
            guard view.column(wanted) == nil else {
                throw TableError(.invalidOption, file: name, item: "column \(shown(wanted))", found: "is named twice")
            }
            view.columnNames.append(columnNames[column])
            view.columns.append(columns[column])
        }
        return view
    }

    /// How many rows are for tests.
    public enum TestSize: Hashable, Sendable {
        /// A number of rows.
        case count(Int)
        /// A fraction of all rows, between 0 and 1, rounded up.
        case fraction(Double)
    }

    /// Splits the rows as `train_test_split` of `datasets` does.
    ///
    /// - Parameters:
    ///   - testSize: How many rows are for tests.
    ///   - seed: The seed of the permutation.
    ///   - shuffles: Whether the rows are permuted; otherwise the last ones are for tests.
    /// - Returns: Both parts, in the order of the permutation.
    /// - Throws: `TableError` when a part would be empty, or there are too many rows to permute.
    ///
    /// > Source: `datasets`, `Dataset.train_test_split`; the permutation is that of `numpy.random.default_rng`.
    public func trainTestSplit(
        testSize: TestSize,
        seed: UInt64,
        shuffles: Bool = true
    ) throws -> (train: TableView, test: TableView) {
        let total = rowCount
        func refused(_ found: String, _ expected: String) -> TableError {
            TableError(.invalidOption, file: "test_size", found: found, expected: expected)
        }
        let testCount: Int
        switch testSize {
        case .count(let count):
            guard count > 0, count < total else {
                throw refused("is \(count) for \(total) rows of \(name)", "a count from 1 to \(total - 1)")
            }
            testCount = count
        case .fraction(let fraction):
            guard fraction > 0, fraction < 1 else {
                throw refused("is \(fraction)", "a fraction between 0 and 1, or a count of rows")
            }
            testCount = Int((fraction * Double(total)).rounded(.up))
            guard testCount > 0, testCount < total else {
                throw refused("is \(fraction) for \(total) rows of \(name)", "one that leaves rows for both parts")
            }
        }
        guard shuffles else { return (try select(0..<total - testCount), try select(total - testCount..<total)) }
        guard total <= Int(Int32.max) else {
            throw TableError(
                .unsupported,
                file: name,
                found: "has \(total) rows",
                expected: "at most \(Int32.max) to permute; select fewer first"
            )
        }
        var generator = NumPyGenerator(seed: seed)
        var order = generator.permutation(total, as: Int32.self)
        if case .range(0..<total) = rows {
        } else {
            for place in order.indices { order[place] = try stored(rows[Int(order[place])]) }
        }
        var (train, test) = (self, self)
        test.rows = .list(order[..<testCount])
        train.rows = .list(order[testCount...])
        return (train, test)
    }

    private func stored(_ row: Int) throws -> Int32 {
        guard let number = Int32(exactly: row) else {
            throw TableError(.unsupported, file: name, found: "has a row \(row)", expected: "rows below \(Int32.max)")
        }
        return number
    }
}
