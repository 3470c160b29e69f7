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
        case .checkpoint(let path):
            let entry = try entry(path)
            // The run of another folder goes on here only where none is.
            if store.holds(entry.path) { try refuseStrangers() } else { try requireFree() }
            return entry
        case .newest, .newestIfAny:
            if let newest = try store.newest() {
                try refuseStrangers()
                return newest
            }
            guard arguments.resumption == .newest else { break }
            throw TrainingError(
                .missing,
                "resume_from_checkpoint",
                found: "is true, but \(folder) has no checkpoint of ettin",
                expected: "a folder with checkpoint-N folders, or autoresume: true to begin where there is none"
            )
        case .never: break
        }
        try requireFree()
        return nil
    }

    /// That a run may begin in the folder.
    private func requireFree() throws {
        try refuseStrangers()
        let folder = arguments.outputFolder
        let isTaken = try store.newest() != nil || FilePath.kind(of: FilePath.joined(folder, "final")) == .folder
        guard isTaken, !arguments.overwritesOutput else { return }
        let newest = try store.newest().map { " with \(FilePath.lastComponent(of: $0.path))" } ?? ""
        throw TrainingError(
            .invalidOption,
            "output_dir",
            found: "is \(folder), which holds a run\(newest)",
            expected:
                "resume_from_checkpoint=true to resume it, overwrite_output_dir=true to replace it, or another folder"
        )
    }

    /// That no folder of another trainer has a name that a checkpoint is to get.
    private func refuseStrangers() throws {
        let folder = arguments.outputFolder
        guard FilePath.kind(of: folder) == .folder else { return }
        let own = Set(try store.entries().map(\.path))
        let strangers = try TrainingError.translating { try FilePath.names(inFolder: folder) }.filter { name in
            guard name.hasPrefix(store.tag), let batch = Int(name.dropFirst(store.tag.count)), batch >= 0 else {
                return false
            }
            return !own.contains(FilePath.joined(folder, name))
        }
        guard let stranger = strangers.min() else { return }
        throw TrainingError(
            .invalidOption,
            "output_dir",
            found: "is \(folder), whose \(stranger) is no checkpoint of ettin",
            expected: "another folder: what other trainers saved is neither resumed nor replaced"
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
