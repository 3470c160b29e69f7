import EttinConversion
import EttinCorpus
import EttinModel
import EttinTraining
import Torch

/// What becomes of a key whose value is another one when a run is resumed.
enum ResumeRule: String, Hashable, Sendable {
    /// Part of what the run is. Another value is always refused, by what it amounts to: the samples, the model's shape.
    case fixed
    /// Changes what is learnt from here on. Another value is refused unless changes are accepted, and named.
    case needsAcceptance
    /// Changes when the run ends, what is kept, logged or measured, or how it is computed. Another value is named.
    case allowed
    /// Decided how the run began. Another value is named and changes nothing any more.
    case spent
    /// A name for other keys' values, or a key without effect: there is no value of its own to compare.
    case noValue
}

/// A key of a recipe with its rule.
struct RecipeKeyRule: Sendable {
    /// The dotted name of the key.
    let key: String
    let rule: ResumeRule
    /// The value that is in force, as messages show it, with defaults in place; nil where it is not compared by itself.
    let value: (@Sendable (PretrainingRecipe) -> String)?
}

extension RecipeKeyRule {
    private typealias Value = @Sendable (PretrainingRecipe) -> String

    /// Every key of ``PretrainingSchema``, once.
    ///
    /// Sections of which nothing is compared, such as the scheduler's, are one value under their own name.
    static let all: [RecipeKeyRule] =
        fixed.map { RecipeKeyRule(key: $0, rule: .fixed, value: nil) }
        + noValue.map { RecipeKeyRule(key: $0, rule: .noValue, value: nil) }
        + needAcceptance.map { RecipeKeyRule(key: $0.key, rule: .needsAcceptance, value: $0.value) }
        + allowed.map { RecipeKeyRule(key: $0.key, rule: .allowed, value: $0.value) }
        + heldOut.map { key in
            RecipeKeyRule(key: "eval_loader.\(key.key)", rule: .allowed) { recipe in
                recipe.evalData.map { key.value(recipe, $0) } ?? "not given"
            }
        }
        + spent.map { RecipeKeyRule(key: $0.key, rule: .spent, value: $0.value) }

    /// Compared by the checkpoint's state and configuration, which hold what the keys amount to.
    private static let fixed =
        [
            "seed", "phase", "max_seq_len", "global_train_batch_size", "optimizer.name", "model.name",
            "rules.token_counting",
        ]
        + PretrainingSchema.names(
            "train_loader",
            ["drop_last", "batch_size_warmup_min_size", "batch_size_warmup_tokens"]
        )
        + PretrainingSchema.names(
            "train_loader.dataset",
            [
                "split", "streams", "streaming", "shuffle", "shuffle_seed", "shuffle_algo", "shuffle_block_size",
                "num_canonical_nodes", "order_path", "sampling_method", "sampling_granularity", "epoch_size",
            ]
        )
        + ["rules.batch_size_warmup"]
        + PretrainingSchema.names(
            "model.model_config",
            [
                "vocab_size", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                "tie_word_embeddings", "attn_out_bias", "attn_qkv_bias", "mlp_in_bias", "mlp_out_bias",
                "norm_kwargs.eps",
                "norm_kwargs.bias", "hidden_act", "head_pred_act", "head_pred_bias", "decoder_bias", "rotary_emb_base",
                "local_attn_rotary_emb_base", "sliding_window", "global_attn_every_n_layers",
            ]
        )

    private static let needAcceptance: [(key: String, value: Value)] = [
        ("mlm_probability", { $0.objective.maskProbability }),
        ("optimizer.lr", { "\($0.optimizer.learningRate)" }),
        ("optimizer.betas", { "[\($0.optimizer.beta1), \($0.optimizer.beta2)]" }),
        ("optimizer.eps", { "\($0.optimizer.epsilon)" }),
        ("optimizer.weight_decay", { "\($0.optimizer.weightDecay)" }),
        ("optimizer.filter_bias_norm_wd", { "\($0.optimizer.filtersBiasAndNorm)" }),
        ("precision", { $0.precision.rawValue }),
        ("device_train_microbatch_size", { shown($0.microbatchSize, or: "auto") }),
        ("max_tokens_per_microbatch", { shown($0.maxTokensPerMicrobatch) }),
        ("model.model_config.attn_out_dropout_prob", { "\($0.attentionOutputDropout)" }),
        ("model.model_config.attention_probs_dropout_prob", { "\($0.model.attentionDropout)" }),
        ("model.model_config.embed_dropout_prob", { "\($0.model.embeddingDropout)" }),
        ("model.model_config.mlp_dropout_prob", { "\($0.model.mlpDropout)" }),
        ("model.model_config.max_position_embeddings", { "\($0.model.maxPositionEmbeddings)" }),
        ("model.model_config.loss_kwargs.lse_square_scale", { "\($0.zLoss)" }),
        ("algorithms.gradient_clipping.clipping_threshold", { shown($0.gradientClipping) }),
        ("algorithms.ema", { shown($0.averaging?.moving?.text) }),
        ("rules.learning_rate_timing", { $0.rules.learningRateTiming.rawValue }),
        ("rules.reset_time", { $0.rules.resetTime.rawValue }),
        // Resuming heeds it under the literal rule alone.
        ("reset_time", { $0.rules.resetTime == .literal ? "\($0.checkpoints.resetTime)" : "without effect" }),
        ("rules.loss_weighting", { $0.rules.lossWeighting.rawValue }),
        ("rules.decoder_window", { $0.rules.decoderWindow == .training ? "training" : "transformers" }),
    ]

    private static let allowed: [(key: String, value: Value)] = [
        ("run_name", { shown($0.runName) }),
        ("tokenizer_name", { shown($0.tokenizerName) }),
        ("max_duration", { "\($0.maxDuration)" }),
        ("scheduler", { $0.schedule.text }),
        ("train_loader.dataset.local", { $0.data.localPath }),
        ("train_loader.dataset.remote", { shown($0.data.remote) }),
        ("train_loader.num_workers", { "\($0.data.workerCount)" }),
        ("train_loader.prefetch_factor", { "\($0.data.prefetchFactor)" }),
        ("gradient_checkpointing", { "\($0.gradientCheckpointing)" }),
        ("device", { $0.device }),
        ("average_last_checkpoints", { shown($0.averaging?.lastCount) }),
        ("eval_interval", { shown($0.evalInterval) }),
        ("eval_subset_num_batches", { shown($0.evalSubsetBatches, or: "all") }),
        ("global_eval_batch_size", { "\($0.globalEvalBatchSize)" }),
        ("device_eval_microbatch_size", { shown($0.evalMicrobatchSize) }),
        ("optimizer.log_grad_norm", { "\($0.optimizer.logsGradientNorm)" }),
        ("progress_bar", { "\($0.logging.showsProgress)" }),
        ("console_log_interval", { shown($0.logging.consoleInterval) }),
        ("log_interval", { "\($0.logging.logInterval)" }),
        ("callbacks.speed_monitor.window_size", { "\($0.logging.speedWindow)" }),
        ("callbacks.log_grad_norm.batch_log_interval", { shown($0.logging.gradientNormInterval) }),
        ("loggers", { "tensorboard \($0.logging.tensorboard), jsonl \($0.logging.jsonl)" }),
        ("save_folder", { shown($0.checkpoints.saveFolder) }),
        ("save_interval", { "\($0.checkpoints.saveInterval)" }),
        ("save_num_checkpoints_to_keep", { shown($0.checkpoints.keepLast, or: "all") }),
        ("save_keep_every", { shown($0.checkpoints.keepEvery) }),
        ("save_overwrite", { "\($0.checkpoints.overwrite)" }),
        ("autoresume", { "\($0.checkpoints.autoresume)" }),
    ]

    /// Keys of the held-out data.
    private static let heldOut: [(key: String, value: @Sendable (PretrainingRecipe, DataSettings) -> String)] = [
        ("dataset.mlm_probability", { recipe, _ in "\(recipe.evalMaskProbability)" }),
        ("dataset.local", { $1.localPath }),
        ("dataset.remote", { shown($1.remote) }),
        ("dataset.split", { shown($1.split) }),
        ("dataset.streams", { $1.streams.map { "\($0.name) \($0.weight)" }.joined(separator: ", ") }),
        ("dataset.max_seq_len", { "\($1.maxSequenceLength)" }),
        ("dataset.shuffle", { "\($1.shuffle)" }),
        ("dataset.shuffle_seed", { $1.shuffle ? "\($1.shuffleSeed)" : "without effect" }),
        ("dataset.order_path", { $1.orderName }),
        ("drop_last", { "\($1.dropLast)" }),
    ]

    private static let spent: [(key: String, value: Value)] = [
        ("load_path", { shown($0.checkpoints.loadPath) }),
        ("load_weights_only", { "\($0.checkpoints.loadWeightsOnly)" }),
        ("restart_override", { "\($0.checkpoints.restartOverride)" }),
        ("rules.decay_base_rate", { $0.rules.decayBaseRate.rawValue }),
        ("init_from_checkpoint.checkpoint_load_path", { shown($0.initFromCheckpoint?.path) }),
        ("init_from_checkpoint.mode", { shown($0.initFromCheckpoint?.mode.rawValue) }),
        ("model.model_config.init_method", { $0.initialization.rawValue }),
        ("model.model_config.initializer_range", { "\($0.model.initializerRange)" }),
        ("model.model_config.init_cutoff_factor", { "\($0.model.initializerCutoffFactor)" }),
    ]

    private static let noValue =
        [
            // Names for values of other keys.
            "data_local", "data_remote", "device_eval_batch_size", "log_to_console", "model.tokenizer_name",
            "model.gradient_checkpointing", "model.model_config.init_std", "train_loader.dataset.tokenizer_name",
            "train_loader.dataset.max_seq_len", "train_loader.dataset.mlm_probability",
            "eval_loader.dataset.tokenizer_name", "init_from_checkpoint.checkpoint_run_name",
            // Refused but for the one value that they can have, or without effect.
            "count_padding_tokens", "train_subset_num_batches", "fsdp_config", "compile_config", "python_log_level",
            "init_from_checkpoint.checkpoint_cfg", "algorithms.gradient_clipping.clipping_type",
        ]
        + PretrainingSchema.names("algorithms", ["rope_schedule", "alibi", "gated_linear_units"])
        + PretrainingSchema.names(
            "callbacks",
            [
                "lr_monitor", "scheduled_gc", "packing_efficiency", "memory_monitor", "runtime_estimator",
                "optimizer_monitor", "dataloader_speed",
            ]
        )
        + PretrainingSchema.names(
            "model",
            ["pretrained_model_name", "pretrained_checkpoint", "disable_train_metrics"]
        )
        + PretrainingSchema.names(
            "model.model_config",
            [
                "init_small_embedding", "attention_layer", "bert_layer", "embed_norm", "embedding_layer", "final_norm",
                "skip_first_prenorm", "loss_function", "mlp_layer", "normalization", "activation_function", "padding",
                "unpad_embeddings", "pad_logits", "rotary_emb_dim", "rotary_emb_scale_base", "rotary_emb_interleaved",
                "allow_embedding_resizing", "compile_model", "masked_prediction", "causal_mask", "use_fa2",
                "deterministic_fa2", "loss_kwargs.reduction", "loss_kwargs.inplace_backward",
                "loss_kwargs.return_z_loss",
            ]
        )
        + ["train_loader", "eval_loader"].flatMap { loader in
            PretrainingSchema.names(
                loader,
                [
                    "name", "pin_memory", "persistent_workers", "timeout", "sequence_packing", "packing_buffer_size",
                    "packing_prefetch_factor", "dataset.predownload", "dataset.group_method", "dataset.eos_token_id",
                    "dataset.bos_token_id", "dataset.use_decoder_attn_mask", "dataset.suppress_masking",
                    "dataset.batching_method", "dataset.partition_algo",
                ]
            )
        }
        + PretrainingSchema.names(
            "eval_loader",
            [
                // One pass over the held-out data is made in this thread; its order is a value of order_path.
                "num_workers", "prefetch_factor", "batch_size_warmup_min_size", "batch_size_warmup_tokens",
                "dataset.streaming", "dataset.shuffle_algo", "dataset.shuffle_block_size",
                "dataset.num_canonical_nodes", "dataset.sampling_method", "dataset.sampling_granularity",
                "dataset.epoch_size",
            ]
        )

    private static func shown(_ value: (some Any)?, or absent: String = "not given") -> String {
        value.map { "\($0)" } ?? absent
    }
}

extension PretrainingObjective {
    fileprivate var maskProbability: String {
        switch self {
        case .masked(let probability): "\(probability)"
        case .causal: "0.0"
        }
    }
}

extension CheckpointAveraging {
    fileprivate var moving: ExponentialAveraging? { if case .ema(let averaging) = self { averaging } else { nil } }
    fileprivate var lastCount: Int? { if case .lastCheckpoints(let count) = self { count } else { nil } }
}

extension ExponentialAveraging {
    fileprivate var text: String { "smoothing \(smoothing) every \(updateInterval) from \(start)" }
}

extension LearningRateSchedule {
    /// The schedule with its values, as messages show it.
    fileprivate var text: String {
        switch self {
        case .constantWithWarmup(let warmup): "\(name) {t_warmup: \(warmup)}"
        case .linearDecayWithWarmup(let warmup, let final), .cosineWithWarmup(let warmup, let final):
            "\(name) {t_warmup: \(warmup), alpha_f: \(final)}"
        case .warmupStableDecay(let warmup, let decay, let final):
            "\(name) {t_warmup: \(warmup), t_decay: \(decay), alpha_f: \(final)}"
        case .oneMinusSqrt(let decay, let maximum, let final):
            "\(name) {t_decay: \(decay), t_max: \(maximum), alpha_f: \(final)}"
        case .cosineInverseSqrt(let curve):
            "\(name) {t_warmup: \(curve.warmup), t_cosine: \(curve.cosine), t_cooldown: \(curve.cooldown), "
                + "alpha_f: \(curve.finalFactor), alpha_s: \(curve.startFactor), warmup_schedule: "
                + "\(curve.warmupCurve.rawValue), cooldown_schedule: \(curve.cooldownCurve.rawValue)}"
        case .transformers: name
        }
    }
}
