import EttinConversion
import EttinCorpus
import EttinFiles
import EttinJSON
import EttinModel
import EttinRecipes
import EttinTraining
import Torch

/// Makes a typed recipe of a tree whose references are resolved.
struct RecipeReader {
    let top: RecipeSection
    let resolved: JSONValue
    /// What has no effect, or one that might not be expected.
    var notices: [String] = []
    /// Keys that say what is always so here, found in the recipe with the values that say so.
    var impliedKeys: [String] = []

    init(_ tree: RecipeTree) throws {
        top = try RecipeSection(
            tree.root,
            path: "",
            name: tree.name,
            schema: PretrainingSchema.top,
            of: PretrainingSchema.recipe
        )
        resolved = tree.root.json
    }

    mutating func recipe() throws -> PretrainingRecipe {
        try refuseUnsupported()
        let rules = try readRules()
        let model = try readModel()
        let maxDuration = try top.require("max_duration", try duration("max_duration"), "a time such as 1_000_000tok")
        guard maxDuration.value > 0 else { throw top.problem("max_duration", "is \(maxDuration)", "a length above 0") }
        let training = try readLoader("train_loader", model)
        guard let data = training.settings else {
            throw top.missing("train_loader", "a mapping with the data to train on")
        }
        let evaluation = try readLoader("eval_loader", model)
        try checkPositions(model, [data, evaluation.settings].compactMap { $0 })
        let optimizer = try readOptimizer()
        let schedule = try readSchedule(maximum: maxDuration)
        let checkpoints = try readCheckpoints(maximum: maxDuration, model)
        let sizes = try readBatchSizes()
        var recipe = PretrainingRecipe(kind: model.kind, data: data, maxDuration: maxDuration)
        recipe.runName = try top.string("run_name")
        recipe.seed = UInt64(try top.int("seed", in: 0...Int.max) ?? 17)
        recipe.startKind = model.startKind
        recipe.objective = model.kind == .decoder ? .causal : .masked(probability: training.maskProbability)
        recipe.evalMaskProbability = evaluation.settings == nil ? 0.15 : evaluation.maskProbability
        recipe.model = model.configuration
        recipe.takesVocabularyFromTokenizer = model.takesVocabularyFromTokenizer
        recipe.attentionOutputDropout = model.attentionOutputDropout
        recipe.initialization = .fullMegatron
        recipe.zLoss = model.zLoss
        recipe.tokenizerName = try tokenizerName()
        recipe.evalData = evaluation.settings
        recipe.evalInterval = try interval("eval_interval", of: maxDuration)
        recipe.evalSubsetBatches = try subset("eval_subset_num_batches")
        recipe.globalTrainBatchSize = sizes.train
        recipe.globalEvalBatchSize = sizes.evaluation
        recipe.microbatchSize = sizes.microbatch
        recipe.evalMicrobatchSize = sizes.evaluationMicrobatch
        recipe.maxTokensPerMicrobatch = sizes.maxTokens
        recipe.batchSizeWarmup = try readWarmup(rules, data, sizes)
        recipe.optimizer = optimizer
        recipe.schedule = schedule
        recipe.precision = try top.choice("precision", Precision.self) ?? .mixedBFloat16
        recipe.gradientClipping = try readClipping()
        recipe.gradientCheckpointing = try readGradientCheckpointing()
        recipe.averaging = try readAveraging()
        recipe.checkpoints = checkpoints
        recipe.initFromCheckpoint = try readSmallerModel()
        recipe.rules = rules
        recipe.device = try readDevice()
        recipe.logging = try readLogging(optimizer, maximum: maxDuration)
        recipe.notices = noticesInOrder()
        recipe.resolved = resolved
        return recipe
    }

    private func noticesInOrder() -> [String] {
        guard !impliedKeys.isEmpty else { return notices }
        return notices + ["inert, always the case here: \(impliedKeys.joined(separator: ", "))"]
    }

    /// A checkpoint whose configuration has fewer positions than it was trained on would be cut short by its readers.
    private func checkPositions(_ model: RecipeModel, _ data: [DataSettings]) throws {
        let positions = model.configuration.maxPositionEmbeddings
        let config = try top.section("model", PretrainingSchema.model).section("model_config", ModelConfigReader.keys)
        guard config.has("max_position_embeddings"),
            let length = data.map(\.maxSequenceLength).first(where: { $0 > positions })
        else { return }
        throw config.problem(
            "max_position_embeddings",
            "is \(positions), but max_seq_len is \(length)",
            "at least as many"
        )
    }

    // MARK: - Times

    /// A time that is no fraction of the run.
    private func duration(_ key: String) throws -> TrainingTime? {
        try top.time(key, in: TrainingTime.Unit.allCases.filter { $0 != .duration })
    }

    /// An interval, resolved; nil where there is none or it is 0.
    func interval(_ key: String, of maximum: TrainingTime) throws -> TrainingTime? {
        guard let time = try top.time(key)?.resolved(in: maximum), time.value > 0 else { return nil }
        return time
    }

    /// A number of batches, of which −1 means all.
    private func subset(_ key: String) throws -> Int? {
        guard let count = try top.int(key, in: -1...Int.max), count != -1 else { return nil }
        guard count > 0 else { throw top.problem(key, "is 0", "1 or more, or -1 for all batches") }
        return count
    }

    // MARK: - What is not done here

    private mutating func refuseUnsupported() throws {
        let refused = [
            "fsdp_config": "no fsdp_config: parameters are not divided among devices here",
            "train_subset_num_batches": "max_duration instead",
        ]
        for (key, expected) in refused.sorted(by: { $0.key < $1.key }) where top.has(key) {
            if key == "train_subset_num_batches", try top.int(key, in: -1...Int.max) == -1 { continue }
            throw top.problem(key, "is not supported", expected)
        }
        if try top.bool("count_padding_tokens") == true {
            throw top.problem("count_padding_tokens", "is true", "false: batches have no padding to count")
        }
        if top.has("compile_config") { notices.append("ignored: compile_config (nothing is compiled at run time)") }
        if top.has("python_log_level") { notices.append("ignored: python_log_level") }
    }

    // MARK: - Small parts

    private func tokenizerName() throws -> String? {
        let model = try top.section("model", PretrainingSchema.model)
        let names: [(place: String, name: String?)] = [
            ("tokenizer_name", try top.string("tokenizer_name")),
            ("model.tokenizer_name", try model.string("tokenizer_name")),
        ]
        let given = names.filter { $0.name != nil }
        guard let first = given.first else { return nil }
        if let other = given.last, other.name != first.name {
            throw top.problem(
                "tokenizer_name",
                "is \(quoted(first.name ?? "")), but \(other.place) is \(quoted(other.name ?? ""))",
                "one tokenizer"
            )
        }
        return first.name
    }

    private func readDevice() throws -> String {
        guard let name = try top.string("device") else { return "cpu" }
        // Composer's word for the accelerator that is there.
        return name == "gpu" ? "cuda" : name
    }

    private func readGradientCheckpointing() throws -> Bool {
        let model = try top.section("model", PretrainingSchema.model)
        return try top.bool("gradient_checkpointing") ?? model.bool("gradient_checkpointing") ?? false
    }

    private func readSmallerModel() throws -> SmallerModelSettings? {
        guard top.has("init_from_checkpoint") else { return nil }
        if top.has("load_path") {
            throw top.problem(
                "init_from_checkpoint",
                "is given together with load_path",
                "one of the two to start from"
            )
        }
        let section = try top.section("init_from_checkpoint", PretrainingSchema.initFromCheckpoint)
        var path = try section.require(
            "checkpoint_load_path",
            try section.string("checkpoint_load_path"),
            "the smaller model's folder"
        )
        if let name = try section.string("checkpoint_run_name") { path += path.hasSuffix("/") ? name : "/\(name)" }
        return SmallerModelSettings(
            path: path,
            mode: try section.choice("mode", WeightTiling.self) ?? .tileWeightsFromMiddle
        )
    }

    private func readRules() throws -> CompatibilityRules {
        let section = try top.section("rules", PretrainingSchema.rules)
        func choice(_ key: String, _ standard: CompatibilityRules.Choice) throws -> CompatibilityRules.Choice {
            try section.choice(key, CompatibilityRules.Choice.self) ?? standard
        }
        var rules = CompatibilityRules()
        rules.learningRateTiming = try choice("learning_rate_timing", rules.learningRateTiming)
        rules.decayBaseRate = try choice("decay_base_rate", rules.decayBaseRate)
        rules.resetTime = try choice("reset_time", rules.resetTime)
        rules.batchSizeWarmup = try choice("batch_size_warmup", rules.batchSizeWarmup)
        rules.lossWeighting = try choice("loss_weighting", rules.lossWeighting)
        rules.tokenCounting =
            try section.choice("token_counting", CompatibilityRules.TokenCounting.self) ?? rules.tokenCounting
        switch try section.string("decoder_window") {
        case nil: break
        case "training": rules.decoderWindow = .training
        case "transformers": rules.decoderWindow = .transformers
        case let other?:
            throw section.problem("decoder_window", "is \(quoted(other))", "training or transformers")
        }
        return rules
    }
}
