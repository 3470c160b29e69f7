import EttinFiles
import EttinTables
import EttinTraining

/// The data sets of a recipe, opened and checked.
struct FineTuningData {
    /// The data sets to train on.
    let train: [any TrainingRows]
    /// The data sets to evaluate on.
    let evaluation: [any TrainingRows]
    /// What is odd about them.
    let notices: [String]

    /// Opens the data sets.
    ///
    /// - Parameters:
    ///   - recipe: What the recipe says of data.
    ///   - subject: What is trained on them.
    ///   - open: Opens a data set of the recipe.
    /// - Throws: `TableError`, `EvaluationError` and `TrainingError` for data that is missing, broken, or cannot be trained
    ///   on.
    init(
        _ recipe: FineTuningSettings,
        _ subject: any FineTuningSubject,
        _ open: (DatasetRecipe) throws -> TableView
    ) throws {
        let prompts = try recipe.trainingPrompts()
        var notices: [String] = []
        func rows(_ table: TableView, _ set: DatasetRecipe, isEvaluation: Bool) throws -> any TrainingRows {
            let table = try set.columns.map(table.keeping(columns:)) ?? table
            return try subject.rows(table, RowSource(recipe: recipe, dataset: set, isEvaluation: isEvaluation))
        }
        func selected(_ table: TableView, _ set: DatasetRecipe) throws -> TableView {
            try set.select.map { try table.select(0..<$0) } ?? table
        }
        var train: [any TrainingRows] = []
        var tests: [any TrainingRows] = []
        for set in recipe.trainData {
            var table = try open(set)
            notices += set.notices(of: table)
            if let split = set.split {
                let size: TableView.TestSize =
                    split.testSize < 1 ? .fraction(split.testSize) : .count(Int(split.testSize))
                table = try split.rows.map { try table.select(0..<$0) } ?? table
                let parts = try table.trainTestSplit(testSize: size, seed: UInt64(split.seed))
                tests.append(try rows(parts.test, set, isEvaluation: true))
                table = parts.train
            }
            train.append(try rows(selected(table, set), set, isEvaluation: false))
        }
        evaluation =
            recipe.evaluationData.isEmpty
            ? tests
            : try recipe.evaluationData.map { set in
                let table = try open(set)
                notices += set.notices(of: table)
                return try rows(selected(table, set), set, isEvaluation: true)
            }
        self.train = train
        self.notices = notices + (train + evaluation).flatMap(\.warnings)
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
