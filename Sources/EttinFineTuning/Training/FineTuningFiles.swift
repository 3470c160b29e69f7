import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// What a run of fine-tuning writes besides its trainer's files: models, cards, and what the run is.
struct FineTuningFiles {
    /// The name of the folder of tables in that of a run.
    static let tableFolder = "eval"
    /// The name of the folder of the finished model.
    static let finalFolder = "final"
    /// The name of the file that says what a run is.
    static let descriptionFile = "run.json"

    let recipe: FineTuningSettings
    /// The kind of model.
    let kind: String
    let card: FineTuningCard

    /// Says what the run is, and removes what was measured and finished beyond where it begins.
    ///
    /// - Parameters:
    ///   - step: The step after which the run is resumed; nil for a new one.
    ///   - isComplete: Whether no step is left.
    /// - Throws: `TrainingError` when the file system refuses.
    func open(resumedAfter step: Int?, isComplete: Bool) throws {
        let folder = recipe.arguments.outputFolder
        try TrainingError.translating {
            try cutTables(after: step)
            // Until the run has come to its end, nothing says that it has.
            if !isComplete, FilePath.kind(of: FilePath.joined(folder, Self.descriptionFile)) == .file {
                // Gone at once: part of a model would count as one.
                let final = FilePath.joined(folder, Self.finalFolder)
                if FilePath.exists(final) { try FilePath.removeFolder(final) }
                try FilePath.removeTree(FilePath.joined(folder, LogHistory.fileName))
            }
            let text = description.text(JSONWritingOptions(layout: .indented(2))) + "\n"
            try AtomicFile.write(Array(text.utf8), to: FilePath.joined(folder, Self.descriptionFile))
        }
    }

    /// Removes the lines of evaluators' tables that the run is to write anew; other files stay.
    private func cutTables(after step: Int?) throws {
        let folder = FilePath.joined(recipe.arguments.outputFolder, Self.tableFolder)
        guard FilePath.kind(of: folder) == .folder else { return }
        for name in try FilePath.names(inFolder: folder) where name.hasSuffix("_results.csv") {
            let path = FilePath.joined(folder, name)
            guard FilePath.kind(of: path) == .file else { continue }
            let bytes = try MappedFile(path: path).withUnsafeBytes { Array($0) }
            let lines = bytes.split(separator: UInt8(ascii: "\n"))
            guard let header = lines.first, header.starts(with: "epoch,steps,".utf8) else { continue }
            let kept = lines.dropFirst().filter { line in
                let cells = line.split(separator: UInt8(ascii: ","), maxSplits: 2)
                guard let step, cells.count == 3, let own = Int(String(decoding: cells[1], as: UTF8.self)) else {
                    return false
                }
                return own <= step
            }
            if kept.isEmpty {
                try FilePath.remove(path)
            } else if kept.count < lines.count - 1 {
                try AtomicFile.write(Array(([header] + kept).joined(separator: "\n".utf8)) + "\n".utf8, to: path)
            }
        }
    }

    private var description: JSONValue {
        [
            "name": recipe.arguments.runName.map { .string($0) } ?? .null,
            "kind": .string(kind),
            "objective": .string(card.lossNames.all.first ?? ""),
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
    ///   - subject: The model.
    ///   - run: How far the run has come, and what it has logged.
    ///   - reports: What evaluators measured last.
    ///   - folder: A new folder.
    /// - Throws: `CheckpointError` or `TokenizerError` when something cannot be written.
    func write(
        _ subject: any FineTuningSubject,
        _ run: RunProgress,
        reports: [EvaluationReport],
        toFolder folder: String
    ) throws {
        try withoutGradients { try subject.write(toFolder: folder) }
        try card.card(subject, run, reports: reports).write(toFolder: folder)
    }

    /// Writes the finished model.
    ///
    /// - Returns: Its folder.
    /// - Throws: As ``write(_:_:reports:toFolder:)``, and `TrainingError` when the folder cannot be put in place.
    func writeFinal(
        _ subject: any FineTuningSubject,
        _ run: RunProgress,
        reports: [EvaluationReport]
    ) throws -> String {
        let path = FilePath.joined(recipe.arguments.outputFolder, Self.finalFolder)
        try TrainingError.translating {
            // An earlier model stays until the new one is whole; a run that begins removes what a kill leaves.
            let whole = FilePath.joined(recipe.arguments.outputFolder, ".\(Self.finalFolder).tmp")
            try FilePath.removeTree(whole)
            let output = try AtomicFolder(path: whole)
            try write(subject, run, reports: reports, toFolder: output.temporaryPath)
            try output.commit()
            if FilePath.kind(of: path) == .folder { try FilePath.removeFolder(path) }
            try FilePath.putInPlace(whole, as: path)
        }
        return path
    }
}
