import EttinCorpus
import EttinPretraining
import EttinTraining

extension FuzzReader {
    private static let recipeText = """
        run_name: nano
        phase: step
        seed: 21
        data_local: data/nano
        tokenizer_name: data/nano/tokenizer
        max_seq_len: 512
        mlm_probability: 0.3
        model:
          name: flex_bert
          model_config:
            vocab_size: 400
            num_hidden_layers: 4
            hidden_size: 128
            intermediate_size: 192
            num_attention_heads: 2
            init_method: full_megatron
            rotary_emb_base: 160000.0
            sliding_window: 128
            global_attn_every_n_layers: 3
            attn_out_dropout_prob: 0.1
            hidden_act: gelu
            head_pred_act: gelu
            norm_kwargs: {eps: 1e-5, bias: false}
        train_loader:
          name: text
          dataset:
            local: ${data_local}
            split: train
            tokenizer_name: ${tokenizer_name}
            max_seq_len: ${max_seq_len}
            shuffle: true
            shuffle_seed: 21
            num_canonical_nodes: 128
            streaming: false
            mlm_probability: ${mlm_probability}
          sequence_packing: true
          packing_buffer_size: 8
          batch_size_warmup_min_size: 2
          batch_size_warmup_tokens: 1_000_000tok
          drop_last: true
          num_workers: 6
        eval_loader:
          name: text
          dataset:
            local: ${data_local}
            split: validation
            tokenizer_name: ${tokenizer_name}
            max_seq_len: ${max_seq_len}
            shuffle: false
            mlm_probability: 0.3
          drop_last: false
          num_workers: 3
        scheduler:
          name: warmup_stable_decay
          t_warmup: 0.1dur
          t_decay: 0.2dur
          alpha_f: 0.04
        optimizer:
          name: decoupled_stableadamw
          lr: 1.5e-3
          betas: [0.9, 0.98]
          eps: 1e-6
          weight_decay: 3e-4
          filter_bias_norm_wd: true
        max_duration: 240ba
        eval_interval: 120ba
        eval_subset_num_batches: 40
        global_train_batch_size: 16
        global_eval_batch_size: 4
        device_train_microbatch_size: 4
        precision: fp32
        log_to_console: true
        console_log_interval: 40ba
        callbacks: {log_grad_norm: {batch_log_interval: 40}}
        save_folder: runs/nano
        save_interval: 120ba
        save_num_checkpoints_to_keep: 3
        autoresume: true
        """
    private static let schedules = [
        "  name: warmup_stable_decay\n  t_warmup: 0.1dur\n  t_decay: 0.2dur\n  alpha_f: 0.04",
        "  name: one_minus_sqrt\n  t_decay: 100ba\n  t_max: ${max_duration}\n  alpha_f: 0.04",
        "  name: cosine_inverse_sqrt\n  t_warmup: 10ba\n  t_cosine: 0.25dur\n  t_cooldown: 0.1dur\n  alpha_f: 0.1",
        "  name: cosine_with_warmup\n  t_warmup: 10ba\n  alpha_f: 0.1", "  name: constant_with_warmup\n  t_warmup: 0ba",
        "  name: linear_decay_with_warmup\n  t_warmup: 0.1dur\n  alpha_f: 0.0",
    ]

    static let recipe = FuzzReader(
        name: "recipe",
        make: { dice in
            var text = recipeText.replacing(schedules[0], with: dice.pick(schedules))
            let length = dice.pick(
                dice.chance(0.15) ? Hostile.times : ["240ba", "240ba", "10ep", "1e9tok", "5000sp", "1e15ba"]
            )
            text = text.replacing("max_duration: 240ba", with: "max_duration: \(length)")
            return FuzzInput("recipe.yaml", LineMutation().mutated(text, &dice))
        },
        read: { input, _ in
            let recipe = try PretrainingRecipe(yaml: String(decoding: input.first, as: UTF8.self))
            let plan = try PretrainingPlan(recipe)
            _ = (plan.text, plan.json, plan.curve(8))
        },
        usesFiles: false
    )

    static let mixture = FuzzReader(
        name: "mixture",
        make: { dice in
            let seeds = [
                """
                description: "Decay"
                repeat_limit: 1
                total_tokens: 50b
                sources:
                  - { name: dclm_dolmino, percent: 26.0 }
                  - { name: books, percent: 10.5, repeat_limit: 2 }
                  - name: code
                    path: code/repos
                    percent: 0.5
                    repeat_limit: none
                """,
                """
                repeat_limit: 1
                sources:
                  - { name: a, tokens: 26.0b }
                  - { name: b, tokens: 5.0m, repeat_limit: 3 }
                  - { name: c, tokens: 1_000 }
                """,
            ]
            let values = ["1e19b", "9223372036854775807", "0.5b", "1e300t", "none", "all", "-1b", "9e18", "nan", "1.5"]
            return FuzzInput("mixture.yaml", LineMutation(values: values).mutated(dice.pick(seeds), &dice))
        },
        read: { _, folder in
            let recipe = try MixtureRecipe(path: folder + "/mixture.yaml")
            _ = try? recipe.scaled(toTokens: 1 << 40)
            _ = recipe.mixture(ofDataIn: "data")
        }
    )

    static let suite = FuzzReader(
        name: "suite",
        make: { dice in
            let seed = """
                name: nano
                recipes: nano
                output: runs
                sizes: [nano, small]
                kinds: [encoder, decoder]
                phases: [pretrain, extension, decay]
                cross: true
                tokenizer: data/tokenizer
                data: {pretrain: data/a, decay: "${output}/b"}
                set: [seed=1, max_duration=10ba]
                """
            return FuzzInput(
                "suite.yaml",
                LineMutation(values: ["[a, a]", "[]", "[decoder]", "../x"]).mutated(seed, &dice)
            )
        },
        read: { _, folder in _ = try SuiteFile(path: folder + "/suite.yaml") }
    )

    static let sweep = FuzzReader(
        name: "sweep",
        make: { dice in
            let seeds = [
                """
                command: pretrain
                recipe: recipe.yaml
                output: runs
                metric: {name: loss, goal: maximize, summary: best}
                parameters:
                  optimizer.lr: {values: [1e-3, 3e-3]}
                  seeds: {parameters: {a: {value: 1}, b: {min: 1, max: 4}}}
                seeds: [1, 2]
                set: [max_duration=10ba]
                """,
                """
                command: pretrain
                recipe: recipe.yaml
                output: runs
                method: random
                run_cap: 20
                parameters:
                  a: {min: 1e-5, max: 1e-2, distribution: log_uniform_values}
                  b: {min: 0, max: 10, q: 3, distribution: q_uniform}
                  c: {values: [x, y], probabilities: [0.25, 0.75]}
                  d: {mu: 1, sigma: 2}
                seed: 5
                """,
            ]
            let values = ["1e300", "-1e300", "9223372036854775807", "1e-320", "nan", "[1, 1]", "{}", "q_log_normal"]
            return FuzzInput("sweep.yaml", LineMutation(values: values).mutated(dice.pick(seeds), &dice))
        },
        read: { _, folder in
            let command = SweepCommand(name: "pretrain", outputKey: "save_folder", modelFolder: "latest", overrides: [])
            let runs = try SweepFile(path: folder + "/sweep.yaml", commands: [command]).runs
            guard Set(runs.map(\.outputFolder)).count == runs.count else {
                throw BrokenPromise("two runs of a sweep have one folder")
            }
        }
    )
}
