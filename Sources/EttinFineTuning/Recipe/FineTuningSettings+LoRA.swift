import EttinFiles
import EttinModel
import EttinRecipes

extension FineTuningSettings {
    /// The keys of low-rank adapters, as TRL and PEFT have them.
    package static let adapterKeys = ["use_peft"] + valueKeys

    private static let valueKeys = [
        "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save", "use_rslora", "use_dora",
        "lora_task_type", "lora_bias", "init_lora_weights", "rank_pattern", "alpha_pattern", "exclude_modules",
        "layers_to_transform", "layers_pattern",
    ]

    /// Reads what adapters are trained in place of the model's weights.
    ///
    /// Defaults are those of TRL; the layers have the defaults of this package.
    ///
    /// - Parameter section: The recipe.
    /// - Returns: The configuration; nil without `use_peft`. Keys that have no effect then, a sentence each.
    /// - Throws: `RecipeError` naming the key and value that are wrong.
    static func adapters(_ section: RecipeSection) throws -> (configuration: LoRAConfiguration?, notices: [String]) {
        guard try section.bool("use_peft") ?? false else {
            let unused = valueKeys.filter(section.has)
            return (nil, unused.isEmpty ? [] : ["\(listing(unused)) has no effect without use_peft: true"])
        }
        var configuration = LoRAConfiguration()
        configuration.rank = try section.int("lora_r", in: 1...65536) ?? 16
        let isAlpha: (Double) -> Bool = { abs($0) <= 1e9 }
        configuration.alpha = try section.double("lora_alpha", "a number of at most 1e9", where: isAlpha) ?? 32
        configuration.dropout = try section.double("lora_dropout", "from 0 to below 1") { 0 <= $0 && $0 < 1 } ?? 0.05
        configuration.targets = try selection("lora_target_modules", section)
        configuration.excluded = try selection("exclude_modules", section)
        configuration.modulesToSave = try section.texts("lora_modules_to_save") ?? []
        configuration.usesRankStabilization = try section.bool("use_rslora") ?? false
        configuration.usesDecomposition = try section.bool("use_dora") ?? false
        configuration.taskType = try section.choice("lora_task_type", AdapterTaskType.self)?.rawValue
        configuration.layersPattern = try section.texts("layers_pattern") ?? []
        configuration.layers = try layers(section)
        try refuseLayers(of: &configuration, section)
        configuration.rankPattern = try patterns("rank_pattern", "an integer from 1 to 65,536", section) {
            RecipeSection.integer($0).flatMap { (1...65536).contains($0) ? $0 : nil }
        }
        configuration.alphaPattern = try patterns("alpha_pattern", "a number of at most 1e9", section) {
            RecipeSection.real($0).flatMap { isAlpha($0) ? $0 : nil }
        }
        configuration.initialization = try initialization(section)
        if let bias = try section.string("lora_bias"), bias != "none" {
            throw section.problem("lora_bias", "is \(quoted(bias)), which is not supported", "none")
        }
        return (configuration, [])
    }

    private static func selection(_ key: String, _ section: RecipeSection) throws -> ModuleSelection? {
        guard let node = section.node(key) else { return nil }
        if case .scalar(let text, _) = node.content, !text.isEmpty { return ModuleSelection(text: text) }
        return try section.texts(key).map(ModuleSelection.names)
    }

    private static func layers(_ section: RecipeSection) throws -> [Int]? {
        try section.texts("layers_to_transform").map { texts in
            try texts.map { text in
                guard let layer = RecipeSection.integer(text), layer >= 0 else {
                    throw section.problem("layers_to_transform", "has \(quoted(text, limit: 40))", "numbers of layers")
                }
                return layer
            }
        }
    }

    private static func patterns<Value>(
        _ key: String,
        _ expected: String,
        _ section: RecipeSection,
        _ read: (String) -> Value?
    ) throws -> [LoRAConfiguration.Pattern<Value>] {
        guard let node = section.node(key) else { return [] }
        guard case .mapping(let members) = node.content else {
            throw section.wrong(key, node, "a mapping of names of modules to numbers")
        }
        return try members.map { pattern, node in
            guard case .scalar(let text, _) = node.content, let value = read(text) else {
                throw section.wrong(key, node, "\(expected) for \(quoted(pattern, limit: 80))")
            }
            return LoRAConfiguration.Pattern(pattern, value)
        }
    }

    private static func initialization(_ section: RecipeSection) throws -> LoRAConfiguration.Initialization {
        let key = "init_lora_weights"
        guard let text = try section.string(key) else { return .standard }
        if let isStandard = RecipeSection.boolean(text) { return isStandard ? .standard : .random }
        guard text == "gaussian" else { throw section.problem(key, "is \(quoted(text))", "true, false or gaussian") }
        return .gaussian
    }

    /// Refuses what PEFT refuses, and gives layers the name of their list, without which it finds none in a trunk alone.
    private static func refuseLayers(of configuration: inout LoRAConfiguration, _ section: RecipeSection) throws {
        guard configuration.layers != nil else {
            guard !configuration.layersPattern.isEmpty else { return }
            throw section.problem("layers_pattern", "is set without layers_to_transform", "both, or neither")
        }
        switch configuration.targets {
        case .allLinear, .expression:
            throw section.problem(
                "layers_to_transform",
                "is set beside lora_target_modules that are not a list of names",
                "a list of names, or an expression that says which layers"
            )
        case .names, nil: break
        }
        if configuration.layersPattern.isEmpty { configuration.layersPattern = ["layers"] }
    }

    /// Refuses adapters on a model that takes its trunk from another one: they would name the wrong base.
    ///
    /// - Parameter section: A recipe with the key `transfer_from`.
    /// - Throws: `RecipeError` naming the key.
    static func refuseTransferredAdapters(_ section: RecipeSection) throws {
        guard section.has("transfer_from"), try section.bool("use_peft") ?? false else { return }
        throw section.problem(
            "transfer_from",
            "is set beside use_peft: true",
            "model_name_or_path with that model and ignore_mismatched_sizes: true, as an adapter belongs to one base"
        )
    }
}

/// The tasks that PEFT knows of adapters.
private enum AdapterTaskType: String, CaseIterable {
    case sequenceClassification = "SEQ_CLS"
    case sequenceToSequence = "SEQ_2_SEQ_LM"
    case causalLanguageModel = "CAUSAL_LM"
    case tokenClassification = "TOKEN_CLS"
    case questionAnswering = "QUESTION_ANS"
    case featureExtraction = "FEATURE_EXTRACTION"
}
