import EttinConversion
import EttinRecipes

/// Every key that a recipe of pretraining may have; docs/pretraining.md says what each of them does.
enum PretrainingSchema {
    static let top = [
        "data_local", "data_remote", "max_seq_len", "tokenizer_name", "mlm_probability", "count_padding_tokens",
        "run_name", "model", "train_loader", "eval_loader", "scheduler", "optimizer", "algorithms", "max_duration",
        "eval_interval", "train_subset_num_batches", "eval_subset_num_batches", "global_train_batch_size",
        "global_eval_batch_size", "seed", "device_train_microbatch_size", "device_eval_batch_size",
        "device_eval_microbatch_size", "precision", "device", "fsdp_config", "compile_config", "python_log_level",
        "progress_bar", "log_to_console", "console_log_interval", "callbacks", "loggers", "save_folder",
        "save_interval", "save_num_checkpoints_to_keep", "save_overwrite", "load_path", "load_weights_only",
        "autoresume", "reset_time", "restart_override", "init_from_checkpoint",
        // Ours.
        "phase", "rules", "log_interval", "save_keep_every", "average_last_checkpoints", "max_tokens_per_microbatch",
        "gradient_checkpointing",
    ]

    static let model = [
        "name", "pretrained_model_name", "pretrained_checkpoint", "tokenizer_name", "disable_train_metrics",
        "gradient_checkpointing", "model_config",
    ]

    static let loader = [
        "name", "dataset", "drop_last", "num_workers", "pin_memory", "prefetch_factor", "persistent_workers",
        "timeout", "sequence_packing", "packing_buffer_size", "packing_prefetch_factor", "batch_size_warmup_min_size",
        "batch_size_warmup_tokens",
    ]

    static let dataset = [
        "local", "remote", "split", "tokenizer_name", "max_seq_len", "shuffle", "mlm_probability", "streaming",
        "streams", "shuffle_seed", "shuffle_algo", "shuffle_block_size", "num_canonical_nodes", "predownload",
        "group_method", "eos_token_id", "bos_token_id", "use_decoder_attn_mask", "suppress_masking",
        // Ours.
        "order_path",
    ]

    static let stream = ["local", "remote", "split", "proportion", "repeat", "choose"]

    static let scheduler = [
        "name", "t_warmup", "t_decay", "t_max", "alpha_f", "t_cooldown", "t_cosine", "alpha_s", "warmup_schedule",
        "cooldown_schedule",
    ]

    static let optimizer = ["name", "lr", "betas", "eps", "weight_decay", "filter_bias_norm_wd", "log_grad_norm"]

    static let algorithms = ["gradient_clipping", "ema", "rope_schedule", "alibi", "gated_linear_units"]
    static let gradientClipping = ["clipping_type", "clipping_threshold"]
    static let averaging = ["half_life", "smoothing", "ema_start", "update_interval"]

    static let callbacks = [
        "speed_monitor", "lr_monitor", "scheduled_gc", "log_grad_norm", "packing_efficiency", "memory_monitor",
        "runtime_estimator", "optimizer_monitor", "dataloader_speed",
    ]
    static let speedMonitor = ["window_size"]
    static let gradientNormLog = ["batch_log_interval"]

    static let initFromCheckpoint = ["checkpoint_run_name", "checkpoint_cfg", "checkpoint_load_path", "mode"]

    static let rules = [
        "learning_rate_timing", "decay_base_rate", "reset_time", "batch_size_warmup", "loss_weighting",
        "decoder_window", "token_counting",
    ]

    /// All of them, for finding the place of a key that stands at a wrong one.
    static let recipe = RecipeSchema(
        document: "a recipe",
        sections: [
            .init(path: "", keys: top),
            .init(path: "model", keys: model),
            .init(path: "model.model_config", keys: ModelConfigReader.keys),
            .init(path: "model.model_config.loss_kwargs", keys: ModelConfigReader.lossArguments),
            .init(path: "model.model_config.norm_kwargs", keys: ModelConfigReader.normArguments),
            .init(path: "train_loader", keys: loader),
            .init(path: "train_loader.dataset", keys: dataset),
            .init(path: "scheduler", keys: scheduler),
            .init(path: "optimizer", keys: optimizer),
            .init(path: "algorithms", keys: algorithms),
            .init(path: "algorithms.gradient_clipping", keys: gradientClipping),
            .init(path: "algorithms.ema", keys: averaging),
            .init(path: "callbacks", keys: callbacks),
            .init(path: "init_from_checkpoint", keys: initFromCheckpoint),
            .init(path: "rules", keys: rules),
            .init(path: "eval_loader", keys: loader),
            .init(path: "eval_loader.dataset", keys: dataset),
            .init(path: "callbacks.speed_monitor", keys: speedMonitor),
            .init(path: "callbacks.log_grad_norm", keys: gradientNormLog),
        ]
    )

    /// Dotted names of keys of one mapping.
    static func names(_ path: String, _ keys: [String]) -> [String] { keys.map { "\(path).\($0)" } }
}
