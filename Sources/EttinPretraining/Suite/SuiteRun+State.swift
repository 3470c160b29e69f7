import EttinTraining

extension SuiteRun {
    /// How far a run of a suite is.
    package enum State: Hashable, Sendable {
        /// It has no checkpoint.
        case new
        /// Its newest checkpoint is from this batch.
        case begun(batch: Int)
        /// Its newest checkpoint, of this batch, is the last.
        case finished(batch: Int)
    }

    /// Finds how far the run is, from its newest checkpoint.
    ///
    /// - Parameter recipe: The recipe as it is to be run.
    /// - Returns: The state.
    /// - Throws: `TrainingError` when the checkpoint cannot be read.
    package func state(_ recipe: PretrainingRecipe) throws -> State {
        let store = CheckpointStore(folder: outputFolder, tag: recipe.checkpoints.phase.rawValue)
        guard let newest = try store.newest() else { return .new }
        let clock = try TrainerState(folder: newest.path).clock
        let length = recipe.maxDuration
        return clock.count(in: length.unit) >= length.value
            ? .finished(batch: newest.batch) : .begun(batch: newest.batch)
    }
}
