/// How a ``Trainer`` trains: what is the same for every task.
public struct TrainerSettings {
    /// The folder of the run.
    public var folder: String
    /// What the names of checkpoints begin with.
    public var checkpointTag = "step"
    /// How long the run is, and the learning rate over that time.
    public var length: RunLength
    /// The optimizer.
    public var optimizer: OptimizerSettings
    /// The largest Euclidean norm of the gradients, to which longer ones are scaled; nil for no limit.
    public var gradientClipping: Double?
    /// Whether the rate of a step is determined with the step before it, as Composer does.
    package var determinesRatesAhead = false
    /// How often to evaluate; nil for at the end alone.
    public var evaluationInterval: TrainingTime?
    /// How often to save; nil for at the end alone.
    public var saveInterval: TrainingTime?
    /// How many of the newest checkpoints to keep; nil for all.
    public var keepLast: Int?
    /// Checkpoints at multiples of this are kept in any case.
    public var keepEvery: TrainingTime?
    /// An average of weights that is kept during training and written at its end.
    public var averaging: ExponentialAveraging?
    /// By which metric the best model is known; nil for no such model.
    public var best: BestModelSettings?
    /// When to log, evaluate and save by the rules of transformers; nil for the intervals above.
    public var strategies: RunStrategies?
    /// Logging.
    public var logging = LoggingSettings()
    /// What lines of progress begin with; nil for nothing.
    public var label: String?
    /// Receives lines of progress; nil for silence.
    public var onLine: ((String) -> Void)?
    /// Adds up over the ranks of a job; nil for a process of its own.
    public var reduction: GradientReduction?

    /// Creates settings.
    ///
    /// - Parameters:
    ///   - folder: The folder of the run.
    ///   - length: How long the run is.
    ///   - optimizer: The optimizer.
    public init(folder: String, length: RunLength, optimizer: OptimizerSettings) {
        self.folder = folder
        self.length = length
        self.optimizer = optimizer
    }
}

/// By which metric the best model of a run is known.
///
/// An evaluation that is the best so far is saved at once; `best` in the folder of the run is a link to its checkpoint,
/// which stays however few are kept.
///
/// > Source: transformers' `metric_for_best_model` and `greater_is_better`.
public struct BestModelSettings: Hashable, Sendable {
    /// The name of the metric, as evaluations log it.
    package var metric: String
    /// Whether more is better.
    package var greaterIsBetter: Bool

    /// Names a metric.
    ///
    /// - Parameters:
    ///   - metric: The name of the metric.
    ///   - greaterIsBetter: Whether more is better.
    public init(metric: String, greaterIsBetter: Bool) {
        self.metric = metric
        self.greaterIsBetter = greaterIsBetter
    }
}
