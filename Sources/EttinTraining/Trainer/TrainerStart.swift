import EttinFiles
public import EttinJSON
public import Torch

/// What a run begins with besides the weights, which are in its model already.
///
/// Making one reads and checks, and writes nothing.
public struct TrainerStart {
    /// What becomes of the files in the run's folder.
    public enum Files: Hashable, Sendable {
        /// They are replaced.
        case begin
        /// They are continued after the checkpoint that is resumed.
        case resume
        /// They are replaced, as the run begins again with the weights of a checkpoint that is among them.
        case beginAgain(from: CheckpointStore.Entry)
    }

    /// How far the run has come.
    public var clock = TrainingClock()
    /// What becomes of the files in the run's folder.
    public var files = Files.begin
    /// The rate that the schedule multiplies.
    public var baseRate: Double
    /// The rate that decoupled weight decay refers to.
    public var referenceRate: Double
    /// The rate of the first batch where rates are determined a batch ahead; nil for that of a run that begins.
    public var nextRate: Double?
    /// What was last measured on held-out data.
    public var evaluation: [TrainerState.Measurement] = []
    /// The best evaluation so far.
    public var best: BestEvaluation?
    /// What the task had kept; empty for a run that begins.
    public var task: JSONObject = [:]
    /// Where weights and state came from; nil for new weights.
    public var origin: String?
    /// Gives an optimizer its moments, and returns other tensors that were stored with them.
    public var optimizerState: ((StateDictionary, OptimizerState) throws -> StateDictionary)?

    /// Begins a run.
    ///
    /// - Parameter optimizer: The optimizer of the run.
    public init(_ optimizer: OptimizerSettings) {
        baseRate = optimizer.learningRate
        referenceRate = optimizer.learningRate
    }

    /// Resumes a run from one of its checkpoints.
    ///
    /// - Parameters:
    ///   - entry: The checkpoint, whose weights the caller loads.
    ///   - facts: What the run must share with it, by the keys of its recipe.
    /// - Throws: `TrainingError` when the checkpoint is broken, or names another fact.
    public init(resuming entry: CheckpointStore.Entry, facts: [String: String]) throws {
        let state = try TrainerState(folder: entry.path)
        for (key, value) in facts.sorted(by: { $0.key < $1.key }) {
            guard let stored = state.facts[key], stored != value else { continue }
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(value), but the run that would go on from \(entry.path) has \(stored)",
                expected: "the same, or another save_folder"
            )
        }
        (baseRate, referenceRate, nextRate) = (state.baseRate, state.referenceRate, state.nextRate)
        take(state, of: entry.path)
        (evaluation, best) = (state.evaluation, state.best)
        files = .resume
    }

    /// Takes time and moments of a checkpoint.
    ///
    /// - Parameters:
    ///   - state: What its `trainer_state.json` says.
    ///   - folder: The folder of the checkpoint.
    public mutating func take(_ state: TrainerState, of folder: String) {
        (clock, task, origin) = (state.clock, state.task, folder)
        referenceRate = state.referenceRate
        let steps = state.optimizerSteps
        optimizerState = { parameters, optimizer in
            try OptimizerFile.read(folder: folder, parameters: parameters, stepCount: steps, into: optimizer)
        }
    }

    /// What the task had kept, to be checked as it is read.
    ///
    /// - Parameter folder: The folder of the checkpoint, for messages.
    /// - Returns: The fields in their groups.
    package func taskFields(folder: String) -> StateFields {
        StateFields(path: FilePath.joined(folder, TrainerState.fileName), value: .object(task))
    }

    /// Sets the clock and the task's state to the beginning; weights, moments and rates stay.
    public mutating func resetTime() {
        (clock, task) = (TrainingClock(), [:])
    }
}
