/// When a run logs, evaluates and saves, and which checkpoints stay, by the rules of transformers' `Trainer`.
///
/// Steps are updates, counted from 1. A run with strategies keeps the history that `trainer_state.json` holds there.
///
/// > Source: transformers 5.23, `DefaultFlowCallback` and `Trainer._save_checkpoint`.
public struct RunStrategies: Hashable, Sendable {
    /// When something is done.
    public enum Strategy: Hashable, Sendable {
        /// Never.
        case never
        /// After every so many steps.
        case steps(Int)
        /// After every pass over the data, and where the run ends.
        case epochs
        /// After an evaluation that is the best so far; for saving alone.
        case best
    }

    /// How long a run goes on without a better evaluation, by the metric that names the best model.
    ///
    /// > Source: transformers 5.23, `EarlyStoppingCallback`.
    public struct EarlyStopping: Hashable, Sendable {
        /// How many evaluations in a row may bring no gain; `early_stopping_patience`.
        public var patience: Int
        /// How much better than the best a gain must be; `early_stopping_threshold`.
        public var threshold: Double

        /// Creates a rule.
        ///
        /// - Parameters:
        ///   - patience: How many evaluations in a row may bring no gain.
        ///   - threshold: How much better than the best a gain must be.
        public init(patience: Int, threshold: Double = 0) { (self.patience, self.threshold) = (patience, threshold) }
    }

    /// When an entry of the history is made; `logging_strategy` and `logging_steps`.
    public var logging = Strategy.steps(500)
    /// Whether the first step makes one; `logging_first_step`.
    public var logsFirstStep = false
    /// When the model is evaluated: with steps, after the last one too; `eval_strategy` and `eval_steps`.
    public var evaluation = Strategy.never
    /// How many steps, or passes, come before the first evaluation; `eval_delay`.
    public var evaluationDelay = 0.0
    /// Whether the model is evaluated before the first step; `eval_on_start`.
    public var evaluatesAtStart = false
    /// When a checkpoint is saved: with steps, after the last one too; `save_strategy` and `save_steps`.
    public var saving = Strategy.steps(500)
    /// Maximum number of checkpoints, of which the newest and the best always stay; `save_total_limit`.
    public var totalLimit: Int?
    /// Whether the model ends as the best checkpoint; `load_best_model_at_end`.
    public var loadsBestAtEnd = false
    /// When the run ends before its length; nil for never.
    public var earlyStopping: EarlyStopping?
    /// The metric that the rate of a plateau heeds; `metric_for_best_model`.
    public var plateauMetric: String?
    /// The microbatches of a pass over the data.
    public var microbatchesPerEpoch: Int
    /// The microbatches of an update, but for the last of a pass.
    public var accumulation: Int
    /// The passes that the run takes, a part of one counted whole.
    public var epochCount: Int
    /// The samples of a microbatch; `per_device_train_batch_size`.
    public var microbatchSize: Int
    /// The samples that the run takes.
    public var sampleCount: Double

    /// Creates strategies with the defaults of transformers.
    ///
    /// - Parameters:
    ///   - microbatchesPerEpoch: The microbatches of a pass over the data.
    ///   - accumulation: The microbatches of an update.
    ///   - epochCount: The passes that the run takes.
    ///   - microbatchSize: The samples of a microbatch.
    ///   - sampleCount: The samples that the run takes.
    public init(
        microbatchesPerEpoch: Int,
        accumulation: Int,
        epochCount: Int,
        microbatchSize: Int,
        sampleCount: Double
    ) {
        self.microbatchesPerEpoch = microbatchesPerEpoch
        self.accumulation = accumulation
        self.epochCount = epochCount
        self.microbatchSize = microbatchSize
        self.sampleCount = sampleCount
    }

    /// The passes over the data up to a time, with the part of the present one.
    ///
    /// - Parameter clock: The time.
    /// - Returns: A number whose whole part counts passes.
    package func epoch(at clock: TrainingClock) -> Double {
        let done = min(clock.batchInEpoch * accumulation, microbatchesPerEpoch)
        return Double(clock.epoch) + Double(done) / Double(max(1, microbatchesPerEpoch))
    }

    /// Whether an entry of the history is due after a step.
    func logs(at clock: TrainingClock, since before: TrainingClock, isFinished: Bool) -> Bool {
        (logsFirstStep && clock.batch == 1) || isDue(logging, clock, before, isFinished, alsoAtEnd: false)
    }

    /// Whether an evaluation is due after a step.
    func evaluates(at clock: TrainingClock, since before: TrainingClock, isFinished: Bool) -> Bool {
        let time = evaluation == .epochs ? epoch(at: clock) : Double(clock.batch)
        return evaluationDelay <= time && isDue(evaluation, clock, before, isFinished, alsoAtEnd: true)
    }

    /// Whether a checkpoint is due after a step, whatever an evaluation says.
    func saves(at clock: TrainingClock, since before: TrainingClock, isFinished: Bool) -> Bool {
        isDue(saving, clock, before, isFinished, alsoAtEnd: true)
    }

    private func isDue(
        _ strategy: Strategy,
        _ clock: TrainingClock,
        _ before: TrainingClock,
        _ isFinished: Bool,
        alsoAtEnd: Bool
    ) -> Bool {
        switch strategy {
        case .never, .best: false
        case .steps(let count): clock.batch.isMultiple(of: max(1, count)) || (alsoAtEnd && isFinished)
        case .epochs: clock.epoch != before.epoch || isFinished
        }
    }
}

extension RunStrategies.Strategy {
    /// The steps; nil for another strategy.
    package var stepCount: Int? { if case .steps(let count) = self { count } else { nil } }
}
