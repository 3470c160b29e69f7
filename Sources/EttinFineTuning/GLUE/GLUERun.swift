package import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinTraining

/// A run of fine-tuning on a task of GLUE, as its folder tells it.
package struct GLUERun {
    /// The folder of the run.
    package let folder: String
    /// What it scored; without scores where it has evaluated nothing.
    package let job: GLUEJob
    /// Whether it has come to its end.
    package let isFinished: Bool
    /// The folder of the finished model.
    package var modelFolder: String { FilePath.joined(folder, FineTuningFiles.finalFolder) }

    /// The runs in a folder: itself, or those below it, as a sweep leaves them.
    ///
    /// - Parameter folder: The folder.
    /// - Returns: The runs by folder, and the folders of runs that are none on a task of GLUE.
    /// - Throws: `TrainingError` for files that cannot be read.
    package static func runs(inFolder folder: String) throws -> (runs: [GLUERun], others: [String]) {
        let names = try TrainingError.translating { try FilePath.filesBelow(folder) }
        let found = names.filter { FilePath.lastComponent(of: $0) == FineTuningFiles.descriptionFile }.sorted()
        var (runs, others): ([GLUERun], [String]) = ([], [])
        for name in found {
            let home = FilePath.folder(of: FilePath.joined(folder, name))
            if let run = try GLUERun(folder: home) { runs.append(run) } else { others.append(home) }
        }
        return (runs, others)
    }

    /// Reads a run; nil for one on something else.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Throws: `TrainingError` for files that cannot be read.
    private init?(folder: String) throws {
        let path = FilePath.joined(folder, FineTuningFiles.descriptionFile)
        let description = try Self.document(path)
        guard let recipe = description["recipe"],
            let task = recipe["task_name"]?.stringValue.flatMap(GLUETask.init)
        else { return nil }
        let loadsBest = recipe["load_best_model_at_end"]?.boolValue ?? false
        self.folder = folder
        isFinished = try RunState(ofFineTuning: folder).isFinished
        let seed = recipe["seed"]?.intValue
        // The runs of a sweep are called by what differs, which the name of the job has anyway.
        let own = FilePath.lastComponent(of: folder)
        let home = own.contains("=") ? FilePath.lastComponent(of: FilePath.folder(of: folder)) : own
        let name = description["name"]?.stringValue ?? home
        var model = recipe["model_name_or_path"]?.stringValue ?? ""
        if recipe["use_peft"]?.boolValue == true { model += " (LoRA)" }
        job = GLUEJob(
            name: "\(name)_task=\(task.rawValue)" + (seed.map { "_seed=\($0)" } ?? ""),
            model: model,
            task: task,
            seed: seed,
            scores: try Self.scores(task, folder, loadsBest: loadsBest)
        )
    }

    /// What the finished model scored: the last evaluation, or the best where that one was loaded at the end.
    private static func scores(_ task: GLUETask, _ folder: String, loadsBest: Bool) throws -> [GLUEScore] {
        guard let path = try LogHistory.path(inFolder: folder) else { return [] }
        let lines = try LogHistory.read(path)
        let bestStep = try document(path)["best_global_step"]?.intValue
        return task.validationParts.flatMap { part in
            GLUEMetric.allCases.compactMap { metric in
                let key = part == .validation ? "eval_\(metric.rawValue)" : "eval_\(part.rawValue)_\(metric.rawValue)"
                let own = lines.filter { $0.values[key] != nil }
                let best = loadsBest ? own.last { $0.batch == bestStep } : nil
                return (best ?? own.last)?.values[key].map { GLUEScore(part: part, metric: metric, value: $0) }
            }
        }
    }

    private static func document(_ path: String) throws -> JSONValue {
        do {
            let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
            return try JSONValue(parsing: bytes, options: JSONParsingOptions(allowsNonFiniteNumbers: true))
        } catch let error as JSONError {
            throw TrainingError(.malformed, path, found: "is not JSON: \(error)")
        }
    }
}
