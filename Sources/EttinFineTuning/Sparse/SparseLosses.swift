import EttinJSON
import EttinModel
package import EttinRecipes
import EttinTraining

/// Makes losses of sparse models of what a recipe says: a name, or a mapping of a `type` and the arguments of
/// sentence-transformers.
///
/// ```yaml
/// loss:
///   type: SpladeLoss
///   loss: SparseMultipleNegativesRankingLoss
///   query_regularizer_weight: 5e-5
///   document_regularizer_weight: 3e-5
/// ```
package enum SparseLosses {
    /// Makes an objective.
    ///
    /// - Parameters:
    ///   - node: A name or a mapping; nil for the loss of sentence-transformers' trainer, a SpladeLoss of
    ///     SparseMultipleNegativesRankingLoss.
    ///   - context: The key of the loss and the file, for messages.
    /// - Returns: The objective.
    /// - Throws: `TrainingError` that names the argument, its value and what is expected.
    package static func make(
        _ node: YAMLNode?,
        _ context: EmbeddingLosses.Context = EmbeddingLosses.Context()
    ) throws -> SparseObjective {
        try TrainingError.translatingRecipe {
            try catalogue.loss(node ?? YAMLNode(defaultLoss), context)
        }
    }

    /// What a recipe may say of a loss without an effect, a sentence each.
    package static func notices(_ objective: SparseObjective) -> [String] {
        guard let regularization = objective.regularization else { return [] }
        if regularization.treatsAllAsDocuments {
            let reason = "use_document_regularizer_only makes every column documents"
            return regularization.queryWeight == nil ? [] : ["no effect of query_regularizer_weight: \(reason)"]
        }
        guard regularization.queryWeight == nil else { return [] }
        return ["\(objective.name) has no query_regularizer_weight: nothing keeps the weights of queries few"]
    }

    private static let defaultLoss: JSONValue = [
        "type": "SpladeLoss", "loss": "SparseMultipleNegativesRankingLoss", "query_regularizer_weight": 5e-5,
        "document_regularizer_weight": 3e-5,
    ]

    // MARK: - Names

    private static let regularizing = [
        "loss", "document_regularizer_weight", "query_regularizer_weight", "document_regularizer", "query_regularizer",
        "document_regularizer_threshold", "query_regularizer_threshold", "use_document_regularizer_only",
    ]

    private static let catalogue = LossCatalogue<SparseObjective>(
        entries: [
            ("SpladeLoss", regularizing, { try $0.splade() }),
            ("CachedSpladeLoss", regularizing + EmbeddingLosses.cutting, { try $0.splade(cache: $0.cache()) }),
            (
                "SparseMSELoss", ["projection_dim"],
                { SparseObjective(name: $0.name, loss: try $0.meanSquaredError()) }
            ),
        ],
        unsupported: ["CSRLoss", "CSRReconstructionLoss"],
        misplaced: Dictionary(
            uniqueKeysWithValues: inner.entries.filter { $0.name != "SparseMSELoss" }.map { entry in
                (
                    entry.name,
                    "{type: SpladeLoss, loss: \(entry.name), document_regularizer_weight: 3e-5, "
                        + "query_regularizer_weight: 5e-5}: it is not used alone"
                )
            } + [("FlopsLoss", "SpladeLoss, which has it as the regularizer of documents and queries")]
        ),
        example: "SpladeLoss"
    )

    /// The losses that SpladeLoss regularises, with the defaults that sentence-transformers has for sparse models.
    fileprivate static let inner = LossCatalogue<any EmbeddingLoss>(
        entries: [
            (
                "SparseMultipleNegativesRankingLoss", EmbeddingLosses.contrast + EmbeddingLosses.choices,
                {
                    var defaults = MultipleNegativesRankingLoss()
                    (defaults.scale, defaults.similarity) = (1, .dot)
                    return try $0.multipleNegativesRanking(defaults)
                }
            ),
            ("SparseMarginMSELoss", ["similarity_fct"], { try $0.marginMSE() }),
            (
                "SparseDistillKLDivLoss",
                ["similarity_fct", "temperature", "student_temperature", "teacher_temperature"],
                { try $0.distillKLDiv(temperature: 2) }
            ),
            ("SparseCoSENTLoss", ["scale", "similarity_fct"], { try $0.coSENT() }),
            ("SparseAnglELoss", ["scale"], { try $0.angle() }),
            ("SparseTripletLoss", ["distance_metric", "triplet_margin"], { try $0.triplet() }),
            (
                "SparseCosineSimilarityLoss", ["loss_fct", "cos_score_transformation"],
                { try $0.cosineSimilarity() }
            ),
            ("SparseMSELoss", ["projection_dim"], { try $0.meanSquaredError() }),
        ],
        unsupported: [],
        misplaced: [
            "FlopsLoss": "a loss that it regularizes, such as SparseMultipleNegativesRankingLoss",
            "SpladeLoss": "a loss of another kind, such as SparseMultipleNegativesRankingLoss",
            "CachedSpladeLoss": "a loss of another kind, such as SparseMultipleNegativesRankingLoss",
        ],
        example: "SparseMultipleNegativesRankingLoss"
    )
}

extension LossArguments {
    /// A loss with what keeps weights few.
    fileprivate func splade(cache: GradientCacheSettings? = nil) throws -> SparseObjective {
        var context = context
        context.path = RecipeSection.joined(context.path, "loss")
        let node = try section.require(
            "loss",
            section.node("loss"),
            "the loss that is regularized, such as SparseMultipleNegativesRankingLoss"
        )
        let loss = try SparseLosses.inner.loss(node, context)
        let expected = "a number of 0 or more"
        var regularization = SpladeRegularization(
            documentWeight: try section.require(
                "document_regularizer_weight",
                section.double("document_regularizer_weight", expected) { $0 >= 0 },
                "\(expected), such as 3e-5"
            ),
            queryWeight: try section.double("query_regularizer_weight", expected) { $0 >= 0 }
        )
        regularization.documentThreshold = try threshold("document")
        regularization.queryThreshold = try threshold("query")
        regularization.treatsAllAsDocuments = try section.bool("use_document_regularizer_only") ?? false
        return SparseObjective(name: name, loss: loss, regularization: regularization, cache: cache)
    }

    /// The threshold of a regulariser, its own or that of the one the recipe names.
    private func threshold(_ part: String) throws -> Double? {
        func number(_ section: RecipeSection, _ key: String) throws -> Double? {
            try section.double(key, "a number of weights, 0 or more") { $0 >= 0 }
        }
        let own = try number(section, "\(part)_regularizer_threshold")
        guard let node = section.node("\(part)_regularizer") else { return own }
        let expected = "FlopsLoss, or {type: FlopsLoss, threshold: 10}"
        let type: YAMLNode? = if case .mapping = node.content { node["type"] } else { node }
        guard case .scalar("FlopsLoss", _)? = type?.content else {
            throw section.wrong("\(part)_regularizer", node, expected)
        }
        guard own == nil else {
            throw section.problem(
                "\(part)_regularizer_threshold",
                "is given beside \(part)_regularizer",
                "one of them: {type: FlopsLoss, threshold: 10} has a threshold of its own"
            )
        }
        guard case .mapping = node.content else { return nil }
        return try number(section.section("\(part)_regularizer", ["type", "threshold"]), "threshold")
    }
}
