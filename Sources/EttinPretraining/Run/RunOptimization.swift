import EttinModel
import EttinTraining
import Torch

/// What changes the weights of a run, and what follows them: the optimizer with its moments, and the average.
struct RunOptimization {
    let optimizer: any Optimizer
    let average: RunAverage?

    /// Makes both, with the state that the run begins with.
    ///
    /// - Throws: `TrainingError` or `CheckpointError` when a stored state does not fit the model.
    init(_ recipe: PretrainingRecipe, _ start: RunStart) throws {
        let parameters = start.model.parameters
        start.model.setRequiresGradient(true)
        optimizer = recipe.optimizer.optimizer(for: parameters, referenceRate: start.referenceRate)
        let stored = try start.optimizerState?(parameters, optimizer.state) ?? []
        average = try RunAverage(recipe.averaging, model: start.model, stored: stored)
    }
}
