public import EttinJSON
public import EttinModel
public import EttinTraining
package import Torch

/// What a model is trained to predict.
package enum PretrainingObjective: Hashable, Sendable {
    /// Masked tokens, each chosen with a probability.
    case masked(probability: Double)
    /// The next token.
    case causal

    /// The name in `run.json`.
    package var name: String {
        switch self {
        case .masked: "mlm"
        case .causal: "clm"
        }
    }
}

/// A batch size that grows over the first tokens of a run.
package struct BatchSizeWarmupSettings: Hashable, Sendable {
    /// The sequences of a device's batch at the start; `batch_size_warmup_min_size`.
    package var minSize: Int
    /// The tokens over which it grows; `batch_size_warmup_tokens`.
    package var tokens: Int

    /// Creates settings.
    ///
    /// - Parameters:
    ///   - minSize: The sequences of a device's batch at the start.
    ///   - tokens: The tokens over which it grows.
    package init(minSize: Int, tokens: Int) {
        self.minSize = minSize
        self.tokens = tokens
    }
}

/// A training run as its recipe describes it, every value resolved and typed.
///
/// `PretrainingRecipe(path:overrides:)` reads one from YAML; docs/pretraining.md describes the keys.
public struct PretrainingRecipe: Sendable {
    /// The name of the run; `run_name`.
    public var runName: String?
    /// The seed of weights, masks and dropout; `seed`.
    package var seed: UInt64
    /// What is trained; from `model.name`.
    public var kind: ModelKind
    /// What the model at `load_path` is: the other kind in cross-objective training.
    package var startKind: ModelKind
    /// What the model is trained to predict.
    package var objective: PretrainingObjective
    /// The probability that a token is masked in evaluation; `eval_loader.dataset.mlm_probability`.
    package var evalMaskProbability: Double
    /// The model; `model.model_config`.
    public var model: ModernBERTConfiguration
    /// Whether the number of rows of the embedding is to be the tokenizer's; `vocab_size: tokenizer`.
    package var takesVocabularyFromTokenizer: Bool
    /// Dropout on the output of attention, in training only; `attn_out_dropout_prob`.
    package var attentionOutputDropout: Double
    /// How new weights are drawn; `init_method`.
    package var initialization: WeightInitialization
    /// The weight of the mean squared log of the softmax's denominator in the loss; `loss_kwargs.lse_square_scale`.
    package var zLoss: Double
    /// The tokenizer, a folder or a repository; `tokenizer_name`.
    package var tokenizerName: String?
    /// The data to train on; `train_loader`.
    package var data: DataSettings
    /// The data to evaluate on; `eval_loader`.
    package var evalData: DataSettings?
    /// The length of the run, in any unit but durations; `max_duration`.
    public var maxDuration: TrainingTime
    /// How often to evaluate, nil for at the end alone; `eval_interval`.
    package var evalInterval: TrainingTime?
    /// The batches of an evaluation; `eval_subset_num_batches`, nil for all.
    package var evalSubsetBatches: Int?
    /// The sequences of a batch; `global_train_batch_size`.
    package var globalTrainBatchSize: Int
    /// The sequences of a batch of evaluation; `global_eval_batch_size`.
    package var globalEvalBatchSize: Int
    /// The sequences of a microbatch; `device_train_microbatch_size`, nil for auto.
    package var microbatchSize: Int?
    /// The sequences of a microbatch of evaluation; `device_eval_microbatch_size`.
    package var evalMicrobatchSize: Int?
    /// Maximum number of tokens of a microbatch, instead of sequences; `max_tokens_per_microbatch`.
    package var maxTokensPerMicrobatch: Int?
    /// The growth of the batch size; nil where it has no effect.
    package var batchSizeWarmup: BatchSizeWarmupSettings?
    /// The optimizer; `optimizer`.
    package var optimizer: OptimizerSettings
    /// The learning rate over time; `scheduler`.
    package var schedule: LearningRateSchedule
    /// The types to compute in; `precision`.
    package var precision: Precision
    /// The largest norm of the gradient; `algorithms.gradient_clipping`.
    package var gradientClipping: Double?
    /// Whether activations are computed again for the gradient instead of kept; `gradient_checkpointing`.
    package var gradientCheckpointing: Bool
    /// An average of weights; `algorithms.ema`, `average_last_checkpoints`.
    package var averaging: CheckpointAveraging?
    /// Saving, loading and resuming.
    package var checkpoints: CheckpointSettings
    /// A smaller model whose weights this one starts from; `init_from_checkpoint`.
    package var initFromCheckpoint: SmallerModelSettings?
    /// Where the training code did something else than was meant; `rules`.
    package var rules: CompatibilityRules
    /// Where to compute, such as `cpu` or `cuda:1`; `device`.
    package var device: String
    /// Logging.
    package var logging: LoggingSettings
    /// What in the recipe has no effect, or an effect that one might not expect; for the run's log.
    public var notices: [String]
    /// The recipe with everything interpolated and overridden, for `run.json`.
    public var resolved: JSONValue

    /// Creates a recipe.
    ///
    /// - Parameters:
    ///   - kind: What is trained.
    ///   - data: The data to train on.
    ///   - maxDuration: The length of the run, in any unit but durations.
    ///   - model: The model; nil for transformers' defaults.
    ///   - runName: The name of the run.
    ///   - seed: The seed of weights, masks and dropout.
    ///   - startKind: What the model at the load path is; nil for the same kind.
    ///   - objective: What the model is trained to predict; nil for that of the kind, masking 30 %.
    ///   - evalMaskProbability: The probability that a token is masked in evaluation.
    ///   - takesVocabularyFromTokenizer: Whether the number of rows of the embedding is to be the tokenizer's.
    ///   - attentionOutputDropout: Dropout on the output of attention.
    ///   - initialization: How new weights are drawn.
    ///   - zLoss: The weight of the mean squared log of the softmax's denominator.
    ///   - tokenizerName: The tokenizer.
    ///   - evalData: The data to evaluate on.
    ///   - evalInterval: How often to evaluate, nil for at the end alone.
    ///   - evalSubsetBatches: The batches of an evaluation.
    ///   - globalTrainBatchSize: The sequences of a batch.
    ///   - globalEvalBatchSize: The sequences of a batch of evaluation.
    ///   - microbatchSize: The sequences of a microbatch, nil for auto.
    ///   - evalMicrobatchSize: The sequences of a microbatch of evaluation.
    ///   - maxTokensPerMicrobatch: Maximum number of tokens of a microbatch.
    ///   - batchSizeWarmup: The growth of the batch size.
    ///   - optimizer: The optimizer.
    ///   - schedule: The learning rate over time.
    ///   - precision: The types to compute in.
    ///   - gradientClipping: The largest norm of the gradient.
    ///   - gradientCheckpointing: Whether activations are computed again for the gradient.
    ///   - averaging: An average of weights.
    ///   - checkpoints: Saving, loading and resuming.
    ///   - initFromCheckpoint: A smaller model whose weights this one starts from.
    ///   - rules: Where the training code did something else than was meant.
    ///   - device: Where to compute.
    ///   - logging: Logging.
    ///   - notices: What in the recipe has no effect.
    ///   - resolved: The recipe as JSON.
    package init(
        kind: ModelKind,
        data: DataSettings,
        maxDuration: TrainingTime,
        model: ModernBERTConfiguration? = nil,
        runName: String? = nil,
        seed: UInt64 = 17,
        startKind: ModelKind? = nil,
        objective: PretrainingObjective? = nil,
        evalMaskProbability: Double = 0.15,
        takesVocabularyFromTokenizer: Bool = false,
        attentionOutputDropout: Double = 0,
        initialization: WeightInitialization = .fullMegatron,
        zLoss: Double = 0,
        tokenizerName: String? = nil,
        evalData: DataSettings? = nil,
        evalInterval: TrainingTime? = nil,
        evalSubsetBatches: Int? = nil,
        globalTrainBatchSize: Int = 8,
        globalEvalBatchSize: Int = 8,
        microbatchSize: Int? = nil,
        evalMicrobatchSize: Int? = nil,
        maxTokensPerMicrobatch: Int? = nil,
        batchSizeWarmup: BatchSizeWarmupSettings? = nil,
        optimizer: OptimizerSettings = OptimizerSettings(),
        schedule: LearningRateSchedule = .constantWithWarmup(warmup: TrainingTime(0, .batch)),
        precision: Precision = .full,
        gradientClipping: Double? = nil,
        gradientCheckpointing: Bool = false,
        averaging: CheckpointAveraging? = nil,
        checkpoints: CheckpointSettings = CheckpointSettings(),
        initFromCheckpoint: SmallerModelSettings? = nil,
        rules: CompatibilityRules = CompatibilityRules(),
        device: String = "cpu",
        logging: LoggingSettings = LoggingSettings(),
        notices: [String] = [],
        resolved: JSONValue = .object(JSONObject())
    ) {
        self.runName = runName
        self.seed = seed
        self.kind = kind
        self.startKind = startKind ?? kind
        self.objective = objective ?? (kind == .encoder ? .masked(probability: 0.3) : .causal)
        self.evalMaskProbability = evalMaskProbability
        self.model = model ?? ModernBERTConfiguration(kind: kind)
        self.takesVocabularyFromTokenizer = takesVocabularyFromTokenizer
        self.attentionOutputDropout = attentionOutputDropout
        self.initialization = initialization
        self.zLoss = zLoss
        self.tokenizerName = tokenizerName
        self.data = data
        self.evalData = evalData
        self.maxDuration = maxDuration
        self.evalInterval = evalInterval
        self.evalSubsetBatches = evalSubsetBatches
        self.globalTrainBatchSize = globalTrainBatchSize
        self.globalEvalBatchSize = globalEvalBatchSize
        self.microbatchSize = microbatchSize
        self.evalMicrobatchSize = evalMicrobatchSize
        self.maxTokensPerMicrobatch = maxTokensPerMicrobatch
        self.batchSizeWarmup = batchSizeWarmup
        self.optimizer = optimizer
        self.schedule = schedule
        self.precision = precision
        self.gradientClipping = gradientClipping
        self.gradientCheckpointing = gradientCheckpointing
        self.averaging = averaging
        self.checkpoints = checkpoints
        self.initFromCheckpoint = initFromCheckpoint
        self.rules = rules
        self.device = device
        self.logging = logging
        self.notices = notices
        self.resolved = resolved
    }
}
