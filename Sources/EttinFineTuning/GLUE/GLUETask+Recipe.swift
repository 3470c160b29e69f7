import EttinEvaluation
import EttinFiles
import EttinTables
import EttinTraining

extension GLUETask {
    /// Says of the data sets of a recipe that they are of this task.
    ///
    /// Data sets to evaluate on are of the validation set; of those of MNLI, the one that is called so is `mismatched`.
    /// Where there are none, the validation data of what is trained on are meant.
    ///
    /// - Parameters:
    ///   - train: The data sets to train on.
    ///   - evaluation: The data sets to evaluate on.
    func assign(_ train: inout [DatasetRecipe], evaluation: inout [DatasetRecipe]) {
        if evaluation.isEmpty { evaluation = evaluationData(train) }
        for index in train.indices { train[index].task = DatasetRecipe.Task(task: self, part: .train) }
        for index in evaluation.indices {
            let named = evaluation[index].name.flatMap(GLUEPart.init)
            let part = validationParts.first { $0 == named } ?? validationParts[0]
            evaluation[index].task = DatasetRecipe.Task(task: self, part: part)
        }
    }

    /// The validation data of a recipe that names none: those of what it trains on.
    ///
    /// - Parameter train: What the recipe trains on.
    /// - Returns: The data sets, for MNLI one for each of its two parts; none where rows are set aside, or where what is
    ///   named has a split or is a file, so that nothing says where the others are.
    private func evaluationData(_ train: [DatasetRecipe]) -> [DatasetRecipe] {
        guard train.count == 1, let set = train.first, set.split == nil, set.references.count == 1,
            let reference = try? DatasetReference(set.references[0]), reference.qualifiers.isEmpty
        else { return [] }
        if case .path(let path) = reference.location, FilePath.kind(of: path) == .file { return [] }
        return validationParts.map { part in
            var other = DatasetRecipe(set.references, columns: set.columns)
            other.name = validationParts.count > 1 ? part.rawValue : nil
            return other
        }
    }
}

extension DatasetRecipe {
    /// Opens the data set.
    ///
    /// - Parameter opening: Opens its files.
    /// - Returns: All of its rows.
    /// - Throws: `TrainingError` for a task's data in several places; `TableError` and `EvaluationError` for what is not
    ///   there, is broken, or has labels that the task does not have.
    func table(_ opening: TableOpening) throws -> TableView {
        guard let task else { return try opening.open(references) }
        guard references.count == 1 else {
            throw TrainingError(
                .invalidOption,
                task.part == .train ? "train_dataset" : "eval_dataset",
                found: "names \(references.count) places",
                expected: "one, which has the data of task_name \(task.task.rawValue)"
            )
        }
        return TableView(try task.task.table(references[0], task.part, with: opening))
    }

    /// What is odd about the rows of a task.
    ///
    /// - Parameter table: What ``table(_:)`` opened.
    /// - Returns: A sentence each.
    func notices(of table: TableView) -> [String] {
        guard let task, let rows = table.source as? GLUETable else { return [] }
        return rows.notices(as: task.part)
    }
}
