import EttinFiles
package import EttinTraining

extension RunState {
    /// Finds how far a run of fine-tuning is: finished where its last model lies, else as far as its newest checkpoint.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Throws: `TrainingError` when the folder or the history of the run cannot be read.
    package init(ofFineTuning folder: String) throws {
        if FilePath.kind(of: FilePath.joined(folder, FineTuningFiles.finalFolder)) == .folder {
            let history = try LogHistory.path(inFolder: folder).map(LogHistory.read)
            self = .finished(batch: history?.last?.batch ?? 0)
            return
        }
        let store = CheckpointStore(
            folder: folder,
            tag: "checkpoint-",
            stateFile: TrainerState.strategiesFileName
        )
        self = try store.newest().map { .begun(batch: $0.batch) } ?? .new
    }
}
