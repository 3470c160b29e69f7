/// How far a run is, by what lies in its folder.
package enum RunState: Hashable, Sendable {
    /// It has no checkpoint.
    case new
    /// Its newest checkpoint is from this batch.
    case begun(batch: Int)
    /// Its newest checkpoint, of this batch, is the last.
    case finished(batch: Int)

    /// Finds how far a run is, from its newest checkpoint.
    ///
    /// - Parameters:
    ///   - store: The checkpoints of the run.
    ///   - length: The length of the run.
    /// - Throws: `TrainingError` when the checkpoint cannot be read.
    package init(_ store: CheckpointStore, reaching length: TrainingTime) throws {
        guard let newest = try store.newest() else {
            self = .new
            return
        }
        let clock = try TrainerState(folder: newest.path, name: store.stateFile).clock
        let isFinished = clock.count(in: length.unit) >= length.value
        self = isFinished ? .finished(batch: newest.batch) : .begun(batch: newest.batch)
    }

    /// What lists call the state.
    package var name: String {
        switch self {
        case .new: "new"
        case .begun: "begun"
        case .finished: "finished"
        }
    }

    /// The batches of the newest checkpoint.
    package var batch: Int? {
        switch self {
        case .new: nil
        case .begun(let batch), .finished(let batch): batch
        }
    }

    /// Whether the run has reached its length.
    package var isFinished: Bool {
        if case .finished = self { true } else { false }
    }
}
