import EttinEvaluation
import EttinFiles
package import EttinInference
package import EttinModel
import EttinTokenizer
import EttinTraining
package import Torch

extension FineTuningSession {
    /// Prepares the fine-tuning of a reranker.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public convenience init(_ recipe: RerankerRecipe, _ options: Options = Options()) throws {
        try self.init(recipe.settings, options) { folder, _ in
            try RerankerSubject(recipe, folder)
        }
    }
}

extension RerankerModel: TextRowsModel {
    /// The scores of pairs, `[pairs, labelCount]`.
    package func rows(
        of texts: [PreparedText],
        task: String?,
        dropout: DropoutContext?,
        precision: Precision
    ) -> Tensor {
        self(PackedBatch(texts.map(\.tokenIDs)), training: dropout, precision: precision)
    }
}

/// A reranker that is fine-tuned.
final class RerankerSubject: TextColumnsSubject {
    let kind = "reranker"
    let lossNames: LossNames
    let maxTokens: Int
    let notices: [String]
    private let recipe: RerankerRecipe
    private let model: RerankerModel
    private let pipeline: RerankingPipeline
    private let losses: DatasetLosses<any RerankerLoss>
    private let reading: RerankerReading

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model, or a checkpoint of the run.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading the model throws.
    init(_ recipe: RerankerRecipe, _ folder: String) throws {
        self.recipe = recipe
        let (model, notices) = try recipe.loadedModel(folder)
        self.model = model
        pipeline = try RerankingPipeline(training: model, maxLength: recipe.maxLength)
        maxTokens = pipeline.preparer.limit
        self.notices = notices + model.settings.notices
        losses = try recipe.losses(labelCount: model.labelCount)
        lossNames = losses.names { [$0.name] }
        reading = RerankerReading(
            preparer: pipeline.preparer,
            truncatesLeft: pipeline.tokenizer.truncatesLeft,
            seed: UInt64(recipe.arguments.seed)
        )
    }

    var module: Module { model }
    var configuration: ModernBERTConfiguration? { model.transformer.trunk.configuration }
    var readsLists: Bool { true }
    var layout: ModuleLayout? { recipe.givenLayout ?? (model.head == .modular ? .version6 : nil) }

    var identity: [String: String] {
        ["max_length": "\(maxTokens)", "num_labels": "\(model.labelCount)", "head": model.head.rawValue]
    }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { losses(name).cache }

    func check(_ set: TrainingColumns) throws -> [String] {
        let loss = losses(set.dataset)
        try loss.check(columns: set.listColumns, labels: set.labelKind, labelCount: model.labelCount)
        let values = loss.readsLabels ? loss.labelValues(labelCount: model.labelCount) : nil
        let isListed = set.labelKind == .lists && loss.readsLabels
        try set.checkRows(
            labels: values.map { ($0, "\($0.text), as \(loss.name) takes") },
            lists: { texts, labels in
                guard isListed, let counts = loss.labelCounts(texts: texts), !counts.contains(labels) else {
                    return nil
                }
                let expected =
                    counts.count == 1
                    ? "\(counts.lowerBound), one for each document"
                    : "\(counts.lowerBound) or \(counts.upperBound)"
                return (set.labelName ?? "", "has \(labels) number\(labels == 1 ? "" : "s")", expected)
            }
        )
        guard set.labelKind != nil, !loss.readsLabels else { return [] }
        return ["\(loss.name) does not read the label column"]
    }

    func prepared(_ rows: [Int], of set: TrainingColumns, step: Int) throws -> PreparedLossBatch {
        try reading.prepared(rows, of: set, step: step, losses(set.dataset).pairing)
    }

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        let loss = losses(dataset)
        return try model.backward(
            batch.columns,
            cache: loss.cache,
            weight: weight,
            dropout: dropout,
            precision: precision
        ) { try loss.backward(Self.lossBatch(batch, $0), weight: weight) }
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        let loss = losses(dataset)
        let value = try model.withRows(of: batch.columns, cache: loss.cache, precision: precision) {
            try loss(Self.lossBatch(batch, $0)).scalar()
        }
        return LossValue(value ?? 0)
    }

    private static func lossBatch(_ batch: PreparedLossBatch, _ scores: [Tensor]) -> RerankerLossBatch {
        RerankerLossBatch(scores: scores, labels: batch.labels, counts: batch.listCounts.first ?? [])
    }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        let recipe = try EvaluatorRecipe(value.node, path: value.path, name: value.name)
        let scores: any PairScores = try RerankerInTraining(
            model,
            maxLength: self.recipe.maxLength,
            precision: precision,
            name: self.recipe.model
        )
        return BoundEvaluator(
            try recipe.rerankingEvaluator(data, labelCount: model.labelCount),
            scores,
            notices: recipe.notices
        )
    }

    // MARK: Files

    func write(toFolder folder: String) throws {
        try model.save(folder: folder, layout: layout)
        try pipeline.tokenizer.save(to: folder, modelMaxLength: maxTokens)
    }

    func load(fromFolder folder: String) throws { try assign(RerankerModel(folder: folder), fromFolder: folder) }

    func describe(_ card: inout ModelCard) {
        let isReranker = model.labelCount == 1
        let task = isReranker ? "text reranking and semantic search" : "text pair classification"
        card.title = "CrossEncoder based on \(recipe.model)"
        card.summary =
            "A [Cross Encoder](https://www.sbert.net/docs/cross_encoder/usage/usage.html) model: it reads two texts together "
            + "and gives \(isReranker ? "a score" : "\(model.labelCount) scores"), for \(task). Pairs are truncated to "
            + "\(maxTokens) tokens."
        card.pipelineTag = isReranker ? "text-ranking" : "text-classification"
        card.libraryName = "sentence-transformers"
        card.tags = ["sentence-transformers", "cross-encoder", "reranker"]
        let ranking = """

            print(model.rank("What is the capital of France?", ["Paris is the capital of France.", "A cat sits."]))
            """
        card.usage =
            """
            from sentence_transformers import CrossEncoder

            model = CrossEncoder("path/to/this/folder")
            print(model.predict([["What is the capital of France?", "Paris is the capital of France."]]))
            """ + (isReranker ? ranking : "")
    }
}

extension RerankerRecipe {
    /// Makes the losses.
    ///
    /// - Parameter labelCount: The number of scores of a pair.
    /// - Returns: The loss of all data sets, or one for each.
    /// - Throws: `TrainingError` for a loss that is not known, arguments that are wrong, or a data set without a loss.
    func losses(labelCount: Int) throws -> DatasetLosses<any RerankerLoss> {
        try DatasetLosses(settings, example: "BinaryCrossEntropyLoss") { node, path in
            try RerankerLosses.make(node, labelCount: labelCount, path: path, file: settings.loss?.name ?? "")
        }
    }

    /// Loads or makes the model.
    ///
    /// - Parameter folder: The folder of the model, or a checkpoint of the run.
    /// - Returns: The model, and what of it is new or left out, a sentence each.
    /// - Throws: `TrainingError` for what does not fit the model; what loading the model throws.
    fileprivate func loadedModel(_ folder: String) throws -> (model: RerankerModel, notices: [String]) {
        var (model, notices): (RerankerModel, [String])
        let kind = try FolderEvidence(folder: folder)?.kind
        switch kind {
        case .maskedLM, .causalLM, .backbone, .embedding, nil:
            (model, notices) = try RerankerModel.made(
                ofEncoder: folder,
                head: head ?? .classification,
                labelCount: labelCount ?? 1,
                pooling: pooling,
                seed: UInt64(settings.arguments.seed)
            )
            if let activation { model.activation = activation }
        default:
            (model, notices) = (try RerankerModel(folder: folder, activation: activation), [])
            try check(model)
            if let head {
                let converted = try model.converted(to: head)
                if head != model.head { notices = ["the model gets a \(head.rawValue) head, of the same scores"] }
                (model, notices) = (converted.model, notices + converted.notices)
            }
        }
        let prompts = SavedPrompts(prompts: modelPrompts, defaultName: defaultPromptName, model: settings.model)
        (model.settings.prompts, model.settings.defaultPromptName) = try prompts.added(
            to: model.settings.prompts,
            default: model.settings.defaultPromptName,
            roles: []
        )
        try model.check(givenLayout ?? (model.head == .modular ? .version6 : .version5))
        return (model, notices)
    }

    /// Refuses what is fixed by a model that has its head already.
    private func check(_ model: RerankerModel) throws {
        if let labelCount, labelCount != model.labelCount {
            throw TrainingError(
                .invalidOption,
                "num_labels",
                found: "is \(labelCount), but \(settings.model) has \(model.labelCount)",
                expected: "\(model.labelCount), or an encoder without a classifier"
            )
        }
        guard let pooling, let own = model.pooling, own != pooling else { return }
        throw TrainingError(
            .invalidOption,
            "classifier_pooling",
            found: "is \(pooling.rawValue), but \(settings.model) has \(own.rawValue)",
            expected: "\(own.rawValue), or an encoder without a classifier"
        )
    }
}
