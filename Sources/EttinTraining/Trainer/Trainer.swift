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
    /// What is logged by the rules of transformers, where the settings have strategies.
    private var history: RunHistory
    private var beginning = ContinuousClock.now
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
        store = settings.store
        (clock, previousClock, origin) = (start.clock, start.clock, start.origin)
        (startFiles, startClock) = (start.files, start.clock)
        // The best by another metric says nothing of this one.
        best = start.best.flatMap { $0.settings == settings.best ? $0 : nil }
        evaluation = start.evaluation.map { ($0.key, $0.value) }
        history = try start.loadHistory()
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
            next: start.nextRate,
            plateau: start.plateau
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
        case .resume where continuesFolder:
            try task.openFiles(isResumed: true)
            try store.rollBack(toBatch: clock.batch)
        case .begin, .resume:
            try store.rollBack(toBatch: nil)
            try task.openFiles(isResumed: false)
        case .beginAgain(let entry):
            // The weights stay on the disk until they are there as the new beginning.
            try store.rollBack(toBatch: entry.batch)
            try task.openFiles(isResumed: false)
        }
        beginning = .now
        let batch = continuesFolder ? clock.batch : nil
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
        if let kept = history.bestCheckpoint, FilePath.kind(of: store.path(batch: kept)) != .folder {
            history.bestCheckpoint = nil
        }
        if settings.best != nil { try store.linkBest(toBatch: bestCheckpoint) }
        guard case .beginAgain = startFiles else { return }
        try store.keepOnly(try save())
    }

    /// Whether the files in the folder are those of the run that is resumed; that of another folder leaves them there.
    private var continuesFolder: Bool {
        guard startFiles == .resume else { return false }
        return settings.strategies == nil || origin.map(store.holds) ?? true
    }

    /// Whether the run has reached its length, or ends before it.
    public var isFinished: Bool {
        clock.count(in: settings.length.maximum.unit) >= settings.length.maximum.value || endsEarly
    }

    private var endsEarly: Bool {
        settings.strategies?.earlyStopping.map { history.evaluationsWithoutGain >= $0.patience } ?? false
    }

    /// Takes note of an evaluation that brought a gain over the best one, or did not.
    private func countGain(_ value: Double, by sought: BestModelSettings) {
        guard let rule = settings.strategies?.earlyStopping else { return }
        let isGain = best.map { $0.isSurpassed(by: value) && abs(value - $0.value) > rule.threshold } ?? value.isFinite
        history.evaluationsWithoutGain = isGain ? 0 : history.evaluationsWithoutGain + 1
        guard endsEarly else { return }
        let count = history.evaluationsWithoutGain
        settings.onLine?(
            "training ends after step \(clock.batch): \(sought.metric) has not improved in \(count) "
                + "evaluation\(count == 1 ? "" : "s")"
        )
    }

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
        history.add(loss: result.loss)
        var components: [(key: String, value: Double)] = []
        if let strategies = settings.strategies,
            strategies.logs(at: clock, since: before, isFinished: isFinished)
        {
            components = task.takeLossComponents()
            history.logTraining(
                components: components,
                gradientNorm: result.gradientNorm2,
                rate: step.optimizer.groups.groups.first?.learningRate ?? step.optimizer.learningRate,
                epoch: strategies.epoch(at: clock),
                step: clock.batch
            )
        }
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
        values += components + task.loggedValues
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
        history.isEvaluationPending = settings.strategies != nil
        guard let metrics = try task.evaluate() else {
            history.isEvaluationPending = false
            return false
        }
        evaluation = metrics
        if let strategies = settings.strategies {
            history.log(evaluation: metrics, epoch: strategies.epoch(at: clock), step: clock.batch)
            if clock.batch > 0, let key = strategies.plateauMetric {
                rates.take(metric: try value(of: key, in: metrics))
            }
        }
        history.isEvaluationPending = false
        for logger in loggers { try logger.log(evaluation, at: clock) }
        try files?.console?.log(evaluation, at: clock)
        // An evaluation before the first step is no checkpoint's.
        guard let sought = settings.best, settings.strategies == nil || clock.batch > 0 else { return false }
        let value = try value(of: sought.metric, in: metrics)
        countGain(value, by: sought)
        guard value.isFinite, best?.isSurpassed(by: value) ?? true else { return false }
        best = BestEvaluation(sought, value: value, batch: clock.batch)
        return true
    }

    private func value(of key: String, in metrics: [(key: String, value: Double)]) throws -> Double {
        guard let value = metrics.first(where: { $0.key == key })?.value else {
            throw TrainingError(
                .invalidOption,
                "metric_for_best_model",
                found: "is \(key), which is not measured",
                expected: "one of " + metrics.map(\.key).joined(separator: ", ")
            )
        }
        return value
    }

    /// The best checkpoint: that of the best evaluation, or the one before it that was saved.
    private var bestCheckpoint: Int? { settings.strategies == nil ? best?.batch : history.bestCheckpoint }

    /// How far the run has come, and what it has measured and logged.
    package var progress: RunProgress {
        RunProgress(clock: clock, evaluation: evaluation, history: history.entries)
    }

    /// Writes a checkpoint of the present state; one that is there already stays.
    ///
    /// - Returns: The checkpoint.
    /// - Throws: `TrainingError` or `CheckpointError` when it cannot be written; earlier ones are as they were.
    @discardableResult
    func save() throws -> CheckpointStore.Entry {
        try task.synchronizeFiles()
        for logger in loggers { try logger.finish() }
        if let best = best?.batch, best == clock.batch || FilePath.kind(of: store.path(batch: best)) == .folder {
            history.bestCheckpoint = best
        }
        let entry = try store.save(batch: clock.batch) { folder in
            try task.writeModel(average: nil, toFolder: folder, progress)
            try OptimizerFile.write(
                step.optimizer.state,
                keys: trained.map(\.key),
                others: average?.state ?? [],
                toFolder: folder
            )
            try writeHistory(toFolder: folder)
            try state.write(toFolder: folder, name: store.stateFile)
        }
        if bestCheckpoint == clock.batch { try store.linkBest(toBatch: clock.batch) }
        return entry
    }

    private func writeHistory(toFolder folder: String) throws {
        guard let strategies = settings.strategies else { return }
        try history.write(
            toFolder: folder,
            at: clock,
            maximum: Int(clamping: settings.length.maximum.value),
            strategies,
            best: best,
            bestPath: history.bestCheckpoint.map(store.path)
        )
    }

    private var state: TrainerState {
        var state = TrainerState(
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
        if settings.strategies != nil { state.history = history.state }
        state.plateau = rates.plateau
        return state
    }

    /// Removes the checkpoints that need not stay.
    ///
    /// - Throws: `TrainingError` when one cannot be removed.
    package func prune() throws {
        if let strategies = settings.strategies {
            guard let limit = strategies.totalLimit else { return }
            return try store.prune(toTotal: limit, keeping: history.bestCheckpoint)
        }
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
        if let strategies = settings.strategies { try finish(strategies) }
        try task.didFinish(store)
        for logger in loggers { try logger.finish() }
    }

    /// Logs the end, and takes the best checkpoint where that is asked for.
    private func finish(_ strategies: RunStrategies) throws {
        let steps = clock.batch - startClock.batch
        let seconds = (ContinuousClock.now - beginning) / .seconds(1)
        let share = Double(steps) / max(1, settings.length.maximum.value)
        let values: [(key: String, value: Double)] = [
            ("train_runtime", seconds.rounded(places: 4)),
            ("train_samples_per_second", (strategies.sampleCount * share / seconds).rounded(places: 3)),
            ("train_steps_per_second", (Double(steps) / seconds).rounded(places: 3)), ("total_flos", 0),
            ("train_loss", history.meanLoss(steps: clock.batch)),
        ]
        // The history of a checkpoint has no end yet; the lines of a run that was finished before have.
        history.log(values, epoch: strategies.epoch(at: clock), step: clock.batch)
        if steps > 0 { for logger in loggers { try logger.log(values, at: clock) } }
        if let kept = history.bestCheckpoint {
            let path = store.path(batch: kept)
            if strategies.loadsBestAtEnd {
                try task.loadModel(fromFolder: path)
                evaluation = try TrainerState(folder: path, name: store.stateFile).evaluation.map { ($0.key, $0.value) }
            }
            if strategies.totalLimit == 1 { try store.keepOnly(CheckpointStore.Entry(batch: kept, path: path)) }
        }
        try writeHistory(toFolder: settings.folder)
    }

    // MARK: What is due

    /// Whether an evaluation is due after a step.
    func evaluates(since before: TrainingClock) -> Bool {
        guard let strategies = settings.strategies else {
            return isFinished || ends(settings.evaluationInterval, since: before)
        }
        return strategies.evaluates(at: clock, since: before, isFinished: isFinished)
    }

    /// Whether a checkpoint is due after a step, whatever an evaluation says.
    func saves(since before: TrainingClock) -> Bool {
        guard let strategies = settings.strategies else {
            return isFinished || ends(settings.saveInterval, since: before)
        }
        return strategies.saves(at: clock, since: before, isFinished: isFinished)
    }

    /// Whether an evaluation that is the best so far is saved at once.
    var savesBest: Bool { settings.strategies.map { $0.saving == .best } ?? true }

    /// Whether the model is to be evaluated before the next step.
    var evaluatesFirst: Bool {
        guard let strategies = settings.strategies else { return false }
        return history.isEvaluationPending || (strategies.evaluatesAtStart && clock.batch == 0)
    }
}

extension TrainerSettings {
    /// The checkpoints of a run with these settings.
    package var store: CheckpointStore {
        CheckpointStore(
            folder: folder,
            tag: checkpointTag,
            stateFile: strategies == nil ? TrainerState.fileName : TrainerState.strategiesFileName
        )
    }
}

extension Double {
    /// The number with so many decimal places, as Python's `round`.
    package func rounded(places: Int) -> Double {
        guard isFinite else { return self }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        return (self * scale).rounded(.toNearestOrEven) / scale
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
