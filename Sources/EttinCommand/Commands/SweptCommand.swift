import EttinFineTuning
import EttinPretraining
import EttinTraining
import Torch

/// The commands whose recipes can be swept.
enum SweptCommand: CaseIterable {
    case pretraining
    case fineTuning(FineTuningKind)

    static let allCases = [SweptCommand.pretraining] + FineTuningKind.allCases.map { .fineTuning($0) }

    /// The command as a sweep file names it.
    var command: SweepCommand {
        switch self {
        case .pretraining:
            SweepCommand(
                name: "pretrain",
                outputKey: "save_folder",
                modelFolder: "latest",
                overrides: ["autoresume=true"]
            )
        case .fineTuning(let kind):
            SweepCommand(
                name: "finetune \(kind.rawValue)",
                outputKey: "output_dir",
                modelFolder: "final",
                overrides: ["autoresume=true"]
            )
        }
    }

    /// Checks the recipe of a run, and finds how far the run is.
    ///
    /// - Throws: What reading and checking the recipe throws.
    func state(recipe path: String, _ run: SweepRun) throws -> RunState {
        switch self {
        case .pretraining:
            let recipe = try PretrainingRecipe(path: path, overrides: run.overrides)
            try recipe.checkRunnable()
            return try recipe.state(inFolder: run.outputFolder)
        case .fineTuning(let kind):
            try kind.check(recipe: path, run.overrides)
            return try RunState(ofFineTuning: run.outputFolder)
        }
    }

    /// Trains a run.
    ///
    /// - Throws: What training throws.
    func train(
        recipe path: String,
        _ run: SweepRun,
        place: DeviceOptions,
        _ changes: ChangeOptions
    ) throws -> TrainingOutcome {
        // The peak that a run logs is its own.
        PeakMemory.reset()
        switch self {
        case .pretraining:
            let recipe = try PretrainingRecipe(path: path, overrides: run.overrides)
            let device = try place.prepare(orElse: recipe.device)
            let outcome = try Training([recipe], device: device, changes).run()
            return outcome.isInterrupted ? .interrupted : .finished
        case .fineTuning(let kind):
            return try kind.session(recipe: path, run.overrides, place).run()
        }
    }
}
