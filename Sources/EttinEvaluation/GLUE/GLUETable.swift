import EttinFiles
public import EttinTables

/// The rows of a task of GLUE as they are on the Hub: its texts and `label`, a class by number, or a number.
///
/// The columns of the original files have other names, and labels may be words; both are read. Rows that lack a value are
/// left out, as some of QQP do, and counted.
public struct GLUETable: TextTable {
    /// The task.
    public let task: GLUETask
    /// How many rows were left out because a value is missing.
    public let incompleteCount: Int
    private let rows: TableView

    /// Takes the rows of a task from a table.
    ///
    /// - Parameters:
    ///   - rows: The rows, with the columns of the original files or of the Hub.
    ///   - task: The task.
    /// - Throws: `TableError` for a column that is not there, ``EvaluationError`` naming the row for a label that the task
    ///   does not have.
    public init(_ rows: TableView, task: GLUETask) throws {
        self.task = task
        let names = try task.columnNames.map { names in
            guard let name = names.first(where: { rows.column($0) != nil }) else {
                throw EvaluationError(
                    .missing,
                    file: rows.name,
                    item: "column \(quoted(names[0]))",
                    found: "is not there",
                    expected: "\(names.joined(separator: " or ")), as the files of \(task.title) have it, in "
                        + rows.columnNames.map { quoted($0) }.joined(separator: ", ")
                )
            }
            return name
        }
        let chosen = try rows.keeping(columns: names)
        let columns = Array(names.indices)
        var complete: [Int] = []
        for row in 0..<chosen.rowCount {
            let values = try chosen.values(row: row, columns: columns)
            if values.contains(.null) { continue }
            _ = try Self.label(values[columns.count - 1], task, chosen, row)
            complete.append(row)
        }
        incompleteCount = chosen.rowCount - complete.count
        self.rows = incompleteCount == 0 ? chosen : try chosen.select(complete)
    }

    /// The names of the columns on the Hub: the texts, then `label`.
    public var columnNames: [String] { task.textColumns + ["label"] }

    /// The number of rows that are whole.
    public var rowCount: Int { rows.rowCount }

    /// What messages call the table.
    public var name: String { rows.name }

    /// Some values of a row.
    ///
    /// - Parameters:
    ///   - row: The number of the row.
    ///   - columns: The numbers of the columns.
    /// - Returns: The values in the order of `columns`.
    /// - Throws: When they cannot be read, or are broken.
    public func values(row: Int, columns: [Int]) throws -> [TableValue] {
        try zip(columns, rows.values(row: row, columns: columns)).map { column, value in
            if column == task.textColumns.count { return try Self.label(value, task, rows, row) }
            // A column whose cells all look like numbers is one of texts all the same.
            if case .text = value { return value }
            return .text(value.pythonText)
        }
    }

    /// Texts, and the kind of the labels.
    ///
    /// - Parameter column: The number of the column.
    /// - Returns: The kind.
    public func kind(ofColumn column: Int) -> TableColumnKind {
        column < task.textColumns.count ? .text : task.isRegression ? .real : .integer
    }

    /// The names of the classes.
    ///
    /// - Parameter column: The number of the column.
    /// - Returns: Those of the task for `label`; nil for texts, and for regression.
    public func classNames(ofColumn column: Int) -> [String]? {
        column < task.textColumns.count || task.isRegression ? nil : task.labelNames
    }

    /// Where a row is, for messages.
    ///
    /// - Parameter row: The number of the row.
    /// - Returns: The file and the line, or the row of a file without lines.
    public func place(ofRow row: Int) -> String { rows.place(ofRow: row) }

    private static func label(
        _ value: TableValue,
        _ task: GLUETask,
        _ table: TableView,
        _ row: Int
    ) throws -> TableValue {
        switch value {
        case .integer(let number) where task.isRegression && 0...5 ~= number: return .real(Double(number))
        case .real(let number) where task.isRegression && 0...5 ~= number: return .real(number)
        case .integer(let number) where task.labelNames.indices.contains(number): return .integer(number)
        case .real(let number):
            // Whole numbers are read as reals where the column lacks some, as in QQP's training set.
            if let number = Int(exactly: number), task.labelNames.indices.contains(number) { return .integer(number) }
        case .text(let name):
            if let number = task.labelNames.firstIndex(of: name) { return .integer(number) }
        case .null, .integer, .boolean, .list: break
        }
        let isHidden = value == .integer(-1) || value == .real(-1)
        throw EvaluationError(
            .malformed,
            file: table.place(ofRow: row),
            item: "the label",
            found: "is \(value.pythonText)" + (isHidden ? ", as in the test set, whose labels are not public" : ""),
            expected: task.isRegression
                ? "a number from 0 to 5"
                : task.labelNames.enumerated().map { "\($0) (\($1))" }.joined(separator: ", ")
        )
    }
}

extension GLUETask {
    /// The names that each column has: on the Hub, then in the original files.
    fileprivate var columnNames: [[String]] {
        switch self {
        case .cola, .sst2: [["sentence"], ["label"]]
        case .mrpc: [["sentence1", "#1 String"], ["sentence2", "#2 String"], ["label", "Quality"]]
        case .stsb: [["sentence1"], ["sentence2"], ["label", "score"]]
        case .qqp: [["question1"], ["question2"], ["label", "is_duplicate"]]
        case .mnli: [["premise", "sentence1"], ["hypothesis", "sentence2"], ["label", "gold_label"]]
        case .qnli: [["question"], ["sentence"], ["label"]]
        case .rte, .wnli: [["sentence1"], ["sentence2"], ["label"]]
        }
    }
}
