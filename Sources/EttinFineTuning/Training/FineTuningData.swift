import EttinFiles
import EttinTables
import EttinTraining

/// The data sets of a recipe, opened and checked.
struct FineTuningData {
    /// The data sets to train on.
    let train: [TrainingColumns]
    /// The data sets to evaluate on.
    let evaluation: [TrainingColumns]
    /// What is odd about them.
    let notices: [String]

    /// Opens the data sets.
    ///
    /// - Parameters:
    ///   - recipe: What the recipe says of data.
    ///   - subject: What is trained on them.
    ///   - open: Opens what a recipe names as one table.
    /// - Throws: `TableError` and `TrainingError` for data that is missing, broken, or cannot be trained on.
    init(
        _ recipe: FineTuningSettings,
        _ subject: any FineTuningSubject,
        _ open: (_ references: [String]) throws -> TableView
    ) throws {
        let prompts = try recipe.trainingPrompts()
        func columns(_ table: TableView, _ set: DatasetRecipe) throws -> TrainingColumns {
            let table = try set.columns.map(table.keeping(columns:)) ?? table
            return try TrainingColumns(
                subject.table(table),
                dataset: set.name,
                prompts: prompts,
                emptyTexts: recipe.emptyTexts,
                readsLists: subject.readsLists
            )
        }
        func selected(_ table: TableView, _ set: DatasetRecipe) throws -> TableView {
            try set.select.map { try table.select(0..<$0) } ?? table
        }
        var train: [TrainingColumns] = []
        var tests: [TrainingColumns] = []
        for set in recipe.trainData {
            var table = try open(set.references)
            if let split = set.split {
                let size: TableView.TestSize =
                    split.testSize < 1 ? .fraction(split.testSize) : .count(Int(split.testSize))
                let parts = try table.trainTestSplit(testSize: size, seed: UInt64(split.seed))
                tests.append(try columns(parts.test, set))
                table = parts.train
            }
            train.append(try columns(selected(table, set), set))
        }
        evaluation =
            recipe.evaluationData.isEmpty
            ? tests
            : try recipe.evaluationData.map { set in
                let table = try open(set.references)
                return try columns(selected(table, set), set)
            }
        self.train = train
        notices = (train + evaluation).flatMap(\.warnings)
        try prompts.check(against: (train + evaluation).map { ($0.dataset, $0.columnNames) })
    }

    /// Checks that every row is one that the loss takes.
    ///
    /// - Parameter subject: What is trained.
    /// - Returns: What is odd, though possible.
    /// - Throws: `TrainingError` naming the data, or file and row.
    func check(_ subject: any FineTuningSubject) throws -> [String] {
        var seen: Set<String> = []
        return try (train + evaluation).flatMap(subject.check).filter { seen.insert($0).inserted }
    }
}
