import EttinEvaluation
import EttinFiles
import EttinInference
import EttinModel
import EttinTokenizer
import EttinTraining
import Torch

extension FineTuningSession {
    /// Prepares the fine-tuning of a sparse model.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public convenience init(_ recipe: SparseRecipe, _ options: Options = Options()) throws {
        try self.init(recipe.settings, options) { folder, _ in
            try SparseSubject(recipe, folder, modelFolder: options.modelFolder)
        }
    }
}

/// A sparse model that is fine-tuned.
final class SparseSubject: TextColumnsSubject {
    let kind = "sparse"
    let lossNames: LossNames
    let maxTokens: Int
    let notices: [String]
    private let recipe: SparseRecipe
    private let model: SparseModel
    private let pipeline: SparseEmbeddingPipeline
    private let objectives: DatasetLosses<SparseObjective>
    private let modelFolder: (String) throws -> String
    /// What the weights of regularisers are multiplied by: 0 before the first update.
    private var factor = 0.0
    private var components: [(key: String, value: Double)] = []

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model, or a checkpoint of the run.
    ///   - modelFolder: Finds the folder of a model, such as an evaluator's teacher.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading the model throws.
    init(_ recipe: SparseRecipe, _ folder: String, modelFolder: @escaping (String) throws -> String) throws {
        self.recipe = recipe
        self.modelFolder = modelFolder
        objectives = try DatasetLosses(recipe.settings, example: "SpladeLoss") { node, path in
            try SparseLosses.make(node, EmbeddingLosses.Context(path: path, file: recipe.loss?.name ?? ""))
        }
        lossNames = objectives.names(\.names)
        var notices = recipe.ownNotices
        for notice in objectives.all.flatMap(SparseLosses.notices) where !notices.contains(notice) {
            notices.append(notice)
        }
        model = try Self.model(recipe, folder)
        if recipe.similarity == nil, let objective = objectives.all.first(where: \.comparesByCosine),
            model.settings.similarity != .cosine
        {
            model.settings.similarity = .cosine
            notices.append(
                "similarity_fn_name of the model becomes cosine, as \(objective.loss.name) compares; "
                    + "similarity_fn_name: dot keeps it"
            )
        }
        pipeline = try SparseEmbeddingPipeline(training: model)
        let limit = pipeline.preparer.limit() ?? 0
        if let length = recipe.maxSequenceLength, limit < length {
            throw TrainingError(
                .invalidOption,
                "max_seq_length",
                found: "is \(length)",
                expected: "at most \(limit), which tokenizer and model of \(recipe.model) take"
            )
        }
        maxTokens = limit
        model.maxSequenceLength = limit
        self.notices = model.settings.notices + notices
    }

    var module: Module { model }
    var configuration: ModernBERTConfiguration? { model.languageModel?.trunk.configuration }
    var identity: [String: String] {
        return [
            "max_seq_length": "\(maxTokens)",
            "pooling_strategy": model.pooling?.strategy.rawValue ?? "none",
            "activation_function": model.pooling?.saturation.rawValue ?? "none",
            "regularizer_scheduler": "\(recipe.schedule.shape) over \(recipe.schedule.warmupRatio)",
        ]
    }

    /// Weights in float32 as the model makes them and as the loss reads them, the gradients of both, and the places of
    /// maxima.
    var rowBytes: Double { 5 * 4 * Double(model.dimensions) }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { objectives(name).cache }

    func check(_ set: TrainingColumns) throws -> [String] {
        let objective = objectives(set.dataset)
        let notices = try objective.check(
            columns: set.columnNames.count,
            labels: set.labelKind,
            width: model.dimensions
        )
        let values = objective.loss.labelValues
        try set.checkRows(labels: values.map { ($0, "\($0.text), as \(objective.loss.name) takes") })
        return notices
    }

    func prepared(_ rows: [Int], of set: TrainingColumns, step: Int) throws -> PreparedLossBatch {
        let columns = try zip(set.texts(ofRows: rows), set.prompts).map { column, prompt in
            try pipeline.preparer.prepare(
                column,
                prompt: prompt.map { .text($0) } ?? .none,
                overlong: pipeline.tokenizer.truncatesLeft ? .keepEnd : .keepStart
            )
        }
        return PreparedLossBatch(columns: columns, labels: try set.labels(ofRows: rows), step: step)
    }

    // MARK: Losses

    func begin(step: Int, of totalSteps: Int) { factor = recipe.schedule.factor(step: step, of: totalSteps) }

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        let value = try objectives(dataset).backward(
            model,
            batch,
            weight: weight,
            factor: factor,
            dropout: dropout,
            precision: precision
        )
        components = value.components
        return value.total
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        try objectives(dataset).value(model, batch, factor: factor, precision: precision)
    }

    func takeComponents() -> [(key: String, value: Double)] {
        defer { components = [] }
        return components
    }

    var loggedSettings: [(key: String, value: Double)] {
        objectives.all.lazy.compactMap(\.regularization).first?.loggedWeights(factor: factor) ?? []
    }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        let recipe = try EvaluatorRecipe(value.node, path: value.path, name: value.name)
        let evaluator = try recipe.sparseEvaluator(data) { try SparseEmbeddingPipeline(folder: modelFolder($0)) }
        let vectors: any SparseTextVectors = try SparseEmbeddingPipeline(
            training: model,
            preparer: pipeline.preparer,
            precision: precision
        )
        return BoundEvaluator(evaluator, vectors, notices: recipe.notices)
    }

    // MARK: Files

    func write(toFolder folder: String) throws {
        try model.save(
            folder: folder,
            format: recipe.layout == .version6 ? .version5 : .version4,
            layout: recipe.layout
        )
        try pipeline.tokenizer.save(to: folder, modelMaxLength: maxTokens)
    }

    func load(fromFolder folder: String) throws {
        try assign(SparseModel(folder: folder, dtype: .float32), fromFolder: folder)
    }

    func describe(_ card: inout ModelCard) {
        card.title = "SPLADE Sparse Encoder based on \(recipe.model)"
        card.summary =
            "A [SPLADE sparse encoder](https://www.sbert.net/docs/sparse_encoder/usage/usage.html) of the "
            + "[sentence-transformers](https://www.SBERT.net) library: it maps texts to weights of the "
            + "\(model.dimensions) entries of its vocabulary, most of them 0, which are compared by "
            + "\(model.settings.similarity.rawValue) similarity. Texts are truncated to \(maxTokens) tokens."
        card.pipelineTag = "feature-extraction"
        card.libraryName = "sentence-transformers"
        card.tags = ["sentence-transformers", "sparse-encoder", "sparse", "splade"]
        // The class of the regularisers is a loss, too.
        if objectives.all.contains(where: { $0.regularization != nil }) { card.tags.append("loss:FlopsLoss") }
        card.usage = """
            from sentence_transformers import SparseEncoder

            model = SparseEncoder("path/to/this/folder")
            queries = model.encode_query(["Where does the cat sit?"])
            documents = model.encode_document(["The cat sits on the mat.", "It rains."])
            print(model.similarity(queries, documents))
            print(model.decode(documents[0], top_k=10))
            """
    }

    // MARK: Preparing

    private static func model(_ recipe: SparseRecipe, _ folder: String) throws -> SparseModel {
        let model = try SparseModel.loadForTraining(folder: folder)
        if let strategy = recipe.strategy { model.pooling?.strategy = strategy }
        if let saturation = recipe.saturation { model.pooling?.saturation = saturation }
        if let length = recipe.maxSequenceLength { model.maxSequenceLength = length }
        if let similarity = recipe.similarity { model.settings.similarity = similarity }
        if let count = recipe.maxActiveDimensions { model.settings.maxActiveDimensions = count }
        let prompts = SavedPrompts(
            prompts: recipe.modelPrompts,
            defaultName: recipe.defaultPromptName,
            model: recipe.model
        )
        (model.settings.prompts, model.settings.defaultPromptName) = try prompts.added(
            to: model.settings.prompts,
            default: model.settings.defaultPromptName
        )
        return model
    }
}
