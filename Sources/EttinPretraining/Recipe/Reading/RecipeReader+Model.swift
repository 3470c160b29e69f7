import EttinConversion
import EttinFiles
import EttinModel
import EttinRecipes
import EttinTraining

/// What a recipe says of its model.
struct RecipeModel {
    let kind: ModelKind
    let startKind: ModelKind
    var configuration: ModernBERTConfiguration
    var takesVocabularyFromTokenizer = false
    var attentionOutputDropout = 0.0
    var zLoss = 0.0
}

extension RecipeReader {
    mutating func readModel() throws -> RecipeModel {
        let section = try top.section("model", PretrainingSchema.model)
        let kinds = try kinds(section)
        if section.has("pretrained_checkpoint") {
            throw section.problem(
                "pretrained_checkpoint",
                "is not supported",
                "load_path with load_weights_only: true"
            )
        }
        if section.has("pretrained_model_name") {
            notices.append(
                "ignored: model.pretrained_model_name (it only supplies defaults that the recipe states)"
            )
        }
        if try section.bool("disable_train_metrics") == false {
            notices.append("ignored: model.disable_train_metrics: false (the loss is the only training metric)")
        }
        let config = try section.section("model_config", ModelConfigReader.keys)
        var model = RecipeModel(
            kind: kinds.kind,
            startKind: kinds.start,
            // Any size: the suite's keys, with every number replaced below.
            configuration: .ettin(size: .size17M, kind: kinds.kind)
        )
        let reader = ModelConfigReader(config: config)
        try checkArchitecture(reader, kind: model.kind)
        try reader.read(into: &model.configuration)
        model.attentionOutputDropout = try reader.probability("attn_out_dropout_prob")
        try readVocabulary(config, &model)
        try readInitialization(config, &model)
        try readLoss(config, &model)
        noteImplied(config)
        if model.configuration.layerTypes.last == .slidingAttention {
            notices.append(
                "the last of \(model.configuration.layerCount) layers is local, which the training code refuses"
            )
        }
        do {
            try model.configuration.validate(file: "model.model_config")
        } catch let error as CheckpointError {
            throw section.problem("model_config", "is not a valid model: \(error)", nil)
        }
        return model
    }

    private func kinds(_ section: RecipeSection) throws -> (kind: ModelKind, start: ModelKind) {
        let names: [(name: String, kind: ModelKind, start: ModelKind)] = [
            ("flex_bert", .encoder, .encoder), ("flex_gpt", .decoder, .decoder),
            ("flex_bert_to_gpt", .decoder, .encoder), ("flex_gpt_to_bert", .encoder, .decoder),
        ]
        let expected = names.map(\.name).joined(separator: ", ")
        let name = try section.require("name", try section.string("name"), "one of \(expected)")
        guard let entry = names.first(where: { $0.name == name }) else {
            throw section.problem("name", "is \(quoted(name))", "one of \(expected)")
        }
        guard entry.kind == entry.start || top.has("load_path") else {
            throw section.problem("name", "is \(name), but there is no load_path", "the model to start from")
        }
        return (entry.kind, entry.start)
    }

    // MARK: - Values that name the one architecture there is

    private mutating func checkArchitecture(_ reader: ModelConfigReader, kind: ModelKind) throws {
        let config = reader.config
        impliedKeys += try reader.checkArchitecture()
        if try reader.isAlways(false, "init_small_embedding") { impliedKeys.append("init_small_embedding") }
        if let causal = try config.bool("causal_mask"), causal != (kind == .decoder) {
            let other = kind == .decoder ? "a decoder" : "an encoder"
            throw config.problem(
                "causal_mask",
                "is \(causal), but model.name makes \(other)",
                "the same value for both"
            )
        }
        if let loss = try config.string("loss_function") {
            guard ["fa_cross_entropy", "cross_entropy"].contains(loss) else {
                throw config.problem(
                    "loss_function",
                    "is \(quoted(loss))",
                    "cross_entropy or fa_cross_entropy, which mean the same here"
                )
            }
            impliedKeys.append("loss_function")
        }
        if let padding = try config.string("padding") {
            guard ["unpadded", "padded"].contains(padding) else {
                throw config.problem("padding", "is \(quoted(padding))", "unpadded or padded")
            }
            if padding == "padded" { notices.append("ignored: padding: padded (no batch is ever padded)") }
        }
    }

    private mutating func noteImplied(_ config: RecipeSection) {
        let keys = [
            "padding", "unpad_embeddings", "pad_logits", "masked_prediction", "allow_embedding_resizing",
            "compile_model",
            "use_fa2", "deterministic_fa2", "activation_function", "causal_mask",
        ]
        impliedKeys += keys.filter { config.has($0) }
    }

    // MARK: - Numbers of the recipe's own

    private func readVocabulary(_ config: RecipeSection, _ model: inout RecipeModel) throws {
        if try config.string("vocab_size") == "tokenizer" {
            model.takesVocabularyFromTokenizer = true
        } else {
            model.configuration.vocabularySize = try config.int("vocab_size", in: 1...1 << 28) ?? 50368
        }
        if model.configuration.vocabularySize < 50285 {
            // The suite's special tokens are not in such a vocabulary; the tokenizer says which ids are.
            model.configuration.padTokenID = nil
        }
        model.configuration.maxPositionEmbeddings =
            try config.int("max_position_embeddings", in: 1...1 << 31)
            ?? top.int("max_seq_len", in: 2...1 << 30) ?? model.configuration.maxPositionEmbeddings
    }

    private func readInitialization(_ config: RecipeSection, _ model: inout RecipeModel) throws {
        let method = try config.require("init_method", try config.string("init_method"), "full_megatron")
        guard method == "full_megatron" else {
            throw config.problem("init_method", "is \(quoted(method))", "full_megatron, as the suite starts")
        }
        let deviations = [
            try config.double("init_std") { $0 >= 0 }, try config.double("initializer_range") { $0 >= 0 },
        ]
        .compactMap { $0 }
        if let first = deviations.first, let last = deviations.last, first != last {
            throw config.problem("init_std", "is \(first), but initializer_range is \(last)", "the same value for both")
        }
        model.configuration.initializerRange = deviations.first ?? 0.02
        model.configuration.initializerCutoffFactor =
            try config.double("init_cutoff_factor", "a number above 0") { $0 > 0 } ?? 2
    }

    private mutating func readLoss(_ config: RecipeSection, _ model: inout RecipeModel) throws {
        let loss = try config.section("loss_kwargs", ModelConfigReader.lossArguments)
        if let reduction = try loss.string("reduction"), reduction != "mean" {
            throw loss.problem("reduction", "is \(quoted(reduction))", "mean")
        }
        model.zLoss = try loss.double("lse_square_scale", "a number of 0 or more") { $0 >= 0 } ?? 0
        for key in ["inplace_backward", "return_z_loss"] where loss.has(key) {
            notices.append("ignored: model.model_config.loss_kwargs.\(key)")
        }
    }
}
