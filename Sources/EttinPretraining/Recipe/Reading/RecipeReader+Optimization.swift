import EttinFiles
import EttinRecipes
import EttinTraining

/// The sizes of a recipe's batches.
struct RecipeBatchSizes {
    var train: Int
    var evaluation: Int
    var microbatch: Int?
    var evaluationMicrobatch: Int?
    var maxTokens: Int?
}

extension RecipeReader {
    func readBatchSizes() throws -> RecipeBatchSizes {
        let range = 1...1 << 24
        let train = try top.require(
            "global_train_batch_size",
            try top.int("global_train_batch_size", in: range),
            "the sequences of a batch"
        )
        var sizes = RecipeBatchSizes(train: train, evaluation: train)
        sizes.evaluation = try top.int("global_eval_batch_size", in: range) ?? train
        if try top.string("device_train_microbatch_size") != "auto" {
            sizes.microbatch = try top.int("device_train_microbatch_size", in: range)
        }
        sizes.evaluationMicrobatch =
            try top.int("device_eval_microbatch_size", in: range) ?? top.int("device_eval_batch_size", in: range)
        sizes.maxTokens = try top.int("max_tokens_per_microbatch", in: 1...1 << 40)
        if let tokens = sizes.maxTokens, let sequences = sizes.microbatch {
            throw top.problem(
                "max_tokens_per_microbatch",
                "is \(tokens), but device_train_microbatch_size is \(sequences)",
                "device_train_microbatch_size: auto beside it"
            )
        }
        return sizes
    }

    func readOptimizer() throws -> OptimizerSettings {
        let section = try top.section("optimizer", PretrainingSchema.optimizer)
        let names = OptimizerSettings.Name.allCases.map(\.rawValue).joined(separator: ", ")
        var settings = OptimizerSettings()
        settings.name = try section.require(
            "name",
            try section.choice("name", OptimizerSettings.Name.self),
            "one of \(names)"
        )
        settings.learningRate = try section.require("lr", try section.double("lr"), "the peak learning rate")
        let betas = try section.require("betas", try section.doubles("betas", count: 2), "a list of two numbers")
        (settings.beta1, settings.beta2) = (betas[0], betas[1])
        settings.epsilon = try section.require("eps", try section.double("eps"), "a number above 0")
        settings.weightDecay = try section.require("weight_decay", try section.double("weight_decay"), "a number")
        settings.filtersBiasAndNorm = try section.bool("filter_bias_norm_wd") ?? false
        settings.logsGradientNorm = try section.bool("log_grad_norm") ?? false
        try section.naming { try settings.check() }
        return settings
    }

    mutating func readSchedule(maximum: TrainingTime) throws -> LearningRateSchedule {
        let section = try top.section("scheduler", PretrainingSchema.scheduler)
        let names = LearningRateSchedule.names.joined(separator: ", ")
        let name = try section.require("name", try section.string("name"), "one of \(names)")
        func time(_ key: String) throws -> TrainingTime {
            try section.require(key, try section.time(key), "a time such as 1_000ba or 0.1dur")
        }
        func final() throws -> Double {
            try section.require("alpha_f", try section.double("alpha_f"), "the factor at the end")
        }
        let schedule: LearningRateSchedule
        let keys: [String]
        switch name {
        case "constant_with_warmup":
            keys = ["t_warmup"]
            schedule = .constantWithWarmup(warmup: try time("t_warmup"))
        case "cosine_with_warmup":
            keys = ["t_warmup", "alpha_f"]
            schedule = .cosineWithWarmup(warmup: try time("t_warmup"), finalFactor: try final())
        case "linear_decay_with_warmup":
            keys = ["t_warmup", "alpha_f"]
            schedule = .linearDecayWithWarmup(warmup: try time("t_warmup"), finalFactor: try final())
        case "warmup_stable_decay":
            keys = ["t_warmup", "t_decay", "alpha_f"]
            schedule = .warmupStableDecay(
                warmup: try time("t_warmup"),
                decay: try section.time("t_decay") ?? TrainingTime(0.1, .duration),
                finalFactor: try final()
            )
        case "one_minus_sqrt":
            keys = ["t_decay", "t_max", "alpha_f"]
            schedule = .oneMinusSqrt(decay: try time("t_decay"), maximum: try time("t_max"), finalFactor: try final())
        case "cosine_inverse_sqrt":
            keys = PretrainingSchema.scheduler.filter { $0 != "t_decay" && $0 != "t_max" }
            schedule = .cosineInverseSqrt(
                CosineInverseSqrt(
                    warmup: try time("t_warmup"),
                    cosine: try section.time("t_cosine") ?? TrainingTime(0.25, .duration),
                    cooldown: try time("t_cooldown"),
                    finalFactor: try final(),
                    startFactor: try section.double("alpha_s") ?? 0,
                    warmupCurve: try section.choice("warmup_schedule", CosineInverseSqrt.Curve.self) ?? .linear,
                    cooldownCurve: try section.choice("cooldown_schedule", CosineInverseSqrt.Curve.self) ?? .linear
                )
            )
        default:
            var expected = "one of \(names)"
            if let near = SpellingSuggestion.nearest(name, LearningRateSchedule.names) {
                expected += "; did you mean \(near)?"
            }
            throw section.problem("name", "is \(quoted(name))", expected)
        }
        if let stray = section.keys.first(where: { $0 != "name" && !keys.contains($0) }) {
            throw section.problem(
                stray,
                "is given, but scheduler.name is \(name), which has no such key",
                "keys among \(keys.joined(separator: ", "))"
            )
        }
        try section.naming { try schedule.check(maximum: maximum) }
        if case .warmupStableDecay(_, let decay, let final) = schedule, decay.value == 0, final != 1 {
            notices.append("inert: scheduler.alpha_f with t_decay 0: the rate does not decay")
        }
        return schedule
    }

    // MARK: - Algorithms

    func readClipping() throws -> Double? {
        let algorithms = try top.section("algorithms", PretrainingSchema.algorithms)
        let refused = [
            "rope_schedule": "rotary_emb_base per phase", "alibi": "attention_layer: rope",
            "gated_linear_units": "mlp_layer: glu",
        ]
        for (key, expected) in refused.sorted(by: { $0.key < $1.key }) where algorithms.has(key) {
            throw algorithms.problem(key, "is not supported", expected)
        }
        guard algorithms.has("gradient_clipping") else { return nil }
        let clipping = try algorithms.section("gradient_clipping", PretrainingSchema.gradientClipping)
        if let type = try clipping.string("clipping_type"), type != "norm" {
            throw clipping.problem("clipping_type", "is \(quoted(type))", "norm")
        }
        let threshold = try clipping.double("clipping_threshold", "a number above 0") { $0 > 0 }
        return try clipping.require("clipping_threshold", threshold, "the largest norm of the gradient")
    }

    func readAveraging() throws -> CheckpointAveraging? {
        let last = try top.int("average_last_checkpoints", in: 2...1 << 20)
        let algorithms = try top.section("algorithms", PretrainingSchema.algorithms)
        guard algorithms.has("ema") else { return last.map { .lastCheckpoints($0) } }
        if last != nil {
            throw top.problem("average_last_checkpoints", "is given together with algorithms.ema", "one of the two")
        }
        let section = try algorithms.section("ema", PretrainingSchema.averaging)
        let interval = try section.time("update_interval", in: [.batch]) ?? TrainingTime(1, .batch)
        guard interval.value > 0 else { throw section.problem("update_interval", "is \(interval)", "1ba or more") }
        let start =
            try section.time("ema_start", in: [.duration, .batch, .token, .sample]) ?? TrainingTime(0, .duration)
        let half = try section.time("half_life", in: [.batch])
        if let smoothing = try section.double("smoothing", "a number from 0 to below 1", where: { 0 <= $0 && $0 < 1 }) {
            guard half == nil else {
                throw section.problem("smoothing", "is given together with half_life", "one of the two")
            }
            return .ema(ExponentialAveraging(smoothing: smoothing, updateInterval: interval, start: start))
        }
        let life = half ?? TrainingTime(1000, .batch)
        guard life.value > 0 else { throw section.problem("half_life", "is \(life)", "1ba or more") }
        return .ema(ExponentialAveraging(halfLife: life, updateInterval: interval, start: start))
    }
}
