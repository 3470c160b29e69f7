package import EttinTables

/// A data set as what is trained reads it.
package protocol TrainingRows: SampledRows {
    /// The name of the data set in the recipe; nil for the only one.
    var dataset: String? { get }
    /// The names of the columns, in order.
    var columnNames: [String] { get }
    /// What is worth telling the user, a sentence each.
    var warnings: [String] { get }
    /// The table that evaluators measure on; nil where rows are not those of a table.
    var table: (any TextTable)? { get }

    /// Where a row is, for messages.
    ///
    /// - Parameter row: The number of the row.
    /// - Returns: The file and the line, or what else leads to it.
    func place(ofRow row: Int) -> String
}

/// What a recipe says of a data set.
package struct RowSource {
    /// The recipe.
    package let recipe: FineTuningSettings
    /// The data set.
    package let dataset: DatasetRecipe
    /// Whether it is evaluated on.
    package let isEvaluation: Bool
}

extension TrainingColumns: TrainingRows {
    package var table: (any TextTable)? { source }

    package func place(ofRow row: Int) -> String { source.place(ofRow: row) }
}

/// What is trained on columns of texts and a column of labels.
package protocol TextColumnsSubject: FineTuningSubject {
    /// Whether columns may hold lists of texts, and labels lists of numbers of any length.
    var readsLists: Bool { get }

    /// The table that is trained on, given the rows that the recipe has selected.
    ///
    /// - Throws: What reading other tables throws.
    func table(_ table: TableView) throws -> any TextTable

    /// Checks that every row of a data set is one that its loss takes.
    ///
    /// - Returns: What is odd, though possible, a sentence each.
    /// - Throws: `TrainingError` naming the data, or file and row.
    func check(_ set: TrainingColumns) throws -> [String]

    /// Reads the rows of a microbatch, as every subject does.
    func prepared(_ rows: [Int], of set: TrainingColumns, step: Int) throws -> PreparedLossBatch
}

extension TextColumnsSubject {
    package var readsLists: Bool { false }

    package func table(_ table: TableView) throws -> any TextTable { table }

    package func rows(_ table: TableView, _ source: RowSource) throws -> any TrainingRows {
        try TrainingColumns(
            self.table(table),
            dataset: source.dataset.name,
            prompts: source.recipe.trainingPrompts(),
            emptyTexts: source.recipe.emptyTexts,
            readsLists: readsLists
        )
    }

    package func check(_ set: any TrainingRows) throws -> [String] { try check(columns(set)) }

    package func prepared(_ rows: [Int], of set: any TrainingRows, step: Int) throws -> PreparedLossBatch {
        try prepared(rows, of: columns(set), step: step)
    }

    private func columns(_ set: any TrainingRows) -> TrainingColumns {
        guard let columns = set as? TrainingColumns else {
            preconditionFailure("\(kind): a session hands back the data sets that a subject made")
        }
        return columns
    }
}
