import EttinFiles
package import EttinRecipes
import EttinTraining

extension TrainingArguments {
    /// Every key that a recipe may have for its arguments.
    package static let keys: [String] = own + ArgumentRule.all.keys.sorted()

    /// The key of an argument that few kinds have.
    package static let smoothingKey = "label_smoothing_factor"

    private static let own = [
        "output_dir", "overwrite_output_dir", "run_name", "per_device_train_batch_size", "per_device_eval_batch_size",
        "gradient_accumulation_steps", "num_train_epochs", "max_steps", "learning_rate", "learning_rate_mapping",
        "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio", "optim", "weight_decay",
        "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "bf16", "bf16_full_eval", "fp16", "fp16_full_eval",
        "gradient_checkpointing", "activation_checkpointing", "seed", "data_seed", "dataloader_drop_last",
        "logging_strategy", "logging_steps", "logging_first_step", "report_to", "disable_tqdm", "eval_strategy",
        "evaluation_strategy", "eval_steps", "eval_delay", "eval_on_start", "save_strategy", "save_steps",
        "save_total_limit", "load_best_model_at_end", "metric_for_best_model", "greater_is_better",
        "early_stopping_patience", "early_stopping_threshold",
        "resume_from_checkpoint", "autoresume", "device", "use_cpu",
    ]

    /// Reads the arguments of a recipe.
    ///
    /// - Parameters:
    ///   - section: The recipe, whose schema has ``keys`` among others.
    ///   - own: The keys of its kind alone, which may be arguments that other kinds refuse.
    /// - Throws: `RecipeError` for the first value that is wrong, or asks for what is not done here.
    package init(_ section: RecipeSection, own: [String] = []) throws {
        self.init()
        notices = try ArgumentRule.notices(section, except: own)
        if own.contains(Self.smoothingKey) {
            labelSmoothing = try section.double(Self.smoothingKey, "from 0 to below 1") { 0 <= $0 && $0 < 1 } ?? 0
        }
        if let folder = try section.string("output_dir") { outputFolder = FilePath.expandingHome(folder) }
        overwritesOutput = try section.bool("overwrite_output_dir") ?? false
        runName = try section.string("run_name")
        try readBatches(section)
        try readOptimizer(section)
        try readPrecision(section)
        try readLogging(section)
        try readEvaluation(section)
        try readSaving(section)
        try readResumption(section)
        try checkBest(section)
    }

    private mutating func readBatches(_ section: RecipeSection) throws {
        let count = 1...1_000_000
        trainBatchSize = try section.int("per_device_train_batch_size", in: count) ?? trainBatchSize
        evaluationBatchSize = try section.int("per_device_eval_batch_size", in: count) ?? evaluationBatchSize
        accumulationSteps = try section.int("gradient_accumulation_steps", in: count) ?? accumulationSteps
        epochs =
            try section.double("num_train_epochs", "a number above 0, at most 1,000,000") { $0 > 0 && $0 <= 1e6 }
            ?? epochs
        if let steps = try section.int("max_steps", in: -1...Int.largestCount), steps != -1 {
            guard steps > 0 else { throw section.problem("max_steps", "is 0", "1 or more, or -1 for num_train_epochs") }
            maxSteps = steps
        }
        seed = try section.int("seed", in: 0...Int(UInt32.max)) ?? seed
        dataSeed = try section.int("data_seed", in: 0...Int(UInt32.max))
        dropsLast = try section.bool("dataloader_drop_last") ?? false
    }

    private mutating func readOptimizer(_ section: RecipeSection) throws {
        if let name = try section.string("optim") {
            switch name {
            case "adamw_torch", "adamw_torch_fused": break
            case OptimizerSettings.Name.decoupledAdamW.rawValue:
                // What ModernBERT was evaluated with.
                (optimizerName, beta2, epsilon) = (.decoupledAdamW, 0.98, 1e-6)
            default:
                throw section.problem(
                    "optim",
                    "is \(quoted(name))",
                    "adamw_torch or adamw_torch_fused, which are one, or decoupled_adamw"
                )
            }
        }
        let atLeastZero: (Double) -> Bool = { $0 >= 0 }
        learningRate = try section.double("learning_rate", "a number above 0") { $0 > 0 } ?? learningRate
        weightDecay = try section.double("weight_decay", "a number of 0 or more", where: atLeastZero) ?? weightDecay
        beta1 = try section.double("adam_beta1", "from 0 to below 1") { 0 <= $0 && $0 < 1 } ?? beta1
        beta2 = try section.double("adam_beta2", "from 0 to below 1") { 0 <= $0 && $0 < 1 } ?? beta2
        epsilon = try section.double("adam_epsilon", "a number above 0") { $0 > 0 } ?? epsilon
        if let norm = try section.double("max_grad_norm", "a number of 0 or more", where: atLeastZero) {
            maxGradientNorm = norm > 0 ? norm : nil
        }
        if let node = section.node("learning_rate_mapping") {
            guard case .mapping(let members) = node.content else {
                throw section.wrong("learning_rate_mapping", node, "a mapping of patterns to rates")
            }
            rateRules = try members.map { pattern, value in
                guard case .scalar(let text, _) = value.content, let rate = RecipeSection.real(text), rate > 0 else {
                    throw section.problem(
                        "learning_rate_mapping",
                        "has \(value.shownText) for \(quoted(pattern))",
                        "a rate above 0"
                    )
                }
                return RateRule(pattern: pattern, rate: rate)
            }
        }
        schedule = try ScheduleReader(section, learningRate: learningRate).shape()
        if case .plateau(let reduction) = schedule, reduction.minimumRate > 0, !rateRules.isEmpty {
            throw section.problem(
                "lr_scheduler_kwargs",
                "has min_lr beside learning_rate_mapping",
                "one of them: the least rate is one for all parameters"
            )
        }
        warmup = try steps("warmup_steps", section, least: 0) ?? .count(0)
        if let ratio = try section.double("warmup_ratio", "from 0 to 1", where: { 0 <= $0 && $0 <= 1 }) {
            if warmup == .count(0) {
                warmup = .fraction(ratio)
            } else if ratio > 0 {
                notices.append("no effect of warmup_ratio: warmup_steps is given")
            }
        }
        let hasWarmup = TransformersSchedule(schedule, warmupSteps: 0, totalSteps: 1).hasWarmup
        if !hasWarmup, warmup != .count(0), warmup != .fraction(0) {
            let name = try section.string("lr_scheduler_type") ?? ""
            notices.append("no effect of the warm-up: \(name) has none")
        }
    }

    /// Computes in float32, and says so where the recipe asks for another precision.
    ///
    /// - Parameter reason: Why.
    mutating func keepFloat32(because reason: String) {
        if usesBFloat16 { notices.append("no effect of bf16: \(reason)") }
        if evaluatesInBFloat16 { notices.append("no effect of bf16_full_eval: \(reason)") }
        (usesBFloat16, evaluatesInBFloat16) = (false, false)
    }

    private mutating func readPrecision(_ section: RecipeSection) throws {
        usesBFloat16 = try section.bool("bf16") ?? false
        evaluatesInBFloat16 = try section.bool("bf16_full_eval") ?? false
        for (key, other) in [("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval")]
        where try section.bool(key) == true {
            guard try section.bool(other) != true else {
                throw section.problem(key, "is true beside \(other)", "one of them")
            }
            if key == "fp16" { (usesBFloat16, asksForFloat16) = (true, true) } else { evaluatesInBFloat16 = true }
            notices.append("\(key) takes products in bfloat16, whose range needs no gradient scaler")
        }
        recomputesLayers =
            try section.bool("activation_checkpointing") ?? section.bool("gradient_checkpointing") ?? false
        device = try section.string("device") ?? "cpu"
        if try section.bool("use_cpu") == true {
            guard device == "cpu" else {
                throw section.problem("use_cpu", "is true, but device is \(quoted(device))", "one of them")
            }
        }
        if try section.bool("use_cpu") == false, !section.has("device") {
            notices.append("no effect of use_cpu: the CPU is the default; device: cuda chooses another")
        }
    }

    private mutating func readLogging(_ section: RecipeSection) throws {
        logging = try section.choice("logging_strategy", Occasion.self) ?? logging
        loggingSteps = try steps("logging_steps", section, least: logging == .steps ? nil : 0) ?? loggingSteps
        logsFirstStep = try section.bool("logging_first_step") ?? false
        showsProgress = try !(section.bool("disable_tqdm") ?? false)
        guard let node = section.node("report_to") else { return }
        let nodes: [YAMLNode]
        if case .list(let items) = node.content { nodes = items } else { nodes = [node] }
        let names = nodes.map { item in
            if case .scalar(let text, _) = item.content { return text }
            return ""
        }
        for name in names where !["none", "all", "tensorboard"].contains(name) {
            throw section.problem("report_to", "is \(quoted(name))", "none or tensorboard")
        }
        writesTensorBoard = names.contains { $0 != "none" }
    }

    private mutating func readEvaluation(_ section: RecipeSection) throws {
        evaluation =
            try section.choice("eval_strategy", Occasion.self) ?? section.choice("evaluation_strategy", Occasion.self)
            ?? .no
        if let steps = try steps("eval_steps", section, least: 0), steps != .count(0) { evaluationSteps = steps }
        if evaluation == .steps, evaluationSteps == nil, loggingSteps == .count(0) {
            throw section.problem(
                "eval_strategy",
                "is steps, but there are neither eval_steps nor logging_steps",
                "eval_steps: a number of steps"
            )
        }
        evaluationDelay = try section.double("eval_delay", "a number of 0 or more") { $0 >= 0 } ?? 0
        evaluatesAtStart = try section.bool("eval_on_start") ?? false
    }

    private mutating func readSaving(_ section: RecipeSection) throws {
        saving = try section.choice("save_strategy", SaveOccasion.self) ?? saving
        savingSteps = try steps("save_steps", section, least: 0) ?? savingSteps
        if let limit = try section.int("save_total_limit", in: -1...Int.max), limit > 0 { totalLimit = limit }
        loadsBestAtEnd = try section.bool("load_best_model_at_end") ?? false
        bestMetric = try section.string("metric_for_best_model")
        greaterIsBetter = try section.bool("greater_is_better")
        let threshold = try section.double("early_stopping_threshold", "a number of 0 or more") { $0 >= 0 }
        if let patience = try section.int("early_stopping_patience", in: 1...1_000_000) {
            earlyStopping = RunStrategies.EarlyStopping(patience: patience, threshold: threshold ?? 0)
        } else if threshold != nil {
            throw section.missing(
                "early_stopping_patience",
                "a number of evaluations, as early_stopping_threshold is given"
            )
        }
    }

    private mutating func readResumption(_ section: RecipeSection) throws {
        if try section.bool("autoresume") == true { resumption = .newestIfAny }
        guard let node = section.node("resume_from_checkpoint") else { return }
        guard case .scalar(let text, let isPlain) = node.content, !text.isEmpty else {
            throw section.wrong("resume_from_checkpoint", node, "true, false or the folder of a checkpoint")
        }
        switch isPlain ? RecipeSection.boolean(text) : nil {
        case true?: resumption = .newest
        case false?: break
        case nil: resumption = .checkpoint(FilePath.expandingHome(text))
        }
    }

    /// That the best model is among the checkpoints.
    private func checkBest(_ section: RecipeSection) throws {
        if case .plateau = schedule, evaluation == .no {
            throw section.problem("lr_scheduler_type", "is reduce_lr_on_plateau", "an eval_strategy: steps or epoch")
        }
        if saving == .best {
            guard evaluation != .no else {
                throw section.problem(
                    "save_strategy",
                    "is best, but eval_strategy is no",
                    "an eval_strategy: steps or epoch"
                )
            }
            guard bestMetricKey != nil else {
                throw section.problem(
                    "save_strategy",
                    "is best, but no metric says which",
                    "metric_for_best_model, such as loss"
                )
            }
        }
        if earlyStopping != nil {
            guard evaluation != .no else {
                throw section.problem(
                    "early_stopping_patience",
                    "is given, but eval_strategy is no",
                    "an eval_strategy: steps or epoch"
                )
            }
            guard bestMetricKey != nil else {
                throw section.problem(
                    "early_stopping_patience",
                    "is given, but no metric says what is better",
                    "metric_for_best_model, such as loss"
                )
            }
        }
        guard loadsBestAtEnd, saving != .best else { return }
        guard evaluation.rawValue == saving.rawValue else {
            throw section.problem(
                "load_best_model_at_end",
                "is true, but eval_strategy is \(evaluation.rawValue) and save_strategy is \(saving.rawValue)",
                "the same for both, or save_strategy: best"
            )
        }
        guard evaluation == .steps else { return }
        let evaluationSteps = evaluationSteps ?? loggingSteps
        let isMultiple: Bool =
            switch (savingSteps, evaluationSteps) {
            case (.count(let saved), .count(let evaluated)): evaluated > 0 && saved.isMultiple(of: evaluated)
            case (.fraction(let saved), .fraction(let evaluated)):
                // In millionths, where fractions are whole.
                (saved * 1e6).truncatingRemainder(dividingBy: evaluated * 1e6) == 0
            default: false
            }
        guard isMultiple else {
            throw section.problem(
                "load_best_model_at_end",
                "is true, but save_steps is no multiple of eval_steps",
                "a multiple, both as numbers or both as fractions"
            )
        }
    }

    /// A number of steps, or a fraction below 1.
    private func steps(_ key: String, _ section: RecipeSection, least: Double?) throws -> StepCount? {
        let expected = "a whole number of steps, or a fraction of the run below 1"
        let value = try section.double(key, expected) { number in
            guard number > 0 || (number == 0 && least == 0) else { return false }
            return number < 1 || (number == number.rounded() && number <= Double(Int.largestCount))
        }
        return value.map { $0 > 0 && $0 < 1 ? .fraction($0) : .count(Int($0)) }
    }
}

/// Reads the schedule of a recipe with its own arguments.
private struct ScheduleReader {
    private let section: RecipeSection
    private let learningRate: Double

    init(_ section: RecipeSection, learningRate: Double) {
        self.section = section
        self.learningRate = learningRate
    }

    private static let arguments: [(name: String, keys: [String])] = [
        ("linear", []), ("cosine", ["num_cycles"]), ("cosine_with_restarts", ["num_cycles"]),
        ("polynomial", ["lr_end", "power"]), ("constant", []), ("constant_with_warmup", []),
        ("inverse_sqrt", ["timescale"]),
        (
            "warmup_stable_decay",
            ["num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio", "num_cycles"]
        ),
        (
            "reduce_lr_on_plateau",
            ["mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"]
        ),
        ("cosine_with_min_lr", ["num_cycles", "min_lr", "min_lr_rate"]),
        ("cosine_warmup_with_min_lr", ["num_cycles", "min_lr", "min_lr_rate", "warmup_lr_rate"]),
    ]

    func shape() throws -> TransformersSchedule.Shape {
        let name = try section.string("lr_scheduler_type") ?? "linear"
        let names = Self.arguments.map(\.name)
        guard let keys = Self.arguments.first(where: { $0.name == name })?.keys else {
            let near = SpellingSuggestion.nearest(name, names).map { "; did you mean \($0)?" } ?? ""
            throw section.problem("lr_scheduler_type", "is \(quoted(name))", names.joined(separator: ", ") + near)
        }
        let values = try section.section("lr_scheduler_kwargs", keys)
        func number(_ key: String, _ standard: Double, least: Double = 0) throws -> Double {
            try values.double(key, "a number of \(least) or more") { $0 >= least } ?? standard
        }
        switch name {
        case "linear": return .linear
        case "cosine": return .cosine(cycles: try number("num_cycles", 0.5))
        case "cosine_with_restarts": return .cosineWithRestarts(cycles: try number("num_cycles", 1))
        case "polynomial":
            let end = try number("lr_end", 1e-7)
            guard end < learningRate else {
                throw values.problem("lr_end", "is \(end)", "less than learning_rate, \(learningRate)")
            }
            return .polynomial(power: try number("power", 1), end: end / learningRate)
        case "constant": return .constant
        case "constant_with_warmup": return .constantWithWarmup
        case "inverse_sqrt":
            return .inverseSquareRoot(timescale: try values.int("timescale", in: 1...Int.largestCount))
        case "warmup_stable_decay": return .stableDecay(try phases(values))
        case "reduce_lr_on_plateau": return .plateau(try reduction(values))
        default:
            let rate = try values.double("min_lr", "a number of 0 or more") { $0 >= 0 }
            let share = try values.double("min_lr_rate", "from 0 to 1") { 0 <= $0 && $0 <= 1 }
            guard (rate == nil) != (share == nil) else {
                throw section.problem(
                    "lr_scheduler_kwargs",
                    "has \(rate == nil ? "neither" : "both") min_lr and min_lr_rate",
                    "one of them"
                )
            }
            let minimum = share ?? (rate ?? 0) / learningRate
            let cycles = try number("num_cycles", 0.5)
            guard name == "cosine_warmup_with_min_lr" else {
                return .cosineWithMinimum(cycles: cycles, minimum: minimum)
            }
            let start = try values.double("warmup_lr_rate", "from 0 to 1") { 0 <= $0 && $0 <= 1 }
            return .cosineAfterRaisedWarmup(cycles: cycles, minimum: minimum, warmupStart: start)
        }
    }

    private func phases(_ values: RecipeSection) throws -> TransformersSchedule.StableDecay {
        let counts = 0...Int.largestCount
        typealias Curve = TransformersSchedule.StableDecay.Curve
        let decay = try values.require(
            "num_decay_steps",
            try values.int("num_decay_steps", in: counts),
            "the steps of the decay"
        )
        return TransformersSchedule.StableDecay(
            decaySteps: decay,
            stableSteps: try values.int("num_stable_steps", in: counts),
            warmupCurve: try values.choice("warmup_type", Curve.self) ?? .linear,
            decayCurve: try values.choice("decay_type", Curve.self) ?? .cosine,
            minimum: try values.double("min_lr_ratio", "from 0 to 1") { 0 <= $0 && $0 <= 1 } ?? 0,
            cycles: try values.double("num_cycles", "a number of 0 or more") { $0 >= 0 } ?? 0.5
        )
    }

    private func reduction(_ values: RecipeSection) throws -> PlateauReduction {
        let counts = 0...Int.largestCount
        var reduction = PlateauReduction()
        reduction.goal = try values.choice("mode", PlateauReduction.Goal.self) ?? reduction.goal
        reduction.factor = try values.double("factor", "from 0 to below 1") { 0 <= $0 && $0 < 1 } ?? reduction.factor
        reduction.patience = try values.int("patience", in: counts) ?? reduction.patience
        reduction.threshold = try values.double("threshold", "a number of 0 or more") { $0 >= 0 } ?? reduction.threshold
        reduction.thresholdMode =
            try values.choice("threshold_mode", PlateauReduction.ThresholdMode.self) ?? reduction.thresholdMode
        reduction.cooldown = try values.int("cooldown", in: counts) ?? reduction.cooldown
        reduction.minimumRate = try values.double("min_lr", "a number of 0 or more") { $0 >= 0 } ?? 0
        reduction.leastChange = try values.double("eps", "a number of 0 or more") { $0 >= 0 } ?? reduction.leastChange
        return reduction
    }
}
