package import EttinTraining

extension PretrainingRecipe {
    /// Finds how far a run of the recipe is, from the newest checkpoint in a folder.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Returns: The state.
    /// - Throws: `TrainingError` when the checkpoint cannot be read.
    package func state(inFolder folder: String) throws -> RunState {
        try RunState(CheckpointStore(folder: folder, tag: checkpoints.phase.rawValue), reaching: maxDuration)
    }
}
