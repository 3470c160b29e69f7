import EttinCorpus
import EttinFiles
package import EttinTables
import EttinTraining

/// A table as training reads it: columns of texts by position, and a column of labels.
///
/// The label column is the first of `label`, `labels`, `score` and `scores` that there is; all others are texts, in their
/// order. Rows are read, and checked, when they are asked for; ``checkRows()`` checks all of them.
///
/// > Source: sentence-transformers, `base/data_collator.py`.
package struct TrainingColumns: SampledRows, Sendable {
    /// What happens to texts without characters.
    package enum EmptyTextRule: String, Hashable, Sendable, CaseIterable {
        /// They are errors; the default, because an empty text is a hole in the data more often than not.
        case refuse
        /// They are texts as others, as in sentence-transformers.
        case keep
    }

    /// The names of label columns, the first of which counts.
    package static let labelNames = ["label", "labels", "score", "scores"]
    private static let reservedNames = ["dataset_name", "return_loss"]

    /// The table.
    package let source: any TextTable
    /// The name of the data set in the recipe; nil for the only one.
    package let dataset: String?
    /// The names of the columns of texts, in order.
    package let columnNames: [String]
    /// The prompt of each column of texts; nil for none.
    package let prompts: [String?]
    /// The name of the label column; nil for a table without.
    package let labelName: String?
    /// Which columns of texts hold lists of them.
    package let listColumns: [Bool]
    /// What the label of a row is; nil for a table without labels.
    package let labelKind: LossLabels.Kind?
    /// What is worth telling the user: columns that look like ids, or stand in an unusual order.
    package let warnings: [String]

    private let textColumns: [Int]
    private let labelColumn: Int?
    private let comparedColumns: [Int]
    private let emptyTexts: EmptyTextRule
    private let readsLists: Bool

    /// Prepares a table.
    ///
    /// - Parameters:
    ///   - table: The table, with its columns in the order in which the loss takes them.
    ///   - dataset: The name of the data set in the recipe; nil for the only one.
    ///   - prompts: The prompts of training.
    ///   - emptyTexts: What happens to texts without characters.
    ///   - readsLists: Whether columns may hold lists of texts, and labels lists of numbers of any length.
    /// - Throws: `TrainingError` for columns that training cannot use; what reading throws.
    package init(
        _ table: any TextTable,
        dataset: String? = nil,
        prompts: TrainingPrompts = .none,
        emptyTexts: EmptyTextRule = .refuse,
        readsLists: Bool = false
    ) throws {
        let names = table.columnNames
        if let reserved = names.first(where: { Self.reservedNames.contains($0) }) {
            throw TrainingError(
                .unsupported,
                table.name,
                found: "has a column \(quoted(reserved)), which is reserved",
                expected: "another name, or columns: without it"
            )
        }
        let label = Self.labelNames.first { names.contains($0) }
        labelName = label
        labelColumn = label.flatMap { table.column($0) }
        textColumns = names.indices.filter { names[$0] != label }
        comparedColumns = names.indices.filter { !Self.labelNames.contains(names[$0]) }
        columnNames = names.filter { $0 != label }
        source = table
        self.dataset = dataset
        self.emptyTexts = emptyTexts
        self.readsLists = readsLists
        listColumns = textColumns.map { readsLists && table.kind(ofColumn: $0) == .list }
        self.prompts = columnNames.map { prompts.prompt(ofColumn: $0, in: dataset) }
        guard !columnNames.isEmpty else {
            throw TrainingError(
                .unsupported,
                table.name,
                found: "has no columns of texts",
                expected: "at least one beside \(quoted(label ?? "label"))"
            )
        }
        for column in textColumns {
            switch table.kind(ofColumn: column) {
            case .text, .mixed, .list, .null: continue
            case let kind:
                throw TrainingError(
                    .unsupported,
                    table.name,
                    found: "has the column \(quoted(names[column])) of kind \(kind.rawValue)",
                    expected: "texts; columns: chooses the columns to train on"
                )
            }
        }
        labelKind = try labelColumn.map { try Self.kind(ofLabels: $0, in: table, readsLists: readsLists) }
        warnings = Self.warnings(columnNames, table.name)
    }

    package var name: String { source.name }
    package var rowCount: Int { source.rowCount }

    private static func kind(
        ofLabels column: Int,
        in table: any TextTable,
        readsLists: Bool
    ) throws -> LossLabels.Kind {
        switch table.kind(ofColumn: column) {
        case .list where readsLists: return .lists
        case .integer, .boolean: return .integer
        case .real: return .real
        case .list:
            guard table.rowCount > 0, case .list(let values) = try table.value(row: 0, column: column) else { break }
            return .list(count: flattened(values).count)
        case .null, .text, .other, .mixed: break
        }
        throw TrainingError(
            .unsupported,
            table.name,
            found:
                "has labels of kind \(table.kind(ofColumn: column).rawValue) in \(quoted(table.columnNames[column]))",
            expected: "numbers, or lists of numbers"
        )
    }

    /// The elements of lists in a list one after the other, such as a teacher's vector for each column of texts; of any
    /// other list, its elements.
    private static func flattened(_ values: [TableValue]) -> [TableValue] {
        let lists = values.compactMap { value -> [TableValue]? in if case .list(let list) = value { list } else { nil }
        }
        guard let first = lists.first, lists.count == values.count, lists.allSatisfy({ $0.count == first.count }) else {
            return values
        }
        return lists.flatMap(\.self)
    }

    private static func warnings(_ names: [String], _ file: String) -> [String] {
        var warnings: [String] = []
        let ids = names.filter { name in
            name == "id" || ["_id", "_ids", "_idx"].contains { name.hasSuffix($0) }
        }
        if !ids.isEmpty {
            warnings.append(
                "\(file): \(listing(ids)) \(ids.count == 1 ? "looks" : "look") like ids but will be trained on as text; "
                    + "columns: chooses the columns to train on"
            )
        }
        let usual = [
            ["anchor", "positive", "negative"], ["question", "answer"], ["query", "response"],
            ["hypothesis", "entailment", "contradiction"],
        ]
        for (place, name) in names.enumerated() {
            guard let order = usual.first(where: { $0.contains(name) }), order.firstIndex(of: name) != place else {
                continue
            }
            warnings.append(
                "\(file): the column \(quoted(name)) is number \(place + 1), usually number "
                    + "\((order.firstIndex(of: name) ?? 0) + 1); losses take columns by position, and columns: orders them"
            )
            break
        }
        return warnings
    }

    // MARK: - Rows

    /// The texts of some rows, without prompts.
    ///
    /// - Parameter rows: The numbers of the rows.
    /// - Returns: For each column, the texts in the order of `rows`.
    /// - Throws: `TrainingError` naming file and row for a value that is not a text; what reading throws.
    package func texts(ofRows rows: [Int]) throws -> [[String]] {
        var columns = Array(repeating: [String](), count: textColumns.count)
        for place in columns.indices { columns[place].reserveCapacity(rows.count) }
        for row in rows {
            for (place, value) in try source.values(row: row, columns: textColumns).enumerated() {
                columns[place].append(try text(value, row: row, column: place))
            }
        }
        return columns
    }

    /// The texts of some rows, where a column may hold lists of them.
    ///
    /// - Parameter rows: The numbers of the rows.
    /// - Returns: For each column, the texts of each row in the order of `rows`; a text of a column of texts is a list of one.
    /// - Throws: `TrainingError` naming file and row for a value that is not texts; what reading throws.
    package func textLists(ofRows rows: [Int]) throws -> [[[String]]] {
        var columns = Array(repeating: [[String]](), count: textColumns.count)
        for row in rows {
            for (place, value) in try source.values(row: row, columns: textColumns).enumerated() {
                columns[place].append(try list(value, row: row, column: place))
            }
        }
        return columns
    }

    /// The labels of some rows.
    ///
    /// - Parameter rows: The numbers of the rows.
    /// - Returns: The labels in the order of `rows`; nil for a table without.
    /// - Throws: `TrainingError` naming file and row for an invalid label; what reading throws.
    package func labels(ofRows rows: [Int]) throws -> LossLabels? {
        guard let labelColumn, let labelKind else { return nil }
        var (numbers, counts): ([Double], [Int]) = ([], [])
        numbers.reserveCapacity(rows.count)
        for row in rows {
            let own = try label(try source.value(row: row, column: labelColumn), row: row)
            numbers += own
            counts.append(own.count)
        }
        return LossLabels(labelKind, numbers, counts: labelKind == .lists ? counts : nil)
    }

    /// Reads and checks all rows, so that training does not meet a bad one in the middle.
    ///
    /// - Parameters:
    ///   - labels: What labels may be, and the words for it; nil for any number.
    ///   - lists: What is wrong with a row, given the number of texts in each column and that of its labels: the column,
    ///     what it has and what is expected; nil for nothing.
    /// - Throws: `TrainingError` naming file and row; what reading throws.
    package func checkRows(
        labels: (values: LossLabels.Values, expected: String)? = nil,
        lists: ((_ texts: [Int], _ labels: Int) -> (column: String, found: String, expected: String)?)? = nil
    ) throws {
        let columns = textColumns + [labelColumn].compactMap { $0 }
        try forEachRow { row in
            let values = try source.values(row: row, columns: columns)
            let counts = try textColumns.indices.map { try list(values[$0], row: row, column: $0).count }
            let numbers = try labelColumn.flatMap { _ in try values.last.map { try label($0, row: row) } } ?? []
            for number in numbers where labels?.values.contains(number) == false {
                throw refused(row, labelName ?? "", "is \(number)", labels?.expected ?? "")
            }
            if let problem = lists?(counts, numbers.count) {
                throw refused(row, problem.column, problem.found, problem.expected)
            }
        }
    }

    /// Calls a body with all rows, in the order of their files.
    private func forEachRow(_ body: (Int) throws -> Void) rethrows {
        if let order = (source as? TableView)?.rowsInFileOrder {
            for row in order { try body(Int(row)) }
        } else {
            for row in 0..<rowCount { try body(row) }
        }
    }

    private func list(_ value: TableValue, row: Int, column: Int) throws -> [String] {
        // Losses take a column as one of texts or one of lists; of lists among texts they would read the first text.
        guard listColumns[column] else {
            if readsLists, case .list = value {
                throw refused(
                    row,
                    columnNames[column],
                    "is a list, but other rows have a text",
                    "a text in every row, or a list in every row"
                )
            }
            return [try text(value, row: row, column: column)]
        }
        guard case .list(let values) = value else {
            throw refused(row, columnNames[column], "is \(value.kindText)", "a list of texts, as in other rows")
        }
        guard !values.isEmpty else { throw refused(row, columnNames[column], "is an empty list", "texts") }
        return try values.map { try text($0, row: row, column: column) }
    }

    private func text(_ value: TableValue, row: Int, column: Int) throws -> String {
        guard case .text(let text) = value else {
            throw refused(row, columnNames[column], "is \(value.kindText)", "a text")
        }
        guard !text.isEmpty || emptyTexts == .keep else {
            throw refused(row, columnNames[column], "is an empty text", "a text, or empty_texts: keep")
        }
        return text
    }

    private func label(_ value: TableValue, row: Int) throws -> [Double] {
        func number(_ value: TableValue, _ expected: String) throws -> Double {
            switch value {
            case .integer(let number): return Double(number)
            case .boolean(let flag): return flag ? 1 : 0
            case .real(let number):
                // Losses compute in float32.
                guard Float(number).isFinite else {
                    let range = number.isFinite ? " that float32 holds" : ""
                    throw refused(row, labelName ?? "", "is \(number)", expected + range)
                }
                return number
            case .null, .text, .list: throw refused(row, labelName ?? "", "is \(value.kindText)", expected)
            }
        }
        if labelKind == .lists {
            guard case .list(let values) = value, !values.isEmpty else {
                throw refused(row, labelName ?? "", "is \(value.kindText)", "a list of numbers")
            }
            return try values.map { try number($0, "a list of numbers") }
        }
        guard case .list(let count)? = labelKind else { return [try number(value, "a number")] }
        guard case .list(let values) = value else {
            throw refused(row, labelName ?? "", "is \(value.kindText)", "a list of \(count) numbers")
        }
        let flat = Self.flattened(values)
        guard flat.count == count else {
            throw refused(row, labelName ?? "", "is a list of \(flat.count) values", "\(count), as in the first row")
        }
        return try flat.map {
            if case .list = $0 {
                throw refused(row, labelName ?? "", "has lists of different lengths", "lists of as many numbers each")
            }
            return try number($0, "a list of numbers")
        }
    }

    private func refused(_ row: Int, _ column: String, _ found: String, _ expected: String) -> TrainingError {
        TrainingError(
            .malformed,
            "\(source.place(ofRow: row)) column \(quoted(column, limit: 80))",
            found: found,
            expected: expected
        )
    }

    // MARK: - Sampling

    /// The hashes of all values but labels, in 8 bytes each.
    ///
    /// - Returns: xxHash64 of each value as Python's `str` writes it, as `no_duplicates_hashed` takes it.
    /// - Throws: What ``texts(ofRows:)`` throws.
    package func valueHashes() throws -> ValueHashes {
        var hashes = [UInt64](repeating: 0, count: rowCount * comparedColumns.count)
        try forEachRow { row in
            for (place, value) in try source.values(row: row, columns: comparedColumns).enumerated() {
                var text = value.pythonText
                hashes[row * comparedColumns.count + place] = text.withUTF8 {
                    XXHash.hash64(UnsafeRawBufferPointer($0))
                }
            }
        }
        return ValueHashes(columnCount: comparedColumns.count, hashes: hashes)
    }

    /// The rows of each label, in the order in which the labels first occur.
    ///
    /// - Returns: The rows.
    /// - Throws: `TrainingError` for a table without labels, and for an invalid label; what reading throws.
    package func rowsByLabel() throws -> [[Int32]] {
        guard let labelColumn else {
            throw TrainingError(
                .missing,
                name,
                found: "has no label column, which batch_sampler group_by_label needs",
                expected: "one of \(listing(Self.labelNames))"
            )
        }
        var groups: [[Int32]] = []
        var places: [TableValue: Int] = [:]
        for row in 0..<rowCount {
            let value = try source.value(row: row, column: labelColumn)
            let key: TableValue = if case .list = value { value } else { .real(try label(value, row: row)[0]) }
            let place = places[key] ?? groups.count
            if place == groups.count {
                places[key] = place
                groups.append([])
            }
            groups[place].append(Int32(row))
        }
        return groups
    }
}
