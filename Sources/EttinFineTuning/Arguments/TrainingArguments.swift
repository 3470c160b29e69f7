public import EttinTraining

/// How a model is fine-tuned, by the names and defaults of transformers' and sentence-transformers' arguments.
///
/// Nothing in it is of one kind of model: every recipe of fine-tuning has these arguments beside its own.
///
/// > Source: transformers 5.23, `TrainingArguments`; sentence-transformers 6.2, `BaseTrainingArguments`.
public struct TrainingArguments: Sendable {
    /// Steps given as a number, or as a fraction of the run.
    public enum StepCount: Hashable, Sendable {
        /// A number.
        case count(Int)
        /// A fraction of the run, which is rounded up.
        case fraction(Double)

        /// The number in a run of a length.
        func resolved(in total: Int) -> Int {
            switch self {
            case .count(let count): count
            case .fraction(let share): Int((Double(total) * share).rounded(.up))
            }
        }
    }

    /// When something is done.
    public enum Occasion: String, Hashable, Sendable, CaseIterable {
        /// Never.
        case no
        /// After a number of steps.
        case steps
        /// After each pass over the data.
        case epoch
    }

    /// When a checkpoint is saved.
    public enum SaveOccasion: String, Hashable, Sendable, CaseIterable {
        /// Never.
        case no
        /// After a number of steps.
        case steps
        /// After each pass over the data.
        case epoch
        /// After an evaluation that is the best so far.
        case best
    }

    /// A learning rate for the parameters whose names match a pattern.
    public struct RateRule: Hashable, Sendable {
        /// A regular expression that is searched for in the names.
        public let pattern: String
        /// The rate.
        public let rate: Double

        /// Creates a rule.
        ///
        /// - Parameters:
        ///   - pattern: A regular expression that is searched for in the names.
        ///   - rate: The rate.
        public init(pattern: String, rate: Double) {
            self.pattern = pattern
            self.rate = rate
        }
    }

    /// What a run begins with; `resume_from_checkpoint`.
    public enum Resumption: Hashable, Sendable {
        /// New; a folder that holds a run is refused.
        case never
        /// The newest checkpoint of the output folder, which must have one.
        case newest
        /// The newest checkpoint of the output folder, or new where there is none; `autoresume`.
        case newestIfAny
        /// This checkpoint.
        case checkpoint(String)
    }

    /// The folder of the run; `output_dir`.
    public var outputFolder = "trainer_output"
    /// Whether a run that is in the folder is replaced; `overwrite_output_dir`.
    public var overwritesOutput = false
    /// The name of the run; `run_name`.
    public var runName: String?
    /// The rows of a microbatch; `per_device_train_batch_size`.
    public var trainBatchSize = 8
    /// The rows of a batch of evaluation; `per_device_eval_batch_size`.
    public var evaluationBatchSize = 8
    /// The microbatches of an update; `gradient_accumulation_steps`.
    public var accumulationSteps = 1
    /// The passes over the data; `num_train_epochs`.
    public var epochs = 3.0
    /// The updates of the run in place of passes; `max_steps`.
    public var maxSteps: Int?
    /// The peak learning rate; `learning_rate`.
    public var learningRate = 5e-5
    /// Rates of parameters by name; `learning_rate_mapping`.
    public var rateRules: [RateRule] = []
    /// The learning rate after the warm-up; `lr_scheduler_type` and `lr_scheduler_kwargs`.
    public var schedule = TransformersSchedule.Shape.linear
    /// The warm-up; `warmup_steps` or `warmup_ratio`.
    public var warmup = StepCount.count(0)
    /// The optimizer: AdamW, or one whose weight decay follows the course of the learning rate; `optim`.
    public var optimizerName = OptimizerSettings.Name.adamW
    /// The weight decay; `weight_decay`.
    public var weightDecay = 0.0
    /// β₁; `adam_beta1`.
    public var beta1 = 0.9
    /// β₂; `adam_beta2`.
    public var beta2 = 0.999
    /// ε; `adam_epsilon`.
    public var epsilon = 1e-8
    /// The largest norm of the gradients; nil for no limit; `max_grad_norm`.
    public var maxGradientNorm: Double? = 1.0
    /// Whether products are taken in bfloat16; `bf16`, and `fp16`, for which it stands in.
    public var usesBFloat16 = false
    /// Whether the recipe asks for float16.
    package var asksForFloat16 = false
    /// Whether those of evaluations are, too; `bf16_full_eval`.
    public var evaluatesInBFloat16 = false
    /// Whether layers are computed again for their gradients; `gradient_checkpointing`.
    public var recomputesLayers = false
    /// Random seed; `seed`.
    public var seed = 42
    /// Random seed of the order of the data; nil for ``seed``; `data_seed`.
    public var dataSeed: Int?
    /// Whether a last batch that is short is left out; `dataloader_drop_last`.
    public var dropsLast = false
    /// When the history gets an entry; `logging_strategy`.
    public var logging = Occasion.steps
    /// After how many steps; `logging_steps`.
    public var loggingSteps = StepCount.count(500)
    /// Whether the first step gets one; `logging_first_step`.
    public var logsFirstStep = false
    /// Whether event files for TensorBoard are written; `report_to`.
    public var writesTensorBoard = true
    /// Whether progress is shown; `disable_tqdm`.
    public var showsProgress = true
    /// When the model is evaluated; `eval_strategy`.
    public var evaluation = Occasion.no
    /// After how many steps; nil for ``loggingSteps``; `eval_steps`.
    public var evaluationSteps: StepCount?
    /// Steps, or passes, before the first evaluation; `eval_delay`.
    public var evaluationDelay = 0.0
    /// Whether the model is evaluated before the first step; `eval_on_start`.
    public var evaluatesAtStart = false
    /// When a checkpoint is saved; `save_strategy`.
    public var saving = SaveOccasion.steps
    /// After how many steps; `save_steps`.
    public var savingSteps = StepCount.count(500)
    /// Maximum number of checkpoints; `save_total_limit`.
    public var totalLimit: Int?
    /// Whether the model ends as the best checkpoint; `load_best_model_at_end`.
    public var loadsBestAtEnd = false
    /// The metric that names the best model; `metric_for_best_model`.
    public var bestMetric: String?
    /// Whether more of it is better; nil for what its name suggests; `greater_is_better`.
    public var greaterIsBetter: Bool?
    /// When the run ends before its length; `early_stopping_patience` and `early_stopping_threshold`.
    public var earlyStopping: RunStrategies.EarlyStopping?
    /// What part of the right class is spread over all; `label_smoothing_factor`, of classifiers and taggers alone.
    public var labelSmoothing = 0.0
    /// What the run begins with; `resume_from_checkpoint` and `autoresume`.
    public var resumption = Resumption.never
    /// Where the model is trained; `device`, or `use_cpu`.
    public var device = "cpu"
    /// What has no effect, a sentence each.
    public internal(set) var notices: [String] = []

    /// The defaults.
    public init() {}
}

/// How long a run is.
public struct TrainingLength: Hashable, Sendable {
    /// The microbatches of a pass over the data.
    public let microbatchesPerEpoch: Int
    /// The updates of a pass.
    public let stepsPerEpoch: Int
    /// The updates of the run.
    public let totalSteps: Int
    /// The passes, a part of one counted whole.
    public let epochs: Int
    /// The updates of the warm-up.
    public let warmupSteps: Int
    /// The rows that the run takes.
    public let sampleCount: Double
}

extension TrainingArguments {
    /// The length of a run over some data.
    ///
    /// - Parameters:
    ///   - microbatches: The batches of a pass.
    ///   - rows: The rows of a pass.
    /// - Returns: The length.
    /// - Throws: `TrainingError` when a pass has no batch, or the run would be too long to count.
    ///
    /// > Source: transformers 5.23, `Trainer.set_initial_training_values`.
    public func length(microbatches: Int, rows: Int) throws -> TrainingLength {
        guard microbatches > 0 else {
            throw TrainingError(
                .invalidOption,
                "per_device_train_batch_size",
                found: "is \(trainBatchSize), but the data has \(rows) rows, which make no batch",
                expected: rows == 0 ? "data with rows" : "at most \(rows), or dataloader_drop_last: false"
            )
        }
        let perEpoch = (microbatches - 1) / accumulationSteps + 1
        let steps = maxSteps.map(Double.init) ?? (epochs * Double(perEpoch)).rounded(.up)
        guard steps <= 1e12 else {
            throw TrainingError(
                .invalidOption,
                maxSteps == nil ? "num_train_epochs" : "max_steps",
                found: "makes \(steps) steps",
                expected: "at most 1,000,000,000,000"
            )
        }
        let total = Int(steps)
        let samples =
            maxSteps.map { Double($0) * Double(trainBatchSize) * Double(accumulationSteps) } ?? Double(rows) * epochs
        return TrainingLength(
            microbatchesPerEpoch: microbatches,
            stepsPerEpoch: perEpoch,
            totalSteps: total,
            epochs: maxSteps == nil ? Int(epochs.rounded(.up)) : (total - 1) / perEpoch + 1,
            warmupSteps: warmup.resolved(in: total),
            sampleCount: samples
        )
    }

    /// The metric that names the best model, as evaluations log it; nil where nothing asks for one.
    package var bestMetricKey: String? {
        var metric = bestMetric
        if metric == nil, loadsBestAtEnd || heedsPlateau { metric = "loss" }
        return metric.map { $0.hasPrefix("eval_") ? $0 : "eval_\($0)" }
    }

    private var heedsPlateau: Bool { if case .plateau = schedule { true } else { false } }

    /// The optimizer.
    package var optimizer: OptimizerSettings {
        OptimizerSettings(
            name: optimizerName,
            learningRate: learningRate,
            beta1: beta1,
            beta2: beta2,
            epsilon: epsilon,
            weightDecay: weightDecay,
            logsGradientNorm: true
        )
    }

    /// The settings of the trainer.
    ///
    /// - Parameter length: How long the run is.
    /// - Returns: Settings with strategies.
    /// - Throws: `TrainingError` for steps that do not go together.
    public func trainerSettings(_ length: TrainingLength) throws -> TrainerSettings {
        let total = length.totalSteps
        let schedule = TransformersSchedule(schedule, warmupSteps: length.warmupSteps, totalSteps: total)
        var settings = TrainerSettings(
            folder: outputFolder,
            length: try RunLength(
                TrainingTime(Double(total), .batch),
                schedule: .transformers(schedule),
                batchesPerEpoch: length.stepsPerEpoch
            ),
            optimizer: optimizer
        )
        settings.checkpointTag = "checkpoint-"
        settings.gradientClipping = maxGradientNorm
        var strategies = RunStrategies(
            microbatchesPerEpoch: length.microbatchesPerEpoch,
            accumulation: accumulationSteps,
            epochCount: length.epochs,
            microbatchSize: trainBatchSize,
            sampleCount: length.sampleCount
        )
        let loggingCount = loggingSteps.resolved(in: total)
        strategies.logging = logging.strategy(loggingCount)
        strategies.logsFirstStep = logsFirstStep
        strategies.evaluation = evaluation.strategy((evaluationSteps ?? loggingSteps).resolved(in: total))
        strategies.evaluationDelay = evaluationDelay
        strategies.evaluatesAtStart = evaluatesAtStart
        let savingCount = savingSteps.resolved(in: total)
        strategies.saving =
            switch saving {
            case .no: .never
            case .steps: savingCount > 0 ? .steps(savingCount) : .steps(max(1, total))
            case .epoch: .epochs
            case .best: .best
            }
        strategies.totalLimit = totalLimit
        strategies.loadsBestAtEnd = loadsBestAtEnd
        strategies.earlyStopping = earlyStopping
        strategies.plateauMetric = heedsPlateau ? bestMetricKey : nil
        settings.strategies = strategies
        settings.best = bestMetricKey.map { key in
            BestModelSettings(metric: key, greaterIsBetter: greaterIsBetter ?? !key.hasSuffix("loss"))
        }
        let logged = logging == .steps ? max(1, loggingCount) : length.stepsPerEpoch
        settings.logging = LoggingSettings(
            consoleInterval: showsProgress ? TrainingTime(Double(min(logged, max(1, total / 100))), .batch) : nil,
            showsProgress: showsProgress,
            logInterval: TrainingTime(Double(logging == .no ? total : logged), .batch),
            tensorboard: writesTensorBoard
        )
        return settings
    }
}

extension TrainingArguments.Occasion {
    fileprivate func strategy(_ steps: Int) -> RunStrategies.Strategy {
        switch self {
        case .no: .never
        case .steps: .steps(max(1, steps))
        case .epoch: .epochs
        }
    }
}
