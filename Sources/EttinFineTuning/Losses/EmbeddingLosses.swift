import EttinInference
package import EttinJSON
import EttinModel
package import EttinRecipes
import EttinTraining

/// Makes losses of what a recipe says: a name, or a mapping of a `type` and the arguments of sentence-transformers.
///
/// ```yaml
/// loss: CoSENTLoss
/// ```
/// ```yaml
/// loss:
///   type: MatryoshkaLoss
///   loss: {type: CachedMultipleNegativesRankingLoss, scale: 30, mini_batch_size: 16}
///   matryoshka_dims: [768, 256, 64]
/// ```
package enum EmbeddingLosses {
    /// The loss of a recipe that names none.
    package static let defaultName = "CoSENTLoss"

    /// What losses need besides their arguments.
    package struct Context {
        /// The prefix of the loss's key in messages.
        package var path: String
        /// The file of the recipe, for messages.
        package var file: String
        /// Random seed, for losses that draw.
        package var seed: UInt64
        /// Opens the folder or the name of a guide model.
        package var guide: (String) throws -> any GuideModel

        /// Describes what losses need.
        ///
        /// - Parameters:
        ///   - path: The key of the loss in the recipe.
        ///   - file: The file of the recipe, for messages.
        ///   - seed: Random seed, for losses that draw.
        ///   - guide: Opens the folder or the name of a guide model.
        package init(
            path: String = "loss",
            file: String = "recipe",
            seed: UInt64 = 42,
            guide: @escaping (String) throws -> any GuideModel = { try TextEmbeddingPipeline(folder: $0) }
        ) {
            self.path = path
            self.file = file
            self.seed = seed
            self.guide = guide
        }
    }

    /// Makes an objective.
    ///
    /// - Parameters:
    ///   - node: A name or a mapping; nil for ``defaultName``.
    ///   - context: What losses need besides their arguments.
    /// - Returns: The objective.
    /// - Throws: `TrainingError` that names the argument, its value and what is expected; what opening a guide throws.
    package static func make(_ node: YAMLNode?, _ context: Context = Context()) throws -> EmbeddingObjective {
        let node = node ?? YAMLNode(.scalar(defaultName, isPlain: true))
        return EmbeddingObjective(try TrainingError.translatingRecipe { try loss(node, context) })
    }

    /// Makes an objective of a value of a JSON document.
    ///
    /// - Parameters:
    ///   - value: A name or an object; null for ``defaultName``.
    ///   - context: What losses need besides their arguments.
    /// - Returns: The objective.
    /// - Throws: As ``make(_:_:)``.
    package static func make(json value: JSONValue, _ context: Context = Context()) throws -> EmbeddingObjective {
        try make(value == .null ? nil : YAMLNode(value), context)
    }

    /// Makes the objective of a name with default arguments.
    ///
    /// - Parameters:
    ///   - name: The name of the class.
    ///   - context: What losses need besides their arguments.
    /// - Returns: The objective.
    /// - Throws: As ``make(_:_:)``.
    package static func make(name: String, _ context: Context = Context()) throws -> EmbeddingObjective {
        try make(YAMLNode(.scalar(name, isPlain: true)), context)
    }

    /// The names of the losses there are.
    package static var names: [String] { entries.map(\.name) }

    // MARK: - Names

    static let contrast = ["scale", "similarity_fct", "gather_across_devices"]
    static let choices = ["directions", "partition_mode", "hardness_mode", "hardness_strength"]
    static let cutting = ["mini_batch_size", "mini_batch_num_tokens", "show_progress_bar"]
    private static let guiding = [
        "guide", "temperature", "margin_strategy", "margin", "contrast_anchors", "contrast_positives",
        "gather_across_devices",
    ]

    private static let catalogue = LossCatalogue<any EmbeddingLoss>(
        entries: entries,
        unsupported: unsupported,
        example: defaultName
    )

    private static let entries: [LossCatalogue<any EmbeddingLoss>.Entry] = [
        ("MultipleNegativesRankingLoss", contrast + choices, { try $0.multipleNegativesRanking() }),
        (
            "CachedMultipleNegativesRankingLoss", contrast + choices + cutting,
            { try $0.multipleNegativesRanking(cache: $0.cache()) }
        ),
        ("MultipleNegativesSymmetricRankingLoss", contrast, { try $0.symmetricRanking() }),
        (
            "CachedMultipleNegativesSymmetricRankingLoss", contrast + cutting,
            { try $0.symmetricRanking(cache: $0.cache()) }
        ),
        ("CoSENTLoss", ["scale", "similarity_fct"], { try $0.coSENT() }),
        ("AnglELoss", ["scale"], { try $0.angle() }),
        ("CosineSimilarityLoss", ["loss_fct", "cos_score_transformation"], { try $0.cosineSimilarity() }),
        ("MarginMSELoss", ["similarity_fct"], { try $0.marginMSE() }),
        (
            "DistillKLDivLoss", ["similarity_fct", "temperature", "student_temperature", "teacher_temperature"],
            { try $0.distillKLDiv() }
        ),
        ("TripletLoss", ["distance_metric", "triplet_margin"], { try $0.triplet() }),
        ("ContrastiveLoss", ["distance_metric", "margin", "size_average"], { try $0.contrastive() }),
        ("OnlineContrastiveLoss", ["distance_metric", "margin"], { try $0.onlineContrastive() }),
        ("MSELoss", ["projection_dim"], { try $0.meanSquaredError() }),
        ("GISTEmbedLoss", guiding, { try $0.gistEmbed() }),
        ("CachedGISTEmbedLoss", guiding + cutting, { try $0.gistEmbed(cache: $0.cache()) }),
        (
            "MatryoshkaLoss", ["loss", "matryoshka_dims", "matryoshka_weights", "n_dims_per_step"],
            { try $0.matryoshka() }
        ),
    ]

    /// Losses of sentence-transformers that there are not here.
    private static let unsupported = [
        "AdaptiveLayerLoss", "BatchAllTripletLoss", "BatchHardSoftMarginTripletLoss", "BatchHardTripletLoss",
        "BatchSemiHardTripletLoss", "ContrastiveTensionLoss", "ContrastiveTensionLossInBatchNegatives",
        "DenoisingAutoEncoderLoss", "EmbedDistillLoss", "GlobalOrthogonalRegularizationLoss", "Matryoshka2dLoss",
        "MegaBatchMarginLoss", "SoftmaxLoss",
    ]

    fileprivate static func loss(_ node: YAMLNode, _ context: Context) throws -> any EmbeddingLoss {
        try catalogue.loss(node, context)
    }
}

// MARK: -

/// The arguments of a loss.
struct LossArguments {
    let name: String
    let section: RecipeSection
    let context: EmbeddingLosses.Context

    // MARK: Losses

    func multipleNegativesRanking(
        _ defaults: MultipleNegativesRankingLoss = MultipleNegativesRankingLoss(),
        cache: GradientCacheSettings? = nil
    ) throws -> any EmbeddingLoss {
        var loss = try ranking(defaults, cache: cache)
        if let directions = try names("directions", MultipleNegativesRankingLoss.Direction.self) {
            guard directions.contains(.queryToDoc) else {
                throw section.problem("directions", "has no query_to_doc", "query_to_doc, and perhaps others")
            }
            loss.directions = directions
        }
        loss.partition = try section.choice("partition_mode", MultipleNegativesRankingLoss.Partition.self) ?? .joint
        if loss.partition == .perDirection,
            let direction = loss.directions.first(where: { $0 == .queryToQuery || $0 == .docToDoc })
        {
            throw section.problem(
                "partition_mode",
                "is per_direction, but directions has \(direction.rawValue), whose candidates have no positive",
                "joint"
            )
        }
        loss.hardness = try section.choice("hardness_mode", MultipleNegativesRankingLoss.Hardness.self)
        loss.hardnessStrength = try section.double("hardness_strength", "a number, 0 or more") { $0 >= 0 } ?? 0
        return loss
    }

    func symmetricRanking(cache: GradientCacheSettings? = nil) throws -> any EmbeddingLoss {
        var loss = try ranking(MultipleNegativesRankingLoss(), cache: cache)
        loss.directions = [.queryToDoc, .docToQuery]
        loss.partition = .perDirection
        return loss
    }

    private func ranking(
        _ defaults: MultipleNegativesRankingLoss,
        cache: GradientCacheSettings?
    ) throws -> MultipleNegativesRankingLoss {
        try refuseGathering()
        var loss = defaults
        loss.name = name
        loss.cache = cache
        loss.scale = try positive("scale") ?? loss.scale
        loss.similarity = try similarity(Similarity.matrices) ?? loss.similarity
        return loss
    }

    func coSENT() throws -> any EmbeddingLoss {
        var loss = CoSENTLoss()
        loss.name = name
        loss.scale = try positive("scale") ?? loss.scale
        if try section.string("similarity_fct") == Similarity.angle {
            loss.similarity = nil
        } else {
            loss.similarity = try similarity(Similarity.pairs, others: [Similarity.angle]) ?? loss.similarity
        }
        return loss
    }

    func angle() throws -> any EmbeddingLoss {
        var loss = AnglELoss(scale: try positive("scale") ?? 20)
        loss.name = name
        return loss
    }

    func cosineSimilarity() throws -> any EmbeddingLoss {
        var loss = CosineSimilarityLoss()
        loss.name = name
        loss.function = try torchName("loss_fct", CosineSimilarityLoss.Function.self) ?? loss.function
        loss.transformation =
            try torchName("cos_score_transformation", CosineSimilarityLoss.Transformation.self) ?? loss.transformation
        return loss
    }

    func marginMSE() throws -> any EmbeddingLoss {
        var loss = MarginMSELoss()
        loss.name = name
        loss.similarity = try similarity(Similarity.pairs) ?? loss.similarity
        return loss
    }

    func distillKLDiv(temperature usual: Double = 1) throws -> any EmbeddingLoss {
        var loss = DistillKLDivLoss()
        loss.name = name
        loss.similarity = try similarity(Similarity.pairs) ?? loss.similarity
        let temperature = try positive("temperature") ?? usual
        loss.studentTemperature = try positive("student_temperature") ?? temperature
        loss.teacherTemperature = try positive("teacher_temperature") ?? temperature
        return loss
    }

    func triplet() throws -> any EmbeddingLoss {
        var loss = TripletLoss()
        loss.name = name
        loss.distance = try metric(TripletLoss.Distance.self) ?? loss.distance
        loss.margin = try section.double("triplet_margin") ?? loss.margin
        return loss
    }

    func contrastive() throws -> any EmbeddingLoss {
        var loss = ContrastiveLoss()
        loss.distance = try metric(SiameseDistance.self) ?? loss.distance
        loss.margin = try section.double("margin") ?? loss.margin
        loss.isAveraged = try section.bool("size_average") ?? loss.isAveraged
        return loss
    }

    func onlineContrastive() throws -> any EmbeddingLoss {
        var loss = OnlineContrastiveLoss()
        loss.distance = try metric(SiameseDistance.self) ?? loss.distance
        loss.margin = try section.double("margin") ?? loss.margin
        return loss
    }

    func meanSquaredError() throws -> any EmbeddingLoss {
        if let node = section.node("projection_dim") {
            throw section.problem(
                "projection_dim",
                "is \(node.shownText), but a projection of embeddings is not supported",
                "no value, and a teacher whose embeddings are as wide as the model's"
            )
        }
        var loss = MSELoss()
        loss.name = name
        return loss
    }

    func gistEmbed(cache: GradientCacheSettings? = nil) throws -> any EmbeddingLoss {
        try refuseGathering()
        let guide = try section.require(
            "guide",
            try section.string("guide"),
            "the folder or the name of an embedding model"
        )
        let strategy = try section.choice("margin_strategy", GISTEmbedLoss.MarginStrategy.self)
        let margin = try section.double("margin")
        let temperature = try positive("temperature")
        let contrastsAnchors = try section.bool("contrast_anchors")
        let contrastsPositives = try section.bool("contrast_positives")
        var loss = GISTEmbedLoss(guide: try context.guide(guide))
        loss.cache = cache
        loss.temperature = temperature ?? loss.temperature
        loss.marginStrategy = strategy ?? loss.marginStrategy
        loss.margin = margin ?? loss.margin
        loss.contrastsAnchors = contrastsAnchors ?? loss.contrastsAnchors
        loss.contrastsPositives = contrastsPositives ?? loss.contrastsPositives
        return loss
    }

    func matryoshka() throws -> any EmbeddingLoss {
        var inner = context
        inner.path = RecipeSection.joined(context.path, "loss")
        let node = try section.require("loss", section.node("loss"), "the loss of embeddings of each size")
        let loss = try EmbeddingLosses.loss(node, inner)
        guard !(loss is MatryoshkaLoss) else {
            throw section.problem("loss", "is a MatryoshkaLoss itself", "a loss of another kind")
        }
        let expected = "a list of whole numbers, 1 or more"
        let items = try section.require("matryoshka_dims", section.node("matryoshka_dims"), expected)
        guard case .list(let list) = items.content, !list.isEmpty else {
            throw section.wrong("matryoshka_dims", items, expected)
        }
        let sizes = try list.map { item in
            guard case .scalar(let text, true) = item.content, let size = RecipeSection.integer(text), size > 0,
                size <= 1 << 24
            else {
                throw section.problem("matryoshka_dims", "has \(item.shownText)", expected)
            }
            return size
        }
        let weights = try section.doubles("matryoshka_weights", count: sizes.count) ?? sizes.map { _ in 1 }
        let perStep = try section.int("n_dims_per_step", in: -1...Int.max)
        if perStep == 0 { throw section.problem("n_dims_per_step", "is 0", "1 or more, or -1 for all") }
        return MatryoshkaLoss(
            loss,
            dimensions: Array(zip(sizes, weights)).map { (size: $0.0, weight: $0.1) },
            sizesPerStep: perStep.flatMap { $0 > 0 ? $0 : nil },
            seed: context.seed
        )
    }

    func cache() throws -> GradientCacheSettings {
        if try section.bool("show_progress_bar") == true {
            throw section.problem("show_progress_bar", "is true, which is not supported", "false")
        }
        return GradientCacheSettings(
            rows: try section.int("mini_batch_size", in: 1...Int.max) ?? 32,
            tokens: try section.int("mini_batch_num_tokens", in: 1...Int.max)
        )
    }

    // MARK: Values

    /// The names of functions of similarity.
    private enum Similarity {
        static let matrices: [String: EmbeddingSimilarity] = [
            "cos_sim": .cosine, "dot_score": .dot, "euclidean_sim": .euclidean, "manhattan_sim": .manhattan,
        ]
        static let pairs: [String: EmbeddingSimilarity] = [
            "pairwise_cos_sim": .cosine, "pairwise_dot_score": .dot, "pairwise_euclidean_sim": .euclidean,
            "pairwise_manhattan_sim": .manhattan,
        ]
        static let angle = "pairwise_angle_sim"
    }

    private func refuseGathering() throws {
        guard try section.bool("gather_across_devices") == true else { return }
        throw section.problem(
            "gather_across_devices",
            "is true, which is not supported",
            "false; a larger batch with gradient caching has as many negatives"
        )
    }

    func positive(_ key: String) throws -> Double? {
        try section.double(key, "a number above 0") { $0 > 0 }
    }

    /// A function of similarity, by its name or by that of the similarity.
    private func similarity(
        _ names: [String: EmbeddingSimilarity],
        others: [String] = []
    ) throws -> EmbeddingSimilarity? {
        guard let name = try section.string("similarity_fct") else { return nil }
        if let similarity = names[name] ?? EmbeddingSimilarity(rawValue: name) { return similarity }
        let known = names.sorted { $0.key < $1.key }.map(\.key) + others
        let suggestion = SpellingSuggestion.nearest(name, known).map { "; did you mean \($0)?" } ?? ""
        throw section.problem("similarity_fct", "is \(name)", known.joined(separator: ", ") + suggestion)
    }

    /// A case of a distance by its name, in any case and with or without that of the enumeration before it.
    private func metric<Metric: RawRepresentable & CaseIterable>(_: Metric.Type) throws -> Metric?
    where Metric.RawValue == String {
        guard let text = try section.string("distance_metric") else { return nil }
        let name = text.split(separator: ".").last.map { $0.uppercased() } ?? text
        guard let metric = Metric(rawValue: name) else {
            let known = Metric.allCases.map(\.rawValue)
            let suggestion = SpellingSuggestion.nearest(name, known).map { "; did you mean \($0)?" } ?? ""
            throw section.problem("distance_metric", "is \(text)", known.joined(separator: ", ") + suggestion)
        }
        return metric
    }

    /// A class of torch.nn by its name, with or without its module.
    private func torchName<Choice: RawRepresentable & CaseIterable>(_ key: String, _: Choice.Type) throws -> Choice?
    where Choice.RawValue == String {
        guard let text = try section.string(key) else { return nil }
        guard let choice = text.split(separator: ".").last.flatMap({ Choice(rawValue: String($0)) }) else {
            let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw section.problem(key, "is \(text)", "one of \(known), of torch.nn")
        }
        return choice
    }

    /// A name or a list of names, none of them twice.
    private func names<Name: RawRepresentable & CaseIterable & Equatable>(
        _ key: String,
        _: Name.Type
    ) throws -> [Name]? where Name.RawValue == String {
        guard let node = section.node(key) else { return nil }
        let items: [YAMLNode] = if case .list(let items) = node.content { items } else { [node] }
        let known = Name.allCases.map(\.rawValue).joined(separator: ", ")
        guard !items.isEmpty else { throw section.problem(key, "is empty", "one or more of \(known)") }
        var names: [Name] = []
        for item in items {
            guard case .scalar(let text, _) = item.content, let name = Name(rawValue: text) else {
                throw section.problem(key, "has \(item.shownText)", "one or more of \(known)")
            }
            if !names.contains(name) { names.append(name) }
        }
        return names
    }
}
