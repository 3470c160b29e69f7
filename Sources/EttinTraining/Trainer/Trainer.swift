import EttinFiles
import Torch

/// Trains the model of a task: steps, rates, logs, evaluations, checkpoints, resuming.
///
/// ```swift
/// let store = CheckpointStore(folder: settings.folder, tag: settings.checkpointTag)
/// let newest = try store.newest()
/// let start = try newest.map { try InitialTrainerState(resuming: $0, runIdentity: runIdentity) } ?? InitialTrainerState(settings.optimizer)
/// let task = try Regression(weights: newest?.path, position: start.task)
/// let trainer = try Trainer(task, settings, from: start)
/// let outcome = try trainer.run(while: { !isInterrupted })
/// ```
/// A run has no hidden state: what it needs to be resumed is in its newest checkpoint, and a run that is killed anywhere
/// is resumed from it to the same bits.
public final class Trainer<Task: TrainingTask> {
    /// What is trained.
    public let task: Task
    /// The settings of the run.
    public let settings: TrainerSettings
    /// The checkpoints of the run.
    package let store: CheckpointStore
    /// How far the run has come.
    public private(set) var clock: TrainingClock
    /// The checkpoint that was resumed or started from; nil for new weights.
    package let origin: String?
    /// What was last measured on held-out data.
    public private(set) var evaluation: [(key: String, value: Double)]
    /// The best evaluation so far, where the settings name a metric.
    public private(set) var best: BestEvaluation?
    /// The loss of the last batch.
    public private(set) var loss = Double.nan

    private let step: TrainingStep
    private let trained: StateDictionary
    private let rates: LearningRates
    private let average: WeightAverage?
    private let runIdentity: [String: String]
    private let startFiles: InitialTrainerState.Files
    private let startClock: TrainingClock
    private var previousClock: TrainingClock
    private var speed: SpeedMonitor
    /// Nil until the folder of the run is locked.
    private var ownLock: RunLock?
    /// Nil until the run is opened.
    private var files: OpenFiles?

    private struct OpenFiles {
        let loggers: [any TrainingLogger]
        let console: (any TrainingLogger)?
    }

    private var loggers: [any TrainingLogger] { files?.loggers ?? [] }

    /// Prepares a run: a new one, or one that is resumed.
    ///
    /// Nothing is written before ``run(while:)``.
    ///
    /// - Parameters:
    ///   - task: What is trained; its model has the weights to begin with.
    ///   - settings: The settings of the run.
    ///   - start: What the run begins with.
    /// - Throws: `TrainingError` or `CheckpointError` when the model has nothing to train, or a stored state does not fit
    ///   it, the identity of the run or the optimizer.
    public init(_ task: Task, _ settings: TrainerSettings, from start: InitialTrainerState) throws {
        self.task = task
        self.settings = settings
        store = CheckpointStore(folder: settings.folder, tag: settings.checkpointTag)
        (clock, previousClock, origin) = (start.clock, start.clock, start.origin)
        (startFiles, startClock) = (start.files, start.clock)
        // The best by another metric says nothing of this one.
        best = start.best.flatMap { $0.settings == settings.best ? $0 : nil }
        evaluation = start.evaluation.map { ($0.key, $0.value) }
        runIdentity = task.runIdentity
        try start.check(runIdentity, settings.optimizer)
        try start.check(settings.length.maximum)
        trained = task.model.trainedParameters
        guard !trained.isEmpty else {
            throw TrainingError(
                .invalidOption,
                task.name,
                found: "has no parameter that is trained",
                expected: "at least one that requires gradients"
            )
        }
        let optimizer = task.optimizer(for: trained, settings.optimizer, referenceRate: start.referenceRate)
        let stored = try start.optimizerState?(trained, optimizer.state) ?? []
        average = try settings.averaging.map {
            try WeightAverage($0, model: task.model, length: settings.length, stored: stored)
        }
        step = TrainingStep(
            optimizer: optimizer,
            clippingNorm: settings.gradientClipping,
            reduction: settings.reduction
        )
        rates = LearningRates(
            schedule: settings.length.schedule,
            maximum: settings.length.maximum,
            base: start.baseRate,
            reference: start.referenceRate,
            isLiteral: settings.determinesRatesAhead,
            next: start.nextRate
        )
        speed = SpeedMonitor(window: settings.logging.speedWindow)
    }

    /// Makes the folder of the run, into which no other process may write from then on.
    ///
    /// - Throws: `TrainingError` when it cannot be made or written, or another process has it.
    package func lock() throws {
        guard ownLock == nil else { return }
        try TrainingError.translating { try FilePath.makeFolder(settings.folder) }
        ownLock = try RunLock(folder: settings.folder)
    }

    /// Opens the files of the run.
    ///
    /// A run that is resumed keeps what it wrote up to its checkpoint; one that begins keeps nothing.
    ///
    /// - Throws: `TrainingError` when files cannot be opened or are written by another process; what the task throws.
    package func open() throws {
        guard files == nil else { return }
        try lock()
        switch startFiles {
        case .begin:
            try store.rollBack(toBatch: nil)
            try task.openFiles(isResumed: false)
        case .resume:
            try task.openFiles(isResumed: true)
            try store.rollBack(toBatch: clock.batch)
        case .beginAgain(let entry):
            // The weights stay on the disk until they are there as the new beginning.
            try store.rollBack(toBatch: entry.batch)
            try task.openFiles(isResumed: false)
        }
        let batch = startFiles == .resume ? clock.batch : nil
        files = OpenFiles(
            loggers: try settings.logging.loggers(folder: settings.folder, continuingAfterBatch: batch),
            console: settings.onLine.map { show in
                ConsoleProgress(
                    maximum: settings.length.maximum,
                    name: settings.label,
                    startingAt: startClock,
                    show: show
                )
            }
        )
        if settings.best != nil { try store.linkBest(toBatch: best?.batch) }
        guard case .beginAgain = startFiles else { return }
        try store.keepOnly(try save())
    }

    /// Whether the run has reached its length.
    public var isFinished: Bool { clock.count(in: settings.length.maximum.unit) >= settings.length.maximum.value }

    // MARK: Steps

    /// Takes a step.
    ///
    /// - Parameters:
    ///   - batch: What the step reads.
    ///   - waited: Seconds that were spent waiting for it.
    /// - Throws: `TrainingError` of kind `diverged` when the loss is not a number; nothing has changed then. `TorchError`
    ///   when memory runs out; what the task throws.
    func train(on batch: Task.Batch, waited: Double) throws {
        let before = clock
        let begin = ContinuousClock.now
        let size = task.size(of: batch)
        let weights = task.weights(of: batch)
        let result = try step.run(microbatches: size.microbatches, learningRate: rates.rate(at: before)) { index in
            try task.backward(ofMicrobatch: index, in: batch, weight: weights[index], at: before)
        }
        rates.advance(from: before)
        previousClock = before
        loss = result.loss
        clock.advance(samples: size.samples, tokens: size.tokens, epoch: size.nextEpoch)
        let seconds = (ContinuousClock.now - begin) / .seconds(1) + waited
        clock.seconds += seconds
        average?.update(task.model, at: clock, since: before)
        try task.didStep(on: batch)
        speed.add(tokens: size.tokens, samples: size.samples, seconds: seconds, waited: waited)
        try log(result, since: before)
    }

    private func log(_ result: TrainingStep.Result, since before: TrainingClock) throws {
        let logging = settings.logging
        func isDue(_ interval: TrainingTime?) -> Bool {
            guard let interval else { return false }
            return before.batch == 0 || isFinished || settings.length.ends(interval, at: clock, since: before)
        }
        let (isLogged, isShown) = (isDue(logging.logInterval), isDue(logging.consoleInterval))
        guard isLogged || isShown else { return }
        let name = MetricName.learningRatePrefix + settings.optimizer.name.loggedName
        var values: [(key: String, value: Double)] = [(MetricName.trainingLoss, result.loss)]
        for (index, group) in step.optimizer.groups.groups.enumerated() {
            values.append(("\(name)/group\(index)", group.learningRate))
        }
        values += speed.values
        values.append((MetricName.peakBytes, Double(PeakMemory.bytes)))
        if isDue(logging.gradientNormInterval) || settings.optimizer.logsGradientNorm {
            values.append(("gradient_norms/l1_norm", result.gradientNorm1))
            values.append((MetricName.gradientNorm, result.gradientNorm2))
        }
        if isLogged { for logger in loggers { try logger.log(values, at: clock) } }
        if isShown { try files?.console?.log(values, at: clock) }
    }

    // MARK: Measuring and saving

    /// Measures the model on held-out data, if the task has any.
    ///
    /// - Returns: Whether this is the best evaluation so far, which is to be saved.
    /// - Throws: What the task throws; `TrainingError` when the metric that names the best model is not among those of an
    ///   evaluation.
    func evaluate() throws -> Bool {
        guard let metrics = try task.evaluate() else { return false }
        evaluation = metrics
        for logger in loggers { try logger.log(evaluation, at: clock) }
        try files?.console?.log(evaluation, at: clock)
        guard let sought = settings.best else { return false }
        guard let value = metrics.first(where: { $0.key == sought.metric })?.value else {
            throw TrainingError(
                .invalidOption,
                "metric_for_best_model",
                found: "is \(sought.metric), which is not measured",
                expected: "one of " + metrics.map(\.key).joined(separator: ", ")
            )
        }
        guard value.isFinite, best?.isSurpassed(by: value) ?? true else { return false }
        best = BestEvaluation(sought, value: value, batch: clock.batch)
        return true
    }

    /// Writes a checkpoint of the present state; one that is there already stays.
    ///
    /// - Returns: The checkpoint.
    /// - Throws: `TrainingError` or `CheckpointError` when it cannot be written; earlier ones are as they were.
    @discardableResult
    func save() throws -> CheckpointStore.Entry {
        try task.synchronizeFiles()
        for logger in loggers { try logger.finish() }
        let entry = try store.save(batch: clock.batch) { folder in
            try task.writeModel(
                average: nil,
                toFolder: folder,
                RunProgress(clock: clock, evaluation: evaluation)
            )
            try OptimizerFile.write(
                step.optimizer.state,
                keys: trained.map(\.key),
                others: average?.state ?? [],
                toFolder: folder
            )
            try state.write(toFolder: folder)
        }
        if best?.batch == clock.batch { try store.linkBest(toBatch: clock.batch) }
        return entry
    }

    private var state: TrainerState {
        TrainerState(
            clock: clock,
            previousClock: previousClock,
            task: task.state,
            optimizer: settings.optimizer.name,
            optimizerSteps: step.optimizer.state.stepCount,
            learningRate: step.optimizer.learningRate,
            nextRate: rates.next,
            baseRate: rates.base,
            referenceRate: rates.reference,
            runIdentity: runIdentity,
            evaluation: evaluation.map { TrainerState.Measurement(key: $0.key, value: $0.value) },
            best: best
        )
    }

    /// Removes the checkpoints that need not stay.
    ///
    /// - Throws: `TrainingError` when one cannot be removed.
    package func prune() throws {
        guard let last = settings.keepLast else { return }
        let interval = settings.keepEvery.map(settings.length.counted)
        let best = best?.batch
        try store.prune(keepingLast: last) { state in
            state.clock.batch == best || interval.map { state.clock.crosses($0, since: state.previousClock) } ?? false
        }
    }

    /// Whether all weights are numbers; those of a run that diverged need not be.
    func hasFiniteWeights() throws -> Bool {
        try withoutGradients {
            try withRecovery { try task.model.parameters.allSatisfy { try ($0.tensor * 0).sum().scalar() == 0 } }
        }
    }

    /// Writes what is written once, at the end of a run.
    ///
    /// - Throws: `TrainingError` or `CheckpointError` when it cannot be written.
    func finish() throws {
        try average?.write(of: task.model, toFolder: FilePath.joined(settings.folder, "ema")) { folder in
            try task.writeModel(
                average: "exponential moving average",
                toFolder: folder,
                RunProgress(clock: clock, evaluation: [])
            )
        }
        try task.didFinish(store)
        for logger in loggers { try logger.finish() }
    }
}

extension LoggingSettings {
    /// Opens the files that a run logs to.
    ///
    /// - Parameters:
    ///   - folder: The folder of the run.
    ///   - batch: The batch after which a run is resumed; nil for one that begins.
    /// - Returns: The loggers.
    /// - Throws: `TrainingError` when a file cannot be opened.
    func loggers(folder: String, continuingAfterBatch batch: Int?) throws -> [any TrainingLogger] {
        var loggers: [any TrainingLogger] = []
        if jsonl {
            let path = FilePath.joined(folder, JSONLinesLogger.fileName)
            loggers.append(try JSONLinesLogger(path: path, continuingAfterBatch: batch))
        }
        if tensorboard {
            let path = FilePath.joined(folder, TensorBoardLogger.folderName)
            loggers.append(try TensorBoardLogger(folder: path, continuingAfterBatch: batch))
        }
        return loggers
    }
}
