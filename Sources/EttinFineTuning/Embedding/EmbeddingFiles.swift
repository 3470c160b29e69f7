import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinModel
import EttinTokenizer
import EttinTraining
import Torch

/// What a run of an embedding model writes besides its trainer's files: models, cards, and what the run is.
struct EmbeddingFiles {
    /// The name of the folder of tables in that of a run.
    static let tableFolder = "eval"
    /// The name of the folder of the finished model.
    static let finalFolder = "final"

    let recipe: EmbeddingRecipe
    let tokenizer: Tokenizer
    /// Maximum number of tokens of a text.
    let maxTokens: Int
    let card: EmbeddingCard

    /// Says what the run is, and removes what another run has measured.
    ///
    /// - Parameter replacesTables: Whether tables of evaluations are removed.
    /// - Throws: `TrainingError` when the file system refuses.
    func open(replacesTables: Bool) throws {
        let folder = recipe.arguments.outputFolder
        try TrainingError.translating {
            if replacesTables { try FilePath.removeTree(FilePath.joined(folder, Self.tableFolder)) }
            let text = description.text(JSONWritingOptions(layout: .indented(2))) + "\n"
            try AtomicFile.write(Array(text.utf8), to: FilePath.joined(folder, "run.json"))
        }
    }

    private var description: JSONValue {
        [
            "name": recipe.arguments.runName.map { .string($0) } ?? .null,
            "kind": "embedding",
            "objective": .string(card.lossNames.first ?? ""),
            "phase": "checkpoint-",
            "parameters": JSONValue(card.parameterCount),
            "data": .string(recipe.trainData.flatMap(\.references).joined(separator: ", ")),
            "eval_data": .string(recipe.evaluationData.flatMap(\.references).joined(separator: ", ")),
            "model": .string(recipe.model),
            "torch": .string(TorchRuntime.version),
            "threads": JSONValue(TorchRuntime.threadCount),
            "recipe": recipe.resolved,
        ]
    }

    /// Writes what loads as a model: modules, tokenizer, card.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - run: How far the run has come, and what it has logged.
    ///   - reports: What evaluators measured last.
    ///   - folder: A new folder.
    /// - Throws: `CheckpointError` or `TokenizerError` when something cannot be written.
    func write(_ model: EmbeddingModel, _ run: RunProgress, reports: [EvaluationReport], toFolder folder: String) throws
    {
        try withoutGradients {
            try model.save(
                folder: folder,
                format: recipe.layout == .version6 ? .version5 : .version4,
                layout: recipe.layout
            )
        }
        try tokenizer.save(to: folder, modelMaxLength: maxTokens)
        try card.card(model, run, reports: reports).write(toFolder: folder)
    }

    /// Writes the finished model.
    ///
    /// - Returns: Its folder.
    /// - Throws: As ``write(_:_:reports:toFolder:)``, and `TrainingError` when the folder cannot be put in place.
    func writeFinal(_ model: EmbeddingModel, _ run: RunProgress, reports: [EvaluationReport]) throws -> String {
        let path = FilePath.joined(recipe.arguments.outputFolder, Self.finalFolder)
        try TrainingError.translating {
            if FilePath.kind(of: path) == .folder { try FilePath.removeFolder(path) }
            let output = try AtomicFolder(path: path)
            try write(model, run, reports: reports, toFolder: output.temporaryPath)
            try output.commit()
        }
        return path
    }
}
