import EttinFiles
import EttinTraining

/// The folder of a run of fine-tuning, and what of it a run begins with.
struct FineTuningFolder {
    private let arguments: TrainingArguments

    init(_ arguments: TrainingArguments) { self.arguments = arguments }

    private var store: CheckpointStore {
        CheckpointStore(
            folder: arguments.outputFolder,
            tag: "checkpoint-",
            stateFile: TrainerState.strategiesFileName
        )
    }

    /// The checkpoint to resume from; nil for a new run.
    ///
    /// - Throws: `TrainingError` for a checkpoint that is not there, and a folder that holds what is neither to be resumed
    ///   nor to be replaced.
    func resumed() throws -> CheckpointStore.Entry? {
        let folder = arguments.outputFolder
        switch arguments.resumption {
        case .checkpoint(let path): return try entry(path)
        case .newest, .newestIfAny:
            if let newest = try store.newest() { return newest }
            guard arguments.resumption == .newest else { break }
            throw TrainingError(
                .missing,
                "resume_from_checkpoint",
                found: "is true, but \(folder) has no checkpoint of ettin",
                expected: "a folder with checkpoint-N folders, or autoresume: true to begin where there is none"
            )
        case .never: break
        }
        let isTaken = try store.newest() != nil || FilePath.kind(of: FilePath.joined(folder, "final")) == .folder
        guard isTaken, !arguments.overwritesOutput else { return nil }
        let newest = try store.newest().map { " with \(FilePath.lastComponent(of: $0.path))" } ?? ""
        throw TrainingError(
            .invalidOption,
            "output_dir",
            found: "is \(folder), which holds a run\(newest)",
            expected:
                "resume_from_checkpoint=true to resume it, overwrite_output_dir=true to replace it, or another folder"
        )
    }

    private func entry(_ path: String) throws -> CheckpointStore.Entry {
        let trimmed = String(path.reversed().drop { $0 == "/" }.reversed())
        let name = FilePath.lastComponent(of: trimmed)
        guard let batch = Int(name.dropFirst("checkpoint-".count)), name == "checkpoint-\(batch)",
            FilePath.kind(of: trimmed) == .folder
        else {
            throw TrainingError(
                .missing,
                "resume_from_checkpoint",
                found: "is \(quoted(path)), which is not a checkpoint",
                expected: "true, or a folder such as \(arguments.outputFolder)/checkpoint-500"
            )
        }
        guard FilePath.exists(FilePath.joined(trimmed, TrainerState.strategiesFileName)) else {
            throw TrainingError(
                .missing,
                FilePath.joined(trimmed, TrainerState.strategiesFileName),
                found: "is not there",
                expected: "a checkpoint that ettin wrote; others begin a run as model_name_or_path"
            )
        }
        return CheckpointStore.Entry(batch: batch, path: trimmed)
    }
}
