import EttinFiles
import Torch

/// Where the adapters of a configuration go in a model.
struct LoRATargets {
    /// A layer or some of its rows, with the adapter that it gets.
    struct Target {
        let module: NamedModules.Entry
        let rank: Int
        let scale: Double
    }

    /// The layers with adapters, in the order of the model.
    let targets: [Target]
    /// The keys of parameters that are trained whole, in our model.
    let savedKeys: Set<String>

    /// Finds the layers.
    ///
    /// - Parameters:
    ///   - configuration: What gets adapters.
    ///   - model: The model.
    ///   - place: What messages call the configuration: a file, or the recipe.
    /// - Throws: `CheckpointError` for names and expressions that meet nothing, with the names that there are.
    init(_ configuration: LoRAConfiguration, of model: some PretrainedModel, place: String) throws {
        let modules = NamedModules(model)
        savedKeys = try Self.savedKeys(configuration, model, modules, place)
        try Self.checkLayers(configuration, place)
        let isTarget = try Self.selection(configuration, modules, place)
        let isExcluded = try Self.exclusion(configuration, modules, place)
        let ranks = try PatternValues(configuration.rankPattern, key: "rank_pattern", file: place)
        let alphas = try PatternValues(configuration.alphaPattern, key: "alpha_pattern", file: place)
        let saved = savedKeys
        targets = modules.entries.compactMap { module in
            guard module.layer != nil, isTarget(module.name), !isExcluded(module.name) else { return nil }
            guard !saved.contains(module.key + ".weight") else { return nil }
            let rank = ranks[module.name] ?? configuration.rank
            let alpha = alphas[module.name] ?? configuration.alpha
            return Target(module: module, rank: rank, scale: configuration.scale(rank: rank, alpha: alpha))
        }
        guard targets.isEmpty else { return }
        throw CheckpointError(
            .unsupported,
            file: place,
            item: "target_modules",
            found: "meets no linear layer of the model that is not excluded",
            expected: "some of \(listing(modules.layerNames))"
        )
    }

    /// Whether a module's name is one of the targets.
    private static func selection(
        _ configuration: LoRAConfiguration,
        _ modules: NamedModules,
        _ place: String
    ) throws -> (String) -> Bool {
        switch configuration.targets {
        case nil:
            throw CheckpointError(
                .missing,
                file: place,
                item: "target_modules",
                found: "is missing",
                expected: "some of \(listing(modules.layerNames)), or all-linear"
            )
        case .allLinear:
            // A classifier is trained whole, or not at all.
            return { $0 != "classifier" }
        case .expression(let pattern):
            let expression = try ModuleExpression(pattern, key: "target_modules", file: place)
            return expression.matches
        case .names(let names):
            for name in names {
                let met = modules.entries.filter { ModuleSelection.matches($0.name, name) }
                guard !met.contains(where: { $0.layer != nil }) else { continue }
                throw CheckpointError(
                    .unsupported,
                    file: place,
                    item: "target_modules",
                    found: "has \(quoted(name, limit: 80)), which is \(met.isEmpty ? "no module" : "no linear layer") "
                        + "of the model",
                    expected: "some of \(listing(modules.layerNames)), or all-linear"
                )
            }
            let isInLayer = try layers(configuration, place)
            return { module in names.contains { ModuleSelection.matches(module, $0) } && isInLayer(module) }
        }
    }

    /// Whether a module is in one of the layers that are asked for.
    private static func layers(_ configuration: LoRAConfiguration, _ place: String) throws -> (String) -> Bool {
        guard let layers = configuration.layers else { return { _ in true } }
        let patterns = configuration.layersPattern.isEmpty ? ["[^.]*"] : configuration.layersPattern
        // The number behind the first list of that name; a model's own parts have no other lists.
        let expressions = try patterns.map { pattern in
            try layers.map {
                try ModuleExpression("(?:.*?\\.)?(?:\(pattern))\\.\($0)\\..*", key: "layers_pattern", file: place)
            }
        }
        return { name in expressions.contains { $0.contains { $0.matches(name) } } }
    }

    /// Refuses keys of layers where PEFT refuses them: an expression has the layers in it.
    private static func checkLayers(_ configuration: LoRAConfiguration, _ place: String) throws {
        func refusal(_ key: String, _ found: String, _ expected: String) -> CheckpointError {
            CheckpointError(.unsupported, file: place, item: key, found: found, expected: expected)
        }
        guard configuration.layers != nil else {
            guard !configuration.layersPattern.isEmpty else { return }
            throw refusal("layers_pattern", "is set without layers_to_transform", "both, or neither")
        }
        if case .names? = configuration.targets { return }
        throw refusal(
            "layers_to_transform",
            "is set beside target_modules that are not a list of names",
            "a list of names, or an expression that says which layers"
        )
    }

    /// Whether a module gets no adapter although it is a target.
    private static func exclusion(
        _ configuration: LoRAConfiguration,
        _ modules: NamedModules,
        _ place: String
    ) throws -> (String) -> Bool {
        func require(_ text: String, _ isMet: (String) -> Bool) throws {
            guard !modules.entries.contains(where: { isMet($0.name) }) else { return }
            throw CheckpointError(
                .unsupported,
                file: place,
                item: "exclude_modules",
                found: "has \(quoted(text, limit: 80)), which meets no module of the model",
                expected: "a list of names such as \(listing(modules.layerNames)), or an expression for whole names"
            )
        }
        switch configuration.excluded {
        case nil: return { _ in false }
        case .allLinear:
            try require(ModuleSelection.allLinearName) { $0 == ModuleSelection.allLinearName }
            return { _ in false }
        case .names(let names):
            for name in names { try require(name) { ModuleSelection.matches($0, name) } }
            return { module in names.contains { ModuleSelection.matches(module, $0) } }
        case .expression(let pattern):
            let expression = try ModuleExpression(pattern, key: "exclude_modules", file: place)
            try require(pattern, expression.matches)
            return expression.matches
        }
    }

    /// The names that PEFT adds to `modules_to_save` of classifiers, whether the model has them or not.
    static let classifierNames = ["classifier", "score"]

    /// The parameters of modules that are trained whole.
    private static func savedKeys(
        _ configuration: LoRAConfiguration,
        _ model: some PretrainedModel,
        _ modules: NamedModules,
        _ place: String
    ) throws -> Set<String> {
        var keys: Set<String> = []
        let parameters = model.baseParameters.map(\.key)
        for name in configuration.modulesToSave {
            let met = modules.entries.filter { $0.name.hasSuffix(name) }
            let isClassifier = classifierNames.contains(name) && configuration.taskType?.hasSuffix("_CLS") == true
            if met.isEmpty, isClassifier { continue }
            guard !met.isEmpty, !name.isEmpty, met.allSatisfy({ $0.rows == nil }) else {
                throw CheckpointError(
                    .unsupported,
                    file: place,
                    item: "modules_to_save",
                    found: "has \(quoted(name, limit: 80)), which is "
                        + (met.isEmpty
                            ? "no module of the model" : "one of three projections that are one matrix here"),
                    expected: "names such as \(listing(["head", "final_norm", "Wo"]))"
                )
            }
            for module in met { keys.formUnion(parameters.filter { $0.hasPrefix(module.key + ".") }) }
        }
        try requireBoth(keys, configuration, model, place)
        return keys
    }

    /// Refuses an embedding without the output layer that it is too, and the other way round.
    private static func requireBoth(
        _ keys: Set<String>,
        _ configuration: LoRAConfiguration,
        _ model: some PretrainedModel,
        _ place: String
    ) throws {
        guard type(of: model).headNaming == .languageModel, model.configuration.tiesWordEmbeddings else { return }
        let hasEmbedding = keys.contains { $0.hasSuffix(AttachedLoRA.embeddingKey) }
        let hasOutput = configuration.modulesToSave.contains { "decoder".hasSuffix($0) }
        guard hasEmbedding != hasOutput else { return }
        throw CheckpointError(
            .unsupported,
            file: place,
            item: "modules_to_save",
            found: "has \(hasEmbedding ? "tok_embeddings without decoder" : "decoder without tok_embeddings"), which "
                + "are one matrix in this model",
            expected: "both, which stay one, or neither"
        )
    }
}
