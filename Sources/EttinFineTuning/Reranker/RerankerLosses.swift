import EttinFiles
import EttinModel
package import EttinRecipes
import EttinTraining
import Torch

/// Makes losses of rerankers of what a recipe says: a name, or a mapping of a `type` and the arguments of
/// sentence-transformers.
///
/// ```yaml
/// loss: {type: BinaryCrossEntropyLoss, pos_weight: 5}
/// ```
package enum RerankerLosses {
    /// The loss of a recipe that names none.
    ///
    /// - Parameter labelCount: The number of scores of a pair.
    /// - Returns: The name of the class.
    package static func defaultName(labelCount: Int) -> String {
        labelCount == 1 ? "BinaryCrossEntropyLoss" : "CrossEntropyLoss"
    }

    /// The names of the losses there are.
    package static var names: [String] { builders.map(\.name) }

    /// Makes a loss.
    ///
    /// - Parameters:
    ///   - node: A name or a mapping; nil for the default.
    ///   - labelCount: The number of scores of a pair, which decides on the default.
    ///   - path: The key of the loss in the recipe.
    ///   - file: The file of the recipe, for messages.
    /// - Returns: The loss.
    /// - Throws: `TrainingError` that names the argument, its value and what is expected.
    package static func make(
        _ node: YAMLNode?,
        labelCount: Int = 1,
        path: String = "loss",
        file: String = "recipe"
    ) throws -> any RerankerLoss {
        let node = node ?? YAMLNode(.scalar(defaultName(labelCount: labelCount), isPlain: true))
        return try TrainingError.translatingRecipe { try loss(node, labelCount, path, file) }
    }

    // MARK: - Names

    private typealias Builder = @Sendable (_ arguments: Arguments) throws -> any RerankerLoss

    private static let cutting = ["mini_batch_size", "show_progress_bar"]
    private static let ranking = ["num_negatives", "scale", "activation_fn"]
    private static let lambda = ["k", "sigma", "eps", "reduction_log", "activation_fn", "mini_batch_size"]

    private static let builders: [(name: String, arguments: [String], build: Builder)] = [
        (
            "BinaryCrossEntropyLoss", ["activation_fn", "pos_weight", "weight", "reduction"],
            { try $0.binaryCrossEntropy() }
        ),
        (
            "CrossEntropyLoss", ["activation_fn", "weight", "label_smoothing", "reduction"],
            { try $0.crossEntropy() }
        ),
        ("MSELoss", ["activation_fn", "reduction"], { try $0.meanSquaredError() }),
        ("MarginMSELoss", ["activation_fn", "reduction"], { try $0.marginMSE() }),
        ("MultipleNegativesRankingLoss", ranking, { try $0.multipleNegativesRanking() }),
        (
            "CachedMultipleNegativesRankingLoss", ranking + cutting,
            { try $0.multipleNegativesRanking(cache: $0.cache(default: 32)) }
        ),
        ("LambdaLoss", ["weighting_scheme"] + lambda, { try $0.lambda(weighting: $0.weighting()) }),
        ("RankNetLoss", lambda, { try $0.lambda(weighting: LambdaLoss.Weighting.none) }),
        ("ListNetLoss", ["activation_fn", "mini_batch_size"], { try $0.listNet() }),
        (
            "ListMLELoss", ["activation_fn", "mini_batch_size", "respect_input_order"],
            { try $0.listMLE(weighsPlaces: false) }
        ),
        (
            "PListMLELoss", ["lambda_weight", "activation_fn", "mini_batch_size", "respect_input_order"],
            { try $0.listMLE(weighsPlaces: $0.weighsPlaces()) }
        ),
        ("ADRMSELoss", ["alpha", "activation_fn", "mini_batch_size"], { try $0.rankError() }),
    ]

    private static func loss(
        _ node: YAMLNode,
        _ labelCount: Int,
        _ path: String,
        _ file: String
    ) throws -> any RerankerLoss {
        let isNested = if case .mapping = node.content { true } else { false }
        let key = isNested ? node["type"] ?? YAMLNode(.mapping([]), line: node.line) : node
        let place = RecipeSection.place(file, key.line, isNested ? RecipeSection.joined(path, "type") : path)
        guard case .scalar(let name, _) = key.content, !key.isNull else {
            throw RecipeError(
                .missing,
                place,
                found: isNested && node["type"] == nil ? "is not there" : "is \(key.shownText)",
                expected: "the name of a loss, such as \(defaultName(labelCount: labelCount))"
            )
        }
        guard let builder = builders.first(where: { $0.name == name }) else {
            let suggestion = SpellingSuggestion.nearest(name, names).map { "; did you mean \($0)?" } ?? ""
            throw RecipeError(
                EmbeddingLosses.names.contains(name) ? .unsupported : .invalidOption,
                place,
                found: EmbeddingLosses.names.contains(name)
                    ? "is \(name), which is a loss of embedding models" : "is \(key.shownText)",
                expected: "one of \(names.joined(separator: ", "))\(suggestion)"
            )
        }
        let mapping = isNested ? node : YAMLNode(.mapping([]), line: node.line)
        let section = try RecipeSection(
            mapping,
            path: path,
            name: file,
            schema: ["type"] + builder.arguments,
            of: RecipeSchema(document: name)
        )
        return try builder.build(Arguments(name: name, node: mapping, section: section))
    }
}

// MARK: -

/// The arguments of a loss.
private struct Arguments {
    let name: String
    let node: YAMLNode
    let section: RecipeSection

    // MARK: Losses

    func binaryCrossEntropy() throws -> any RerankerLoss {
        var loss = BinaryCrossEntropyLoss()
        loss.activation = try activation() ?? loss.activation
        loss.positiveWeight = try weight("pos_weight") ?? loss.positiveWeight
        loss.weight = try weight("weight") ?? loss.weight
        loss.reduction = try section.choice("reduction", LossReduction.self) ?? loss.reduction
        return loss
    }

    func crossEntropy() throws -> any RerankerLoss {
        var loss = CrossEntropyLoss()
        loss.activation = try activation() ?? loss.activation
        if let node = section.node("weight") {
            guard case .list(let items) = node.content, !items.isEmpty else {
                throw section.wrong("weight", node, "a list of numbers, one for each class")
            }
            let weights = try section.doubles("weight", count: items.count) ?? []
            guard weights.allSatisfy({ $0 >= 0 }) else {
                throw section.problem("weight", "has a number below 0", "numbers of 0 or more, one for each class")
            }
            loss.classWeights = weights
        }
        loss.smoothing = try section.double("label_smoothing", "a number from 0 to 1") { 0...1 ~= $0 } ?? 0
        loss.reduction = try section.choice("reduction", LossReduction.self) ?? loss.reduction
        return loss
    }

    func meanSquaredError() throws -> any RerankerLoss {
        var loss = ScoreMSELoss()
        loss.activation = try activation() ?? loss.activation
        loss.reduction = try section.choice("reduction", LossReduction.self) ?? loss.reduction
        return loss
    }

    func marginMSE() throws -> any RerankerLoss {
        var loss = ScoreMarginMSELoss()
        loss.activation = try activation() ?? loss.activation
        loss.reduction = try section.choice("reduction", LossReduction.self) ?? loss.reduction
        return loss
    }

    func multipleNegativesRanking(cache: GradientCacheSettings? = nil) throws -> any RerankerLoss {
        var loss = ScoreRankingLoss()
        loss.name = name
        loss.cache = cache
        loss.negativeCount =
            isNone("num_negatives")
            ? nil : try section.int("num_negatives", in: 0...Int.largestCount) ?? loss.negativeCount
        loss.scale = isNone("scale") ? 1 : try positive("scale") ?? loss.scale
        loss.activation = try activation() ?? loss.activation
        return loss
    }

    func lambda(weighting: LambdaLoss.Weighting) throws -> any RerankerLoss {
        var loss = LambdaLoss()
        loss.name = name
        loss.weighting = weighting
        loss.cache = try cache()
        loss.k = try section.int("k", in: 1...Int.largestCount)
        loss.sigma = try positive("sigma") ?? loss.sigma
        loss.epsilon = try positive("eps") ?? loss.epsilon
        loss.isBinary = try section.choice("reduction_log", Logarithm.self) != .natural
        loss.activation = try activation() ?? loss.activation
        return loss
    }

    private enum Logarithm: String, CaseIterable { case natural, binary }

    func listNet() throws -> any RerankerLoss {
        var loss = ListNetLoss()
        loss.cache = try cache()
        loss.activation = try activation() ?? loss.activation
        return loss
    }

    func listMLE(weighsPlaces: Bool) throws -> any RerankerLoss {
        var loss = PListMLELoss()
        loss.name = name
        loss.cache = try cache()
        loss.weighsPlaces = weighsPlaces
        loss.respectsInputOrder = try section.bool("respect_input_order") ?? loss.respectsInputOrder
        loss.activation = try activation() ?? loss.activation
        return loss
    }

    func rankError() throws -> any RerankerLoss {
        var loss = ADRMSELoss()
        loss.cache = try cache()
        loss.alpha = try positive("alpha") ?? loss.alpha
        loss.activation = try activation() ?? loss.activation
        return loss
    }

    // MARK: Values

    /// Whether a key is there with null, which is Python's None; an absent key has its default.
    private func isNone(_ key: String) -> Bool { node[key]?.isNull == true }

    func positive(_ key: String) throws -> Double? {
        try section.double(key, "a number above 0") { $0 > 0 }
    }

    /// A weight, which in Python is a tensor of one number.
    private func weight(_ key: String) throws -> Double? {
        let expected = "a number of 0 or more"
        guard case .list(let items)? = section.node(key)?.content, items.count == 1 else {
            return try section.double(key, expected) { $0 >= 0 }
        }
        guard let weight = try section.doubles(key, count: 1)?[0], weight >= 0 else {
            throw section.problem(key, "is below 0", expected)
        }
        return weight
    }

    /// A class of torch.nn by its name, with or without its module; None is the identity.
    private func activation() throws -> Activation? {
        if isNone("activation_fn") { return .identity }
        return try section.activation("activation_fn")
    }

    /// How the passes are cut.
    ///
    /// - Parameter rows: The pairs of a slice where the recipe does not say; nil for all of a batch.
    /// - Returns: The settings; nil for one pass.
    /// - Throws: `RecipeError` for a value that is wrong.
    func cache(default rows: Int? = nil) throws -> GradientCacheSettings? {
        if name.hasPrefix("Cached"), try section.bool("show_progress_bar") == true {
            throw section.problem("show_progress_bar", "is true, which is not supported", "false")
        }
        let least = rows == nil ? -Int.largestCount : 1
        guard let size = try section.int("mini_batch_size", in: least...Int.largestCount) ?? rows, size > 0 else {
            return nil
        }
        return GradientCacheSettings(rows: size)
    }

    func weighting() throws -> LambdaLoss.Weighting {
        if isNone("weighting_scheme") { return .none }
        guard let value = section.node("weighting_scheme") else { return LambdaLoss().weighting }
        let known = [
            "NoWeightingScheme", "NDCGLoss1Scheme", "NDCGLoss2Scheme", "LambdaRankScheme", "NDCGLoss2PPScheme",
        ]
        var (text, mu): (String?, Double?) = (nil, nil)
        if case .scalar(let name, _) = value.content { text = name }
        if case .mapping = value.content {
            let values = try section.section("weighting_scheme", ["type", "mu"])
            (text, mu) = (try values.string("type"), try values.double("mu"))
        }
        let name = text?.split(separator: ".").last.map(String.init) ?? ""
        if let mu, name != known[4] {
            throw section.problem("weighting_scheme", "has mu \(mu), but is \(name)", "mu with \(known[4]) alone")
        }
        switch known.firstIndex(of: name) {
        case 0: return .none
        case 1: return .ndcgLoss1
        case 2: return .ndcgLoss2
        case 3: return .lambdaRank
        case 4: return .ndcgLoss2PP(mu: mu ?? 10)
        default:
            let suggestion = SpellingSuggestion.nearest(name, known).map { "; did you mean \($0)?" } ?? ""
            throw section.wrong("weighting_scheme", value, "one of \(known.joined(separator: ", "))\(suggestion)")
        }
    }

    /// Whether first places weigh more.
    func weighsPlaces() throws -> Bool {
        if isNone("lambda_weight") { return false }
        guard let text = try section.string("lambda_weight") else { return true }
        guard text.split(separator: ".").last == "PListMLELambdaWeight" else {
            throw section.problem("lambda_weight", "is \(text)", "PListMLELambdaWeight, or null for none")
        }
        return true
    }
}

extension RecipeSection {
    /// An activation function by its class in torch.nn, with or without the module.
    ///
    /// - Throws: `RecipeError` for one that is not known.
    func activation(_ key: String) throws -> Activation? {
        guard let text = try string(key) else { return nil }
        let known = Activation.classNames.map(\.name)
        let name = text.split(separator: ".").last.map(String.init) ?? text
        guard let found = Activation.classNames.first(where: { $0.name == name })?.0 else {
            let suggestion = SpellingSuggestion.nearest(name, known).map { "; did you mean \($0)?" } ?? ""
            throw problem(key, "is \(text)", "one of \(known.joined(separator: ", ")), of torch.nn\(suggestion)")
        }
        return found
    }
}
