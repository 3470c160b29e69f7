import EttinEvaluation
import EttinFiles
import EttinTables
import EttinTraining

extension GLUETask {
    /// The validation data of a recipe that names none: those of what it trains on.
    ///
    /// - Parameter train: What the recipe trains on.
    /// - Returns: The data sets, for MNLI one for each of its two parts; none where rows are set aside, or where what is
    ///   named has a split or is a file, so that nothing says where the others are.
    func evaluationData(_ train: [DatasetRecipe]) -> [DatasetRecipe] {
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

    /// Opens a data set of a recipe.
    ///
    /// - Parameters:
    ///   - set: The data set; of MNLI's parts `mismatched` is meant where it is called so.
    ///   - isEvaluation: Whether it is one to evaluate on.
    ///   - opening: Opens its files.
    ///   - notices: Gets what is odd about the rows.
    /// - Returns: The rows.
    /// - Throws: `TrainingError` for several references; `TableError` and `EvaluationError` for what is not there, is broken,
    ///   or has other labels.
    func rows(
        _ set: DatasetRecipe,
        isEvaluation: Bool,
        _ opening: TableOpening,
        notices: inout [String]
    ) throws -> TableView {
        guard set.references.count == 1 else {
            throw TrainingError(
                .invalidOption,
                isEvaluation ? "eval_dataset" : "train_dataset",
                found: "names \(set.references.count) places",
                expected: "one, which has the data of task_name \(rawValue)"
            )
        }
        let named = set.name.flatMap(GLUEPart.init)
        let part = !isEvaluation ? .train : validationParts.first { $0 == named } ?? validationParts[0]
        let table = try table(set.references[0], part, with: opening)
        notices += table.notices(as: part)
        return TableView(table)
    }
}
