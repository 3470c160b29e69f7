public import EttinJSON
public import Torch

/// What a ``Trainer`` trains: a model, the batches it reads, and its loss.
///
/// A task knows nothing of steps, rates, logs or checkpoints; the trainer knows nothing of what is learned. A new recipe
/// is a task and a loss, never a loop:
///
/// ```swift
/// final class Regression: TrainingTask {
///     let (name, model): (String, Module) = ("regression", Line())
///     func nextBatch() -> [Point] { points() }
///     func size(of batch: [Point]) -> BatchSize { BatchSize(microbatches: 1, samples: batch.count, tokens: 0) }
///     func loss(of microbatch: Int, in batch: [Point], at clock: TrainingClock) -> Tensor { squaredError(batch) }
///     func writeModel(average: String?, toFolder folder: String, _ run: RunProgress) throws { try save(folder) }
/// }
/// ```
public protocol TrainingTask: AnyObject {
    /// All that one step reads: the microbatches of a global batch.
    associatedtype Batch

    /// What messages call the task, such as `encoder`.
    var name: String { get }
    /// The model. Parameters that require gradients are trained, the others are frozen.
    var model: Module { get }
    /// What a resumed run must have in common with its checkpoint, by the keys of its recipe.
    var runIdentity: [String: String] { get }
    /// What a checkpoint holds of the task besides files, such as its position in the data, by names of its own.
    var state: JSONObject { get }

    /// Puts every parameter that is trained into a group.
    ///
    /// - Parameters:
    ///   - parameters: Those parameters, in the order of the model.
    ///   - settings: The optimizer of the run.
    ///   - referenceRate: What decoupled weight decay refers to.
    /// - Returns: An optimizer without history.
    func optimizer(
        for parameters: StateDictionary,
        _ settings: OptimizerSettings,
        referenceRate: Double
    ) -> any Optimizer

    /// Makes or takes the batch of the next step.
    ///
    /// - Returns: The batch.
    /// - Throws: When it cannot be read, or there is none; what was trained is saved then.
    func nextBatch() throws -> Batch

    /// How much a batch is.
    ///
    /// - Parameter batch: The batch.
    /// - Returns: What the clock counts, and the number of microbatches.
    func size(of batch: Batch) -> BatchSize

    /// The weight of each microbatch's loss in that of the batch.
    ///
    /// - Parameter batch: The batch.
    /// - Returns: A weight for each microbatch; they sum to 1 where the loss is a mean.
    func weights(of batch: Batch) -> [Double]

    /// The loss of a microbatch, before its weight.
    ///
    /// - Parameters:
    ///   - microbatch: The number of the microbatch; they are asked for in order.
    ///   - batch: The batch.
    ///   - clock: How far the run has come before this batch.
    /// - Returns: A scalar that `backward()` can be called on.
    /// - Throws: What the task throws; nothing has changed then.
    func loss(of microbatch: Int, in batch: Batch, at clock: TrainingClock) throws -> Tensor

    /// Adds the gradients of a microbatch to those of the parameters.
    ///
    /// A task whose gradients do not come from one graph, such as one that caches them, does this itself.
    ///
    /// - Parameters:
    ///   - microbatch: The number of the microbatch; they are asked for in order.
    ///   - batch: The batch.
    ///   - weight: The weight of the microbatch's loss in that of the batch; see ``weights(of:)``.
    ///   - clock: How far the run has come before this batch.
    /// - Returns: The loss times the weight; the step is given up where that is NaN or infinite.
    /// - Throws: What the task throws; the step is given up then.
    func backward(
        ofMicrobatch microbatch: Int,
        in batch: Batch,
        weight: Double,
        at clock: TrainingClock
    ) throws -> Double

    /// The parts of the loss since the last call, under the names that they are logged under.
    ///
    /// A run with strategies asks for them with each entry of its history.
    ///
    /// - Returns: Their means; none for a loss without parts.
    func takeLossComponents() -> [(key: String, value: Double)]

    /// What is logged beside losses and rates, though not kept in a history.
    var loggedValues: [(key: String, value: Double)] { get }

    /// Opens the task's own files in the folder of the run, once it is locked and before the first step.
    ///
    /// - Parameter isResumed: Whether the run is resumed from a checkpoint; otherwise what the files hold is replaced.
    /// - Throws: When a file cannot be opened or does not fit the checkpoint; it is as it was then.
    func openFiles(isResumed: Bool) throws

    /// Takes note of a step that was taken.
    ///
    /// - Parameter batch: Its batch.
    /// - Throws: When the task's own files cannot be written.
    func didStep(on batch: Batch) throws

    /// Measures the model on held-out data.
    ///
    /// - Returns: The metrics under the names they are logged under; nil for a task without held-out data.
    /// - Throws: When data cannot be read, memory or the device fails.
    func evaluate() throws -> [(key: String, value: Double)]?

    /// Waits until the task's own files are on the disk, before a checkpoint that refers to them.
    ///
    /// - Throws: When the file system refuses.
    func synchronizeFiles() throws

    /// Writes what loads as a model: configuration, weights, tokenizer, card.
    ///
    /// - Parameters:
    ///   - average: What kind of average of the trained weights the model has now; nil for the weights themselves.
    ///   - folder: A new folder.
    ///   - run: How far the run has come, and what was last measured.
    /// - Throws: When something cannot be written.
    func writeModel(average: String?, toFolder folder: String, _ run: RunProgress) throws

    /// Takes the weights of a checkpoint, such as those of the best one at the end of a run.
    ///
    /// - Parameter folder: What ``writeModel(average:toFolder:_:)`` wrote.
    /// - Throws: When they cannot be read.
    func loadModel(fromFolder folder: String) throws

    /// Does what is to be done once, at the end of a run of full length.
    ///
    /// - Parameter store: The checkpoints of the run.
    /// - Throws: When something cannot be written.
    func didFinish(_ store: CheckpointStore) throws
}

/// How much a batch is.
public struct BatchSize: Hashable, Sendable {
    /// The number of microbatches.
    public var microbatches: Int
    /// The number of samples.
    public var samples: Int
    /// The number of tokens.
    public var tokens: Int
    /// The pass over the data that the next batch belongs to, from 0.
    public var nextEpoch: Int

    /// Describes a batch.
    ///
    /// - Parameters:
    ///   - microbatches: The number of microbatches.
    ///   - samples: The number of samples.
    ///   - tokens: The number of tokens.
    ///   - nextEpoch: The pass over the data that the next batch belongs to.
    public init(microbatches: Int, samples: Int, tokens: Int, nextEpoch: Int = 0) {
        self.microbatches = microbatches
        self.samples = samples
        self.tokens = tokens
        self.nextEpoch = nextEpoch
    }
}

/// How far a run has come, and what was last measured.
public struct RunProgress: Sendable {
    /// How far the run has come.
    public let clock: TrainingClock
    /// What was last measured on held-out data; empty for weights that were not measured.
    public let evaluation: [(key: String, value: Double)]
    /// What a run with strategies has logged, an object for each entry.
    package let history: [JSONObject]

    /// Describes a run.
    package init(
        clock: TrainingClock,
        evaluation: [(key: String, value: Double)],
        history: [JSONObject] = []
    ) {
        (self.clock, self.evaluation, self.history) = (clock, evaluation, history)
    }
}

// What a task need not say.
extension TrainingTask {
    /// Nothing that a resumed run must share.
    public var runIdentity: [String: String] { [:] }

    /// No state.
    public var state: JSONObject { [:] }

    /// No parts.
    public func takeLossComponents() -> [(key: String, value: Double)] { [] }

    /// Nothing else.
    public var loggedValues: [(key: String, value: Double)] { [] }

    /// Groups by weight decay; see ``OptimizerSettings/optimizer(for:referenceRate:)``.
    public func optimizer(
        for parameters: StateDictionary,
        _ settings: OptimizerSettings,
        referenceRate: Double
    ) -> any Optimizer {
        settings.optimizer(for: parameters, referenceRate: referenceRate)
    }

    /// The same weight for every microbatch.
    public func weights(of batch: Batch) -> [Double] {
        let count = size(of: batch).microbatches
        return [Double](repeating: 1 / Double(max(1, count)), count: count)
    }

    /// Calls `backward()` on the loss times the weight.
    public func backward(
        ofMicrobatch microbatch: Int,
        in batch: Batch,
        weight: Double,
        at clock: TrainingClock
    ) throws -> Double {
        try (loss(of: microbatch, in: batch, at: clock) * weight).backwardValue()
    }

    /// Opens nothing.
    public func openFiles(isResumed: Bool) throws {}

    /// Notes nothing.
    public func didStep(on batch: Batch) throws {}

    /// Measures nothing.
    public func evaluate() throws -> [(key: String, value: Double)]? { nil }

    /// Has no files.
    public func synchronizeFiles() throws {}

    /// Refuses, for a task whose runs end with the weights they have.
    public func loadModel(fromFolder folder: String) throws {
        throw TrainingError(.unsupported, folder, found: "cannot be loaded into \(name)")
    }

    /// Does nothing more.
    public func didFinish(_ store: CheckpointStore) throws {}
}
