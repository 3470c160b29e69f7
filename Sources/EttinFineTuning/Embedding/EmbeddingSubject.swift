import EttinEvaluation
import EttinFiles
import EttinInference
import EttinModel
import EttinTokenizer
import EttinTraining
import Torch

extension FineTuningSession {
    /// Prepares the fine-tuning of an embedding model.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public convenience init(_ recipe: EmbeddingRecipe, _ options: Options = Options()) throws {
        try self.init(recipe.settings, options) { folder, isResumed in
            try EmbeddingSubject(recipe, folder, isResumed: isResumed, modelFolder: options.modelFolder)
        }
    }
}

/// An embedding model that is fine-tuned.
final class EmbeddingSubject: TextColumnsSubject {
    let kind = "embedding"
    let lossNames: LossNames
    let maxTokens: Int
    private let recipe: EmbeddingRecipe
    private let model: EmbeddingModel
    private let pipeline: TextEmbeddingPipeline
    private let objectives: DatasetLosses<EmbeddingObjective>
    private let reading: EmbeddingReading

    /// Loads a model.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - folder: The folder of the model.
    ///   - isResumed: Whether that is a checkpoint of the run.
    ///   - modelFolder: Finds the folder of a model, such as a guide.
    /// - Throws: `TrainingError` for a recipe that does not fit the model; what loading the model throws.
    init(
        _ recipe: EmbeddingRecipe,
        _ folder: String,
        isResumed: Bool,
        modelFolder: @escaping (String) throws -> String
    ) throws {
        self.recipe = recipe
        model = try Self.model(recipe, folder, isResumed: isResumed)
        pipeline = try TextEmbeddingPipeline(training: model)
        if let length = recipe.maxSequenceLength, pipeline.preparer.limit < length {
            throw TrainingError(
                .invalidOption,
                "max_seq_length",
                found: "is \(length)",
                expected: "at most \(pipeline.preparer.limit), which tokenizer and model of \(recipe.model) take"
            )
        }
        maxTokens = pipeline.preparer.limit
        model.settings.maxSequenceLength = maxTokens
        objectives = try recipe.objectives(modelFolder: modelFolder)
        lossNames = objectives.names(\.names)
        reading = EmbeddingReading(
            preparer: pipeline.preparer,
            truncatesLeft: try pipeline.truncatesLeft(nil),
            keepsTexts: objectives.all.contains(where: \.readsTexts)
        )
    }

    var module: Module { model }
    var configuration: ModernBERTConfiguration? { model.trunk?.configuration }
    var notices: [String] { model.settings.notices }
    var identity: [String: String] { ["max_seq_length": "\(maxTokens)"] }

    func cache(ofDataset name: String?) -> GradientCacheSettings? { objectives(name).loss.cache }

    func check(_ set: TrainingColumns) throws -> [String] {
        let objective = objectives(set.dataset)
        let notices = try objective.check(
            columns: set.columnNames.count,
            labels: set.labelKind,
            width: model.dimensions
        )
        try set.checkRows(labels: objective.labelValues.map { ($0, "\($0.text), as \(objective.name) takes") })
        return notices
    }

    func prepared(_ rows: [Int], of set: TrainingColumns, step: Int) throws -> PreparedLossBatch {
        try reading.prepared(rows, of: set, step: step)
    }

    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double {
        try objectives(dataset).backward(model, batch, weight: weight, dropout: dropout, precision: precision)
    }

    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue {
        LossValue(try objectives(dataset).value(model, batch, precision: precision))
    }

    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator {
        let recipe = try EvaluatorRecipe(value.node, path: value.path, name: value.name)
        let vectors: any TextVectors = try ModelInTraining(
            model,
            preparer: pipeline.preparer,
            precision: precision,
            name: self.recipe.model
        )
        return BoundEvaluator(try recipe.embeddingEvaluator(data), vectors, notices: recipe.notices)
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
        try assign(EmbeddingModel(folder: folder, poolings: nil, dtype: .float32), fromFolder: folder)
    }

    func describe(_ card: inout ModelCard) {
        card.title = "SentenceTransformer based on \(recipe.model)"
        card.summary =
            "A [sentence-transformers](https://www.SBERT.net) model: it maps texts to vectors of \(model.dimensions) "
            + "dimensions, which are compared by \(model.settings.similarity.rawValue) similarity. Texts are truncated "
            + "to \(maxTokens) tokens."
        card.pipelineTag = "sentence-similarity"
        card.libraryName = "sentence-transformers"
        card.tags = ["sentence-transformers", "sentence-similarity", "feature-extraction", "dense"]
        card.usage = """
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer("path/to/this/folder")
            embeddings = model.encode(["A cat sits.", "A feline rests."])
            print(model.similarity(embeddings, embeddings))
            """
    }

    // MARK: Preparing

    private static func model(
        _ recipe: EmbeddingRecipe,
        _ folder: String,
        isResumed: Bool
    ) throws -> EmbeddingModel {
        var model = try EmbeddingModel(
            folder: folder,
            poolings: isResumed ? nil : recipe.poolings,
            dtype: .float32
        )
        try withRecovery { model.copyBorrowedParameters() }
        if recipe.normalizes, !model.normalizes {
            model = try EmbeddingModel(model.chain.modules + [NormalizeModule()], settings: model.settings)
        }
        if model.chain.router != nil {
            throw TrainingError(
                .unsupported,
                "model_name_or_path",
                found: "is \(recipe.model), which has a Router",
                expected: "a model with one route for all texts"
            )
        }
        if let length = recipe.maxSequenceLength { model.settings.maxSequenceLength = length }
        if let similarity = recipe.similarity { model.settings.similarity = similarity }
        if let size = recipe.truncateDimension {
            guard size <= model.dimensions else {
                throw TrainingError(
                    .invalidOption,
                    "truncate_dim",
                    found: "is \(size)",
                    expected: "at most \(model.dimensions), the width of the model's vectors"
                )
            }
            model.settings.truncateDimension = size
        }
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

extension EmbeddingRecipe {
    /// Makes the losses.
    ///
    /// - Parameter modelFolder: Finds the folder of a model, such as a guide.
    /// - Returns: The losses.
    /// - Throws: `TrainingError` for a loss that is not known, arguments that are wrong, or a data set without a loss; what
    ///   opening a guide throws.
    func objectives(
        modelFolder: @escaping (String) throws -> String
    ) throws -> DatasetLosses<EmbeddingObjective> {
        try DatasetLosses(settings, example: "MultipleNegativesRankingLoss") { node, path in
            try EmbeddingLosses.make(
                node,
                EmbeddingLosses.Context(
                    path: path,
                    file: settings.loss?.name ?? "",
                    seed: UInt64(settings.arguments.seed),
                    guide: { try TextEmbeddingPipeline(folder: modelFolder($0)) }
                )
            )
        }
    }
}
