import EttinJSON
import EttinRecipes

/// What becomes of the arguments of transformers' and sentence-transformers' trainers that set nothing here.
enum ArgumentRule {
    /// The argument has no effect, for a reason that is said where it is given with another value than the default.
    case inert(_ reason: String)
    /// The argument is refused unless it has one of these values, which ask for nothing.
    case refused(unless: [String], expected: String)

    /// The arguments by name.
    static let all: [String: ArgumentRule] = {
        var rules: [String: ArgumentRule] = [:]
        func add(_ rule: ArgumentRule, _ names: String...) { for name in names { rules[name] = rule } }
        let off = ["false", "no", "none", "0", "0.0", "", "[]", "{}"]
        add(
            .inert("batches are prepared by one reader, and results do not depend on how many there are"),
            "dataloader_num_workers",
            "dataloader_prefetch_factor",
            "dataloader_persistent_workers",
            "dataloader_in_order",
            "dataloader_multiprocessing_context"
        )
        add(.inert("there is no transfer that pinning memory would speed up"), "dataloader_pin_memory")
        add(
            .inert("only losses are kept of an evaluation"),
            "eval_accumulation_steps",
            "prediction_loss_only",
            "eval_do_concat_batches",
            "batch_eval_metrics",
            "eval_use_gather_object"
        )
        add(
            .inert("one process trains"),
            "local_rank",
            "ddp_backend",
            "ddp_find_unused_parameters",
            "ddp_bucket_cap_mb",
            "ddp_broadcast_buffers",
            "ddp_static_graph",
            "ddp_timeout",
            "log_on_each_node",
            "save_on_each_node",
            "log_level_replica",
            "average_tokens_across_devices",
            "dispatch_batches",
            "split_batches"
        )
        add(.inert("messages have one level"), "log_level")
        add(.inert("the same seed gives the same bits in any case"), "full_determinism")
        add(
            .inert("training stops at a loss that is NaN or infinite, and saves what was before"),
            "logging_nan_inf_filter"
        )
        add(.inert("columns are chosen by columns"), "remove_unused_columns", "label_names")
        add(
            .inert("the command trains, and evaluates where eval_strategy asks for it"),
            "do_train",
            "do_eval",
            "do_predict"
        )
        add(.inert("metrics.jsonl and tensorboard lie in output_dir"), "logging_dir", "project")
        add(.inert("peak memory is logged in any case"), "skip_memory_metrics")
        add(.inert("a run saves before it ends on SIGTERM in any case"), "enable_jit_checkpoint")
        add(
            .inert("layers are computed again as a whole"),
            "gradient_checkpointing_kwargs",
            "activation_checkpointing_kwargs"
        )
        add(.inert("the model keeps no cache in training"), "use_cache")
        add(.inert("products have the precision that bf16 says"), "tf32")
        add(.inert("memory is kept for the next step"), "torch_empty_cache_steps")
        add(.inert("nothing is compiled at run time"), "torch_compile_backend", "torch_compile_mode")
        add(.inert("nothing is sent to a tracker"), "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id")
        add(
            .inert("nothing is pushed"),
            "hub_private_repo",
            "hub_model_id",
            "hub_strategy",
            "hub_always_push",
            "hub_revision"
        )
        add(
            .refused(unless: off, expected: "false, and `ettin push` for the finished folder"),
            "push_to_hub"
        )
        add(.refused(unless: off, expected: "nothing: `ettin push` reads HF_TOKEN"), "hub_token")
        add(
            .refused(unless: off, expected: "no deepspeed or fsdp: one process trains"),
            "deepspeed",
            "fsdp",
            "fsdp_config",
            "accelerator_config",
            "parallelism_config"
        )
        add(.refused(unless: off, expected: "false: nothing is compiled at run time"), "torch_compile")
        add(
            .refused(unless: off, expected: "false: kernels are the package's own"),
            "use_liger_kernel",
            "liger_kernel_config"
        )
        add(.refused(unless: off, expected: "0: losses here take no smoothed labels"), "label_smoothing_factor")
        add(.refused(unless: off, expected: "no noise on embeddings"), "neftune_noise_alpha")
        add(
            .refused(
                unless: off,
                expected: "per_device_train_batch_size that fits, or a smaller mini_batch_size of a cached loss"
            ),
            "auto_find_batch_size"
        )
        add(.refused(unless: off, expected: "no targets: every parameter is trained"), "optim_target_modules")
        add(
            .refused(unless: off, expected: "none: adamw_torch has adam_beta1, adam_beta2 and adam_epsilon"),
            "optim_args"
        )
        add(.refused(unless: off, expected: "none: evaluators measure"), "include_for_metrics")
        add(
            .refused(unless: off, expected: "false: a resumed run continues with the next batch, to the same bits"),
            "ignore_data_skip"
        )
        add(.refused(unless: off, expected: "false"), "restore_callback_states_from_checkpoint")
        add(.refused(unless: off, expected: "false: checkpoints hold what resuming needs"), "save_only_model")
        add(.refused(unless: off, expected: "no"), "include_num_input_tokens_seen", "include_tokens_per_second")
        add(
            .refused(unless: ["random"], expected: "random, and batch_sampler for other orders"),
            "train_sampling_strategy"
        )
        add(.refused(unless: off, expected: "false, and batch_sampler for other orders"), "group_by_length")
        add(.refused(unless: ["length"], expected: "nothing"), "length_column_name")
        add(.refused(unless: ["true"], expected: "true: weights are safetensors"), "save_safetensors")
        add(.refused(unless: off, expected: "nothing"), "debug")
        add(.refused(unless: off, expected: "a model without a Router, or nothing"), "router_mapping")
        return rules
    }()

    /// The values that are no news of an inert argument.
    private static let defaults: [String: String] = [
        "dataloader_num_workers": "0", "dataloader_pin_memory": "true", "dataloader_in_order": "true",
        "dataloader_persistent_workers": "false", "prediction_loss_only": "true", "eval_do_concat_batches": "true",
        "batch_eval_metrics": "false", "eval_use_gather_object": "false", "local_rank": "-1", "ddp_timeout": "1800",
        "log_on_each_node": "true", "save_on_each_node": "false", "log_level": "passive",
        "log_level_replica": "warning",
        "average_tokens_across_devices": "true", "full_determinism": "false", "logging_nan_inf_filter": "true",
        "remove_unused_columns": "true", "do_train": "false", "do_eval": "false", "do_predict": "false",
        "project": "huggingface", "skip_memory_metrics": "true", "enable_jit_checkpoint": "false", "use_cache": "false",
        "hub_strategy": "every_save", "hub_always_push": "false",
    ]

    /// Applies the rules to a recipe.
    ///
    /// - Parameters:
    ///   - section: The recipe.
    ///   - own: Keys that its kind reads itself.
    /// - Returns: What to say of arguments without an effect.
    /// - Throws: `RecipeError` for the first that is refused.
    static func notices(_ section: RecipeSection, except own: [String] = []) throws -> [String] {
        var reasons: [(reason: String, names: [String])] = []
        for key in section.keys where !own.contains(key) {
            guard let rule = all[key], let node = section.node(key) else { continue }
            var text = node.json.text()
            if case .scalar(let scalar, _) = node.content { text = scalar.lowercased() }
            switch rule {
            case .refused(let allowed, let expected):
                guard !allowed.contains(text) else { continue }
                // A secret does not belong in a message.
                let found = key.hasSuffix("_token") ? "is given" : "is \(node.shownText)"
                throw section.problem(key, "\(found), which is not supported", expected)
            case .inert(let reason):
                guard defaults[key] != text else { continue }
                if let place = reasons.firstIndex(where: { $0.reason == reason }) {
                    reasons[place].names.append(key)
                } else {
                    reasons.append((reason, [key]))
                }
            }
        }
        return reasons.map { "no effect of \($0.names.joined(separator: ", ")): \($0.reason)" }
    }
}
