import EttinFiles
import EttinTables
import EttinTraining

/// Where the texts and the labels of a table of classified texts are.
struct ClassifierColumns {
    /// The columns of texts, one or two.
    let texts: [String]
    /// The column of labels.
    let label: String
    /// What is left out, a sentence each.
    let warnings: [String]

    /// Finds the columns.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - recipe: What the recipe says of columns.
    /// - Throws: `TrainingError` for columns that are not there, or too many that may be meant.
    init(_ table: TableView, _ recipe: ClassifierRecipe) throws {
        let names = table.columnNames
        func require(_ name: String, _ key: String) throws {
            guard table.column(name) == nil else { return }
            throw TrainingError(
                .invalidOption,
                key,
                found: "has \(quoted(name, limit: 80)), which \(table.name) does not have",
                expected: "some of \(listing(names, limit: 12))"
            )
        }
        if let given = recipe.labelColumn { try require(given, "label_column_name") }
        guard let label = recipe.labelColumn ?? TrainingColumns.labelNames.first(where: names.contains) else {
            throw TrainingError(
                .missing,
                table.name,
                found: "has no column of labels among \(listing(names, limit: 12))",
                expected: "one of \(listing(TrainingColumns.labelNames)), or label_column_name"
            )
        }
        self.label = label
        for name in recipe.textColumns ?? [] { try require(name, "text_column_names") }
        let others = names.filter { $0 != label }
        let readable = others.filter { name in
            table.column(name).map { [.text, .mixed, .null].contains(table.kind(ofColumn: $0)) } ?? false
        }
        texts = recipe.textColumns ?? readable
        guard !texts.contains(label), (1...2).contains(texts.count) else {
            throw TrainingError(
                .invalidOption,
                table.name,
                found: texts.isEmpty
                    ? "has no column of texts beside \(quoted(label, limit: 80))"
                    : texts.contains(label)
                        ? "has \(quoted(label, limit: 80)) for texts and for labels"
                        : "has \(texts.count) columns of texts: \(listing(texts, limit: 12))",
                expected: "one, or two for pairs; text_column_names names them"
            )
        }
        let left = recipe.textColumns == nil ? others.filter { !readable.contains($0) } : []
        warnings =
            left.isEmpty
            ? [] : ["\(table.name): \(listing(left)) \(left.count == 1 ? "is" : "are") not read, as no texts are there"]
    }
}

/// A table of classified texts as training reads it.
struct ClassifierRows: TrainingRows {
    let columns: TrainingColumns
    private let source: TableView
    private let labelColumn: Int
    private let labelName: String
    private let labels: ClassifierLabels
    /// The names of the table's own numbers where the model has them in another order; nil where its numbers are the model's.
    private let classNames: [String]?
    let warnings: [String]

    /// Prepares a table.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - recipe: What the recipe says of columns.
    ///   - dataset: The name of the data set in the recipe; nil for the only one.
    ///   - labels: What labels are.
    /// - Throws: `TrainingError` for columns that training cannot use.
    init(_ table: TableView, _ recipe: ClassifierRecipe, dataset: String?, _ labels: ClassifierLabels) throws {
        let found = try ClassifierColumns(table, recipe)
        if let reserved = found.texts.first(where: TrainingColumns.labelNames.contains) {
            throw TrainingError(
                .unsupported,
                table.name,
                found: "has texts in the column \(quoted(reserved)), a name of labels",
                expected: "another name of the column"
            )
        }
        source = table
        self.labels = labels
        labelName = found.label
        labelColumn = table.column(found.label) ?? 0
        let own = table.classNames(ofColumn: labelColumn)
        classNames = own.flatMap { own in
            !labels.names.starts(with: own) && own.allSatisfy(labels.names.contains) ? own : nil
        }
        columns = try TrainingColumns(
            table.keeping(columns: found.texts),
            dataset: dataset,
            emptyTexts: recipe.emptyTexts
        )
        warnings = found.warnings
    }

    var name: String { source.name }
    var rowCount: Int { source.rowCount }
    var dataset: String? { columns.dataset }
    var columnNames: [String] { columns.columnNames + [labelName] }
    var table: (any TextTable)? { source }

    func place(ofRow row: Int) -> String { source.place(ofRow: row) }

    /// The numbers of a row's label.
    ///
    /// - Throws: `TrainingError` naming file and row for what is no label; what reading throws.
    func values(ofRow row: Int) throws -> [Double] {
        let value = try source.value(row: row, column: labelColumn)
        do {
            if let classNames, case .integer(let number) = value, classNames.indices.contains(number) {
                return try labels.values(.text(classNames[number]))
            }
            return try labels.values(value)
        } catch {
            throw TrainingError(
                .malformed,
                "\(place(ofRow: row)) column \(quoted(labelName, limit: 80))",
                found: error.found,
                expected: error.expected
            )
        }
    }

    /// Reads and checks all rows.
    ///
    /// - Throws: `TrainingError` naming file and row; what reading throws.
    func checkRows() throws {
        try columns.checkRows()
        if let order = source.rowsInFileOrder {
            for row in order { _ = try values(ofRow: Int(row)) }
        } else {
            for row in 0..<rowCount { _ = try values(ofRow: row) }
        }
    }

    func valueHashes() throws -> ValueHashes { try columns.valueHashes() }

    func rowsByLabel() throws -> [[Int32]] {
        var groups: [[Int32]] = []
        var places: [[Double]: Int] = [:]
        for row in 0..<rowCount {
            let key = try values(ofRow: row)
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
