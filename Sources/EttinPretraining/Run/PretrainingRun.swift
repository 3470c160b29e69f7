package import EttinCorpus
import EttinFiles
package import EttinModel
import EttinTokenizer
public import EttinTraining
import Torch

/// The training of one model: weights, optimizer, clock, ledger, logs and checkpoints.
///
/// It is given its batches, so that the halves of a pair can be given the same.
public final class PretrainingRun {
    /// What is trained, and how.
    public let recipe: PretrainingRecipe
    /// Where its files are.
    public let folder: RunFolder
    /// How far it has come.
    public private(set) var clock: TrainingClock
    /// The checkpoint it went on from or started from; nil for new weights.
    public let origin: String?
    /// What was last measured on held-out data.
    public private(set) var evaluation: [(key: String, value: Double)] = []
    /// The loss of the last batch.
    public private(set) var loss = Double.nan

    package let model: LanguageModel
    let store: CheckpointStore
    let length: RunLength
    private let tokenizer: Tokenizer?
    private let step: TrainingStep
    private let keys: [String]
    private let rates: LearningRates
    private let ledger: DataLedgerWriter
    private let loggers: [any TrainingLogger]
    private let console: (any TrainingLogger)?
    private let heldOut: HeldOutEvaluation?
    private let facts: [String: String]
    private let lock: RunLock
    private var previousClock: TrainingClock
    private(set) var position: DataPosition
    private var speed: SpeedMonitor
    private let average: RunAverage?

    /// Opens a run: a new one, or one that goes on.
    ///
    /// Nothing in its folder is touched before this, so that a mistake in a recipe costs nothing.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - start: Weights and state to begin with.
    ///   - optimization: The optimizer in that state.
    ///   - context: What runs of one process share.
    /// - Throws: `TrainingError` when files of the run cannot be opened, or another process writes them.
    init(
        _ recipe: PretrainingRecipe,
        start: RunStart,
        optimization: RunOptimization,
        context: RunContext
    ) throws {
        self.recipe = recipe
        folder = context.folder
        store = context.store
        length = context.length
        tokenizer = context.tokenizer
        clock = start.clock
        previousClock = start.clock
        position = start.position
        origin = start.origin
        model = start.model
        facts = context.facts
        evaluation = start.evaluation.map { ($0.key, $0.value) }
        keys = model.parameters.map(\.key)
        step = TrainingStep(optimizer: optimization.optimizer, clippingNorm: recipe.gradientClipping)
        average = optimization.average
        rates = LearningRates(
            schedule: length.schedule,
            maximum: length.maximum,
            base: start.baseRate,
            reference: start.referenceRate,
            isLiteral: recipe.rules.learningRateTiming == .literal,
            next: start.nextRate
        )
        heldOut = context.heldOut
        try TrainingError.translating { try FilePath.makeFolder(context.folder.path) }
        lock = try RunLock(folder: context.folder.path)
        // A run that goes on keeps what it wrote up to its checkpoint; one that begins keeps nothing.
        var batch: Int?
        switch start.files {
        case .begin:
            try store.takeBack(toBatch: nil)
            ledger = try DataLedgerWriter(path: folder.ledger)
        case .goOn(let steps, let head):
            batch = start.clock.batch
            ledger = try DataLedgerWriter(path: folder.ledger, continuingAfterBatch: steps, endingIn: head)
            try store.takeBack(toBatch: batch)
        case .beginAgain(let entry):
            // The weights stay on the disk until they are there as the new beginning.
            try store.takeBack(toBatch: entry.batch)
            ledger = try DataLedgerWriter(path: folder.ledger)
        }
        var loggers: [any TrainingLogger] = []
        if recipe.logging.jsonl {
            loggers.append(try JSONLinesLogger(path: folder.metrics, continuingAfterBatch: batch))
        }
        if recipe.logging.tensorboard {
            loggers.append(try TensorBoardLogger(folder: folder.events, continuingAfterBatch: batch))
        }
        self.loggers = loggers
        let maximum = context.length.maximum
        console = context.onLine.map { show in
            ConsoleProgress(maximum: maximum, name: context.label, startingAt: start.clock, show: show)
        }
        speed = SpeedMonitor(window: recipe.logging.speedWindow)
        try RunDescription(recipe, model: model, tokenizer: context.tokenizerFolder).write(to: folder)
        guard case .beginAgain = start.files else { return }
        try store.keepOnly(try save())
    }

    /// Whether the run has its full length.
    var isFinished: Bool { clock.count(in: length.maximum.unit) >= length.maximum.value }

    // MARK: Steps

    /// Takes a step.
    ///
    /// - Parameters:
    ///   - microbatches: What this model reads and predicts.
    ///   - batch: The batch they are of.
    ///   - waited: Seconds that were spent waiting for it.
    /// - Throws: `TrainingError` of kind `diverged` when the loss is not a number; nothing has changed then. `TorchError`
    ///   when memory runs out.
    func train(on microbatches: [TrainingBatch], of batch: StepBatch, waited: Double) throws {
        let before = clock
        let begin = ContinuousClock.now
        let rate = rates.rate(at: clock)
        let weights = lossWeights(microbatches)
        let starts = microbatches.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.packed.tokenCount) }
        if model.configuration.attentionDropout > 0 {
            TorchRuntime.seed(recipe.seed &+ UInt64(clock.batch) &* 0x9E37_79B9_7F4A_7C15)
        }
        let result = try step.run(microbatches: microbatches.count, learningRate: rate) { index in
            let pass = TrainingPass(
                seed: recipe.seed,
                step: before.batch,
                precedingTokens: starts[index],
                recomputesActivations: recipe.gradientCheckpointing
            )
            let options = CrossEntropyOptions(
                reduction: recipe.rules.lossWeighting == .literal ? .mean : .sum,
                zLoss: recipe.zLoss
            )
            let loss = model.loss(
                microbatches[index].packed,
                labels: microbatches[index].labels,
                training: pass,
                precision: recipe.precision,
                options: options
            )
            return loss.loss * weights[index]
        }
        rates.advance(from: before)
        previousClock = before
        loss = result.loss
        let tokens =
            recipe.rules.tokenCounting == .data
            ? batch.fingerprint.tokens : microbatches.reduce(0) { $0 + $1.packed.tokenCount }
        clock.advance(samples: batch.fingerprint.samples, tokens: tokens, epoch: batch.nextEpoch)
        let seconds = (ContinuousClock.now - begin) / .seconds(1) + waited
        clock.seconds += seconds
        position = batch.positionAfter
        average?.update(model, at: clock, since: before, length: length)
        try ledger.append(batch.fingerprint)
        speed.add(tokens: tokens, samples: batch.fingerprint.samples, seconds: seconds, waited: waited)
        try log(result, rate: rate, since: before)
    }

    // Literal: a microbatch weighs by its sequences, and its labelled tokens share that. Intended: all labelled tokens
    // of the batch weigh the same.
    private func lossWeights(_ microbatches: [TrainingBatch]) -> [Double] {
        switch recipe.rules.lossWeighting {
        case .literal:
            let rows = microbatches.map { Double($0.packed.sequenceCount) }
            let total = rows.reduce(0, +)
            return rows.map { $0 / total }
        case .intended:
            let labelled = microbatches.reduce(0) { $0 + $1.labelledCount }
            return microbatches.map { _ in 1 / Double(max(1, labelled)) }
        }
    }

    private func log(_ result: TrainingStep.Result, rate: Double, since before: TrainingClock) throws {
        let logging = recipe.logging
        let isFirst = before.batch == 0
        let isLogged = isFirst || isFinished || clock.crosses(length.counted(logging.logInterval), since: before)
        let isShown = logging.consoleInterval.map {
            isFirst || isFinished || clock.crosses(length.counted($0), since: before)
        }
        guard isLogged || isShown == true else { return }
        let name = MetricName.learningRatePrefix + recipe.optimizer.name.loggedName
        var values: [(key: String, value: Double)] = [
            (MetricName.trainingLoss, result.loss), ("\(name)/group0", rate), ("\(name)/group1", rate),
        ]
        values += speed.values
        values.append((MetricName.peakBytes, Double(PeakMemory.bytes)))
        let norms = logging.gradientNormInterval.map {
            isFirst || isFinished || clock.crosses(length.counted($0), since: before)
        }
        if norms == true || recipe.optimizer.logsGradientNorm {
            values.append(("gradient_norms/l1_norm", result.gradientNorm1))
            values.append((MetricName.gradientNorm, result.gradientNorm2))
        }
        if isLogged { for logger in loggers { try logger.log(values, at: clock) } }
        if isShown == true { try console?.log(values, at: clock) }
    }

    /// Whether an interval of the recipe ended with the last batch.
    func crosses(_ interval: TrainingTime?, since before: TrainingClock) -> Bool {
        guard let interval else { return false }
        return clock.crosses(length.counted(interval), since: before)
    }

    // MARK: Measuring and saving

    /// Measures the model on held-out data, if the recipe names any.
    ///
    /// - Throws: `CorpusError` when a sample cannot be read; `TorchError` when memory runs out.
    func evaluate() throws {
        guard let heldOut else { return }
        let key = recipe.objective == .causal ? MetricName.nextTokenAccuracy : MetricName.maskedAccuracy
        evaluation = try heldOut.run(model, accuracyKey: key)
        for logger in loggers { try logger.log(evaluation, at: clock) }
        try console?.log(evaluation, at: clock)
    }

    /// What the model is measured on.
    ///
    /// - Returns: The microbatches of an evaluation; nil without held-out data.
    /// - Throws: `CorpusError` when a sample cannot be read.
    package func heldOutBatches() throws -> [TrainingBatch]? { try heldOut?.batches() }

    /// Writes a checkpoint of the present state; one that is there already stays.
    ///
    /// - Returns: Its folder.
    /// - Throws: `TrainingError` or `CheckpointError` when it cannot be written; earlier ones are as they were.
    @discardableResult
    func save() throws -> CheckpointStore.Entry {
        try ledger.synchronize()
        for logger in loggers { try logger.finish() }
        return try store.save(batch: clock.batch) { folder in
            try write(model, toFolder: folder)
            try OptimizerFile.write(
                step.optimizer.state,
                keys: keys,
                others: average?.state ?? [],
                toFolder: folder
            )
            try TrainerState(
                clock: clock,
                previousClock: previousClock,
                position: position,
                ledgerSteps: ledger.nextStep,
                ledgerHead: "\(ledger.head)",
                optimizer: recipe.optimizer.name,
                optimizerSteps: step.optimizer.state.stepCount,
                learningRate: step.optimizer.learningRate,
                nextRate: rates.next,
                baseRate: rates.base,
                referenceRate: rates.reference,
                facts: facts,
                evaluation: evaluation.map { TrainerState.Measurement(key: $0.key, value: $0.value) }
            ).write(toFolder: folder)
        }
    }

    /// Removes the checkpoints that the recipe does not keep.
    ///
    /// - Throws: `TrainingError` when one cannot be removed.
    func prune() throws {
        guard let last = recipe.checkpoints.keepLast else { return }
        let interval = recipe.checkpoints.keepEvery.map(length.counted)
        try store.prune(keepingLast: last) { state in
            interval.map { state.clock.crosses($0, since: state.previousClock) } ?? false
        }
    }

    /// Whether all weights are numbers; those of a run that went wrong need not be.
    func hasFiniteWeights() throws -> Bool {
        try withoutGradients {
            try withRecovery { try model.parameters.allSatisfy { try ($0.tensor * 0).sum().scalar() == 0 } }
        }
    }

    /// Writes the averages that the recipe asks for, at the end of a run.
    ///
    /// - Throws: `TrainingError` or `CheckpointError` when they cannot be written.
    func finish() throws {
        try average?.write(of: self)
        for logger in loggers { try logger.finish() }
    }

    /// Writes what loads as a model: configuration, weights, tokenizer, card.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - average: What kind of average of the trained weights it has, of which nothing was measured.
    ///   - folder: Where to.
    /// - Throws: `CheckpointError` when something cannot be written.
    func write(_ model: LanguageModel, average: String? = nil, toFolder folder: String) throws {
        try withoutGradients { try model.save(folder: folder) }
        if recipe.kind == .decoder {
            try GenerationConfiguration(model: model.configuration).write(toFolder: folder)
        }
        try tokenizer?.save(to: folder)
        let measured = average == nil ? evaluation : []
        try RunCard(recipe, clock: clock, evaluation: measured, average: average).card.write(toFolder: folder)
    }
}
