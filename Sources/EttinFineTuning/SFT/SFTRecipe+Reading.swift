import EttinFiles
import EttinJSON
import EttinRecipes
import EttinTraining

extension SFTRecipe {
    private static let document = "a recipe of supervised fine-tuning"
    private static let ownKeys =
        [
            "max_length", "truncation_mode", "packing", "packing_strategy", "eval_packing", "completion_only_loss",
            "assistant_only_loss", "dataset_text_field", "formatting_func", "shuffle_dataset", "loss_type", "eos_token",
            "pad_token", "chat_template_path",
        ] + SFTArgumentRules.keys

    /// Reads a recipe.
    ///
    /// - Parameters:
    ///   - path: A YAML file.
    ///   - overrides: Values that replace those of the file, each `key=value` with YAML for the value.
    /// - Throws: `TrainingError` naming file, line and key of what is wrong.
    public init(path: String, overrides: [String] = []) throws {
        self = try FineTuningSettings.read(
            path: path,
            overrides: overrides,
            Self.document,
            Self.ownKeys,
            preparing: SFTArgumentRules.prepare,
            Self.init
        )
    }

    /// Makes a recipe of values alone.
    ///
    /// - Parameter values: Each `key=value` with YAML for the value.
    /// - Throws: `TrainingError` naming the key that is wrong.
    public init(values: [String]) throws {
        self = try FineTuningSettings.read(
            path: nil,
            overrides: values,
            Self.document,
            Self.ownKeys,
            preparing: SFTArgumentRules.prepare,
            Self.init
        )
    }

    /// The keys that a recipe of supervised fine-tuning may have.
    package static var keys: [String] { ownKeys + FineTuningSettings.keys }

    private init(_ section: RecipeSection, _ settings: FineTuningSettings) throws {
        self.settings = settings
        try SFTArgumentRules.check(section)
        notices = try SFTArgumentRules.notices(section)
        if let length = try section.int("max_length", in: 2...1_000_000) {
            self.length = .tokens(length)
        } else if section.isNull("max_length") {
            self.length = .unlimited
        }
        truncation = try section.choice("truncation_mode", Truncation.self) ?? truncation
        let strategy = try section.choice("packing_strategy", SequencePacking.self) ?? .bestFit
        packing = try section.bool("packing") == true ? strategy : nil
        evaluationPacking = try section.bool("eval_packing") ?? (packing != nil) ? strategy : nil
        if length == .unlimited, packing != nil || evaluationPacking != nil {
            throw section.problem("packing", "is true, but max_length is null", "a max_length, such as 1024")
        }
        countsCompletionsOnly = try section.bool("completion_only_loss")
        countsAssistantOnly = try section.bool("assistant_only_loss") ?? false
        textField = try section.string("dataset_text_field") ?? textField
        formatting = try section.string("formatting_func")
        if formatting != nil, countsCompletionsOnly == true {
            throw section.problem(
                "completion_only_loss",
                "is true beside formatting_func, which makes one text of a row",
                "columns prompt and completion without formatting_func, or completion_only_loss: false"
            )
        }
        shuffles = try section.bool("shuffle_dataset") ?? false
        loss = try section.choice("loss_type", Loss.self) ?? loss
        endToken = try section.string("eos_token")
        padToken = try section.string("pad_token")
        templatePath = try section.string("chat_template_path").map(FilePath.expandingHome)
        if !section.has("packing"), section.has("packing_strategy") {
            notices.append("no effect of packing_strategy: packing is false")
        }
    }
}

/// What becomes of the arguments of TRL's classes that set nothing of a recipe.
enum SFTArgumentRules {
    /// What TRL's trainer begins with where transformers' has another value.
    private static let defaults = [
        ("learning_rate", "2e-5"), ("logging_steps", "10"), ("gradient_checkpointing", "true"),
    ]
    /// What names the data in the script of the model card.
    private static let dataKeys = [
        "dataset_name", "dataset_config", "dataset_train_split", "dataset_test_split",
    ]
    private static let inert: [(key: String, defaults: [String], reason: String)] = [
        ("padding_free", ["false"], "rows are never padded"),
        ("pad_to_multiple_of", ["auto"], "rows are never padded"),
        ("dataset_num_proc", [], "threads prepare the data"),
        ("dataset_streaming", ["false"], "data stay in their files until they are read"),
        ("attn_implementation", [], "attention is the package's own"),
        ("dtype", ["float32", "auto"], "weights are trained in float32; bf16 decides what products are computed in"),
        (
            "torch_dtype", ["float32", "auto"],
            "weights are trained in float32; bf16 decides what products are computed in"
        ),
        ("trust_remote_code", ["false"], "no code of a model is run"),
        ("ignore_bias_buffers", ["false"], "one process trains"),
    ]
    private static let refused: [(key: String, allowed: [String], expected: String)] = [
        ("model_revision", ["main"], "main, or the folder of a downloaded revision as model_name_or_path"),
        ("model_init_kwargs", ["{}"], "nothing: models are of one class"),
        ("dataset_kwargs", ["{}", "{\"skip_prepare_dataset\": false}"], "nothing: columns say how data are prepared"),
        ("router_aux_loss_coef", [], "nothing: the models have no experts"),
        ("activation_offloading", ["false"], "false; gradient_checkpointing saves memory"),
        ("load_in_8bit", ["false"], "false: weights are trained in float32"),
        ("load_in_4bit", ["false"], "false: weights are trained in float32"),
        ("bnb_4bit_quant_type", ["nf4"], "nothing: weights are trained in float32"),
        ("use_bnb_nested_quant", ["false"], "false: weights are trained in float32"),
        ("bnb_4bit_quant_storage", [], "nothing: weights are trained in float32"),
        ("lora_target_parameters", ["[]"], "lora_target_modules: adapters belong to linear layers"),
    ]
    private static let foreign: [(key: String, expected: String)] = [
        ("loss", "loss_type: nll or dft"), ("evaluator", "eval_dataset, whose loss is measured"),
        ("prompts", "a system message in the data"), ("layout", "nothing: there is one layout"),
        ("empty_texts", "nothing: an empty text is its end token"),
    ]

    static var keys: [String] { dataKeys + inert.map(\.key) + refused.map(\.key) }

    /// Takes the names of data sets, and TRL's defaults.
    static func prepare(_ tree: inout RecipeTree) throws {
        func text(_ key: String) -> String? {
            guard let value = tree.root[key], !value.isNull, case .scalar(let text, _) = value.content else {
                return nil
            }
            return text
        }
        for (key, value) in defaults where tree.root[key].map(\.isNull) ?? true {
            try tree.override("\(key)=\(value)")
        }
        if tree.root["bf16"].map(\.isNull) ?? true, text("fp16")?.lowercased() != "true" {
            try tree.override("bf16=true")
        }
        guard let name = text("dataset_name") else { return }
        let isFile = FilePath.kind(of: FilePath.expandingHome(name)) == .file
        func reference(_ split: String) -> String {
            isFile ? name : ([name] + [text("dataset_config"), split].compactMap(\.self)).joined(separator: ":")
        }
        if tree.root["train_dataset"].map(\.isNull) ?? true {
            try tree.override("train_dataset=\(yaml(reference(text("dataset_train_split") ?? "train")))")
        }
        let isEvaluated = ["steps", "epoch"].contains(text("eval_strategy") ?? text("evaluation_strategy") ?? "no")
        let hasOther = ["eval_dataset", "train_test_split"].contains { !(tree.root[$0].map(\.isNull) ?? true) }
        guard isEvaluated, !hasOther else { return }
        guard !isFile else {
            throw RecipeError(
                .invalidOption,
                "dataset_name",
                found: "is the file \(name), which has no split to evaluate on",
                expected: "eval_dataset, train_test_split, or eval_strategy: no"
            )
        }
        try tree.override("eval_dataset=\(yaml(reference(text("dataset_test_split") ?? "test")))")
    }

    private static func yaml(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    /// Refuses what asks for something that is not done.
    static func check(_ section: RecipeSection) throws {
        for (key, allowed, expected) in refused {
            guard let node = section.node(key) else { continue }
            var text = node.json.text()
            if case .scalar(let scalar, _) = node.content { text = scalar.lowercased() }
            guard !allowed.contains(text) else { continue }
            throw section.problem(key, "is \(node.shownText), which is not supported", expected)
        }
        for (key, expected) in foreign {
            guard let node = section.node(key) else { continue }
            throw section.problem(key, "is \(node.shownText), which supervised fine-tuning does not have", expected)
        }
    }

    /// What has no effect, a sentence each.
    static func notices(_ section: RecipeSection) throws -> [String] {
        inert.compactMap { key, defaults, reason in
            guard let node = section.node(key) else { return nil }
            if case .scalar(let text, _) = node.content, defaults.contains(text.lowercased()) { return nil }
            return "no effect of \(key): \(reason)"
        }
    }
}
