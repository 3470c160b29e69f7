import EttinFiles
public import EttinJSON
package import Torch

/// What a run begins with besides the weights, which are in its model already.
///
/// Making one reads and checks, and writes nothing.
public struct InitialTrainerState {
    /// What becomes of the files in the run's folder.
    package enum Files: Hashable, Sendable {
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
    package var files = Files.begin
    /// The rate that the schedule multiplies.
    package var baseRate: Double
    /// The rate that decoupled weight decay refers to.
    package var referenceRate: Double
    /// The rate of the first batch where rates are determined a batch ahead; nil for that of a run that begins.
    package var nextRate: Double?
    /// What was last measured on held-out data.
    package var evaluation: [TrainerState.Measurement] = []
    /// The best evaluation so far.
    package var best: BestEvaluation?
    /// What a run with strategies has kept of its history; nil for a new run.
    private var history: (state: JSONObject, folder: String)?
    /// How far evaluations have reduced the rate.
    package var plateau: PlateauState?
    /// The keys that messages name.
    private var keys = RunKeys()
    /// What a run that is resumed must share with its checkpoint; nil for a new run.
    private var stored: (runIdentity: [String: String], optimizer: OptimizerSettings.Name, folder: String)?
    /// How far the run that is resumed had come a batch before its checkpoint.
    private var previousClock: TrainingClock?
    /// What the task had kept; empty for a new run.
    public var task: JSONObject = [:]
    /// Where weights and state came from; nil for new weights.
    public var origin: String?
    /// Gives an optimizer its moments, and returns other tensors that were stored with them.
    package var optimizerState: ((StateDictionary, OptimizerState) throws -> StateDictionary)?

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
    ///   - runIdentity: What the run must share with it, by the keys of its recipe, as far as that is known before the weights
    ///     are loaded; ``Trainer`` checks those of its task.
    /// - Throws: `TrainingError` when the checkpoint is broken, or is of another run.
    public init(resuming entry: CheckpointStore.Entry, runIdentity: [String: String]) throws {
        try self.init(resuming: entry, runIdentity: runIdentity, stateFile: TrainerState.fileName, keys: RunKeys())
    }

    /// Resumes a run with strategies from one of its checkpoints.
    ///
    /// - Parameters:
    ///   - entry: The checkpoint, whose weights the caller loads.
    ///   - runIdentity: What the run must share with it.
    ///   - stateFile: The file with the state.
    ///   - keys: The keys that messages name.
    /// - Throws: `TrainingError` when the checkpoint is broken, or is of another run.
    package init(
        resuming entry: CheckpointStore.Entry,
        runIdentity: [String: String],
        stateFile: String,
        keys: RunKeys
    ) throws {
        self.keys = keys
        let state = try TrainerState(folder: entry.path, name: stateFile)
        try Self.check(runIdentity, against: state.runIdentity, of: entry.path, keys)
        history = state.history.map { ($0, entry.path) }
        plateau = state.plateau
        (baseRate, referenceRate, nextRate) = (state.baseRate, state.referenceRate, state.nextRate)
        take(state, of: entry.path)
        (evaluation, best) = (state.evaluation, state.best)
        stored = (state.runIdentity, state.optimizer, entry.path)
        previousClock = state.previousClock
        files = .resume
    }

    private static func check(
        _ runIdentity: [String: String],
        against known: [String: String],
        of folder: String,
        _ keys: RunKeys
    ) throws {
        for (key, value) in runIdentity.sorted(by: { $0.key < $1.key }) {
            guard let stored = known[key], stored != value else { continue }
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(value), but the run resumed from \(folder) has \(stored)",
                expected: "the same, or another \(keys.folder)"
            )
        }
    }

    /// Checks that a run which is resumed is the one of its checkpoint.
    ///
    /// - Throws: `TrainingError` for another run or another optimizer.
    func check(_ runIdentity: [String: String], _ optimizer: OptimizerSettings) throws {
        guard let stored else { return }
        let known = ["optimizer.name": stored.optimizer.rawValue]
        try Self.check(runIdentity, against: stored.runIdentity, of: stored.folder, keys)
        try Self.check(["optimizer.name": optimizer.name.rawValue], against: known, of: stored.folder, keys)
    }

    /// Checks that a run which is resumed is not longer already than it is to become.
    ///
    /// - Throws: `TrainingError` when its full length was reached before the last batch of its checkpoint.
    func check(_ maximum: TrainingTime) throws {
        guard files == .resume, let previousClock, let stored,
            previousClock.count(in: maximum.unit) >= maximum.value
        else { return }
        let reached = TrainingTime(clock.count(in: maximum.unit), maximum.unit)
        throw TrainingError(
            .invalidOption,
            keys.length,
            found: "is \(maximum), but \(stored.folder) has \(reached) behind it already",
            expected: "more than that to train on, or another \(keys.folder)"
        )
    }

    /// Takes time and moments of a checkpoint.
    ///
    /// - Parameters:
    ///   - state: What its `trainer_state.json` says.
    ///   - folder: The folder of the checkpoint.
    package mutating func take(_ state: TrainerState, of folder: String) {
        (clock, task, origin) = (state.clock, state.task, folder)
        referenceRate = state.referenceRate
        let steps = state.optimizerSteps
        optimizerState = { parameters, optimizer in
            try OptimizerFile.read(folder: folder, parameters: parameters, stepCount: steps, into: optimizer)
        }
    }

    /// The history to continue.
    ///
    /// - Throws: `TrainingError` for a checkpoint whose history is broken.
    func loadHistory() throws -> RunHistory {
        try history.map { try RunHistory($0.state, folder: $0.folder) } ?? RunHistory()
    }

    /// What the task had kept, to be checked as it is read.
    ///
    /// - Parameter folder: The folder of the checkpoint, for messages.
    /// - Returns: The fields in their groups.
    package func taskFields(folder: String) -> StateFields {
        StateFields(path: FilePath.joined(folder, TrainerState.fileName), value: .object(task))
    }

    /// Sets the clock, the task's state and the best evaluation to the beginning; weights, moments and rates stay.
    package mutating func resetTime() {
        (clock, task, best) = (TrainingClock(), [:], nil)
    }
}

/// The keys of a recipe that messages about resuming name.
package struct RunKeys: Hashable, Sendable {
    /// The length of the run.
    package var length = "max_duration"
    /// The folder of the run.
    package var folder = "save_folder"

    /// The keys of pretraining.
    package init() {}

    /// Names the keys.
    ///
    /// - Parameters:
    ///   - length: The length of the run.
    ///   - folder: The folder of the run.
    package init(length: String, folder: String) {
        self.length = length
        self.folder = folder
    }
}
