package import EttinRecipes
import EttinTraining

/// Makes losses of late interaction of what a recipe says: a name, or a mapping of a `type` and the arguments of PyLate.
///
/// ```yaml
/// loss: Distillation
/// ```
/// ```yaml
/// loss: {type: CachedContrastive, mini_batch_size: 16, temperature: 0.05}
/// ```
package enum MultiVectorLosses {
    /// The loss of a recipe that names none.
    package static let defaultName = "Distillation"

    /// The names of the losses there are.
    package static let names = ["Distillation", "Contrastive", "CachedContrastive"]

    /// Makes a loss.
    ///
    /// - Parameters:
    ///   - node: A name or a mapping; nil for ``defaultName``.
    ///   - path: The key of the loss in the recipe.
    ///   - file: The file of the recipe, for messages.
    /// - Returns: The loss.
    /// - Throws: `TrainingError` that names the argument, its value and what is expected.
    package static func make(
        _ node: YAMLNode?,
        path: String = "loss",
        file: String = "recipe"
    ) throws -> any MultiVectorLoss {
        try TrainingError.translatingRecipe {
            try loss(node ?? YAMLNode(.scalar(defaultName, isPlain: true)), path, file)
        }
    }

    private static func loss(_ node: YAMLNode, _ path: String, _ file: String) throws -> any MultiVectorLoss {
        let (key, isNested): (YAMLNode, Bool) =
            if case .mapping = node.content { (node["type"] ?? YAMLNode(.mapping([]), line: node.line), true) } else {
                (node, false)
            }
        let place = RecipeSection.place(file, key.line, isNested ? RecipeSection.joined(path, "type") : path)
        guard case .scalar(let name, _) = key.content, !key.isNull else {
            let found = isNested && node["type"] == nil ? "is not there" : "is \(key.shownText)"
            throw RecipeError(.missing, place, found: found, expected: "the name of a loss, such as \(defaultName)")
        }
        guard let keys = keys(of: name) else {
            let suggestion = SpellingSuggestion.nearest(name, names).map { "; did you mean \($0)?" } ?? ""
            throw RecipeError(
                .invalidOption,
                place,
                found: "is \(key.shownText)",
                expected: "one of \(names.joined(separator: ", "))\(suggestion)"
            )
        }
        let section = try RecipeSection(
            isNested ? node : YAMLNode(.mapping([]), line: node.line),
            path: path,
            name: file,
            schema: ["type"] + keys,
            of: RecipeSchema(document: name)
        )
        try checkScores(section, of: name)
        return name == defaultName ? try distillation(section) : try contrastive(section, name)
    }

    private static let cutting = ["mini_batch_size", "mini_batch_num_tokens"]

    private static func keys(of name: String) -> [String]? {
        let contrast = [
            "score_metric", "score_mini_batch_size", "size_average", "gather_across_devices", "temperature",
        ]
        return switch name {
        case "Distillation": ["score_metric", "size_average", "normalize_scores"] + cutting
        case "Contrastive": contrast
        case "CachedContrastive": contrast + cutting + ["show_progress_bar", "sum_gradients"]
        default: nil
        }
    }

    /// Refuses scores other than MaxSim, and what needs several processes.
    private static func checkScores(_ section: RecipeSection, of name: String) throws {
        let known = name == defaultName ? ["colbert_kd_scores"] : ["ColBERTScores", "colbert_scores"]
        if let metric = try section.string("score_metric"), !known.contains(metric) {
            throw section.problem("score_metric", "is \(metric), which is not supported", known[0])
        }
        if name != defaultName, try section.bool("gather_across_devices") == true {
            throw section.problem(
                "gather_across_devices",
                "is true, which is not supported",
                "false; CachedContrastive takes a larger batch, which has as many negatives"
            )
        }
    }

    private static func distillation(_ section: RecipeSection) throws -> any MultiVectorLoss {
        var loss = DistillationLoss()
        loss.averages = try section.bool("size_average") ?? loss.averages
        loss.normalizesScores = try section.bool("normalize_scores") ?? loss.normalizesScores
        if cutting.contains(where: section.has) { loss.cache = try cache(section) }
        return loss
    }

    private static func contrastive(_ section: RecipeSection, _ name: String) throws -> any MultiVectorLoss {
        var loss = MultiVectorContrastiveLoss()
        loss.name = name
        loss.averages = try section.bool("size_average") ?? loss.averages
        loss.temperature = try section.double("temperature", "a number above 0") { $0 > 0 } ?? loss.temperature
        loss.scoredQueries = try section.int("score_mini_batch_size", in: 1...Int.max)
        guard name == "CachedContrastive" else { return loss }
        if try section.bool("show_progress_bar") == true {
            throw section.problem("show_progress_bar", "is true, which is not supported", "false")
        }
        let cache = try cache(section)
        loss.cache = cache
        loss.scoredQueries = loss.scoredQueries ?? cache.rows
        loss.sumsGradients = try section.bool("sum_gradients") ?? false
        return loss
    }

    private static func cache(_ section: RecipeSection) throws -> GradientCacheSettings {
        GradientCacheSettings(
            rows: try section.int("mini_batch_size", in: 1...Int.max) ?? 32,
            tokens: try section.int("mini_batch_num_tokens", in: 1...Int.max)
        )
    }
}
