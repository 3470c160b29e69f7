import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinRecipes
public import EttinTables
import EttinTokenizer
public import EttinTraining
public import Torch

/// Fine-tunes an embedding model.
///
/// ```swift
/// let session = try EmbeddingFineTuning(EmbeddingRecipe(path: "recipe.yaml"))
/// if try session.run() == .finished { print(session.finalFolder) }
/// ```
/// A run that is killed anywhere is resumed from its newest checkpoint to the same bits.
public final class EmbeddingFineTuning {
    /// Options of a session.
    public struct Options {
        /// Finds the folder of a model by what a recipe names it; a name on the Hub is downloaded by who can.
        public var modelFolder: (String) throws -> String = { $0 }
        /// Finds the folder of a data set by what a recipe names it, with files by patterns.
        public var dataFolder: (_ name: String, _ patterns: [String]) throws -> String = { name, _ in name }
        /// Opens what a recipe names as one table.
        public var table: (_ references: [String]) throws -> TableView
        /// Where the model is trained.
        public var device = Device.cpu
        /// Receives lines of progress and notices; nil for silence.
        public var onLine: ((String) -> Void)?
        /// Asked between steps whether to save and stop.
        public var shouldStop: () -> Bool = { false }

        /// Creates options without a network, silent.
        ///
        /// - Parameter table: Opens what a recipe names as one table; nil for files and folders of this machine.
        public init(table: ((_ references: [String]) throws -> TableView)? = nil) {
            self.table = table ?? { try TableOpening().open($0) }
        }
    }

    /// The plan of the run.
    public let plan: FineTuningPlan
    /// The folder of the finished model.
    public let finalFolder: String
    /// What the recipe names without an effect, and what is odd about the data.
    public let notices: [String]
    /// The trainer of the run.
    package let trainer: Trainer<EmbeddingTask>
    private let files: EmbeddingFiles
    private let options: Options
    /// Whether steps were taken that are none of the run.
    private var isMeasured = false

    /// Prepares a run: data are opened and checked, the model loaded, its checkpoint read where it is resumed.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - options: Where names lead, and callbacks.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, `CheckpointError`,
    ///   `TokenizerError` and `InferenceError` for the model.
    public init(_ recipe: EmbeddingRecipe, _ options: Options = Options()) throws {
        self.options = options
        var arguments = recipe.arguments
        arguments.outputFolder = FilePath.expandingHome(arguments.outputFolder)
        var recipe = recipe
        recipe.arguments = arguments
        let resumed = try FineTuningFolder(arguments).resumed()
        let model = try Self.model(recipe, resumed: resumed?.path, options)
        let pipeline = try TextEmbeddingPipeline(training: model)
        if let length = recipe.maxSequenceLength, pipeline.preparer.limit < length {
            throw TrainingError(
                .invalidOption,
                "max_seq_length",
                found: "is \(length)",
                expected: "at most \(pipeline.preparer.limit), which tokenizer and model of \(recipe.model) take"
            )
        }
        let maxTokens = pipeline.preparer.limit
        model.settings.maxSequenceLength = maxTokens
        let objectives = try EmbeddingObjectives(recipe, modelFolder: options.modelFolder)
        let reading = EmbeddingBatches.Reading(
            preparer: pipeline.preparer,
            truncatesLeft: try pipeline.truncatesLeft(nil),
            keepsTexts: objectives.readsTexts
        )
        let data = try EmbeddingData(recipe, options.table)
        var notices = recipe.notices + model.settings.notices + data.notices
        notices += try data.check(objectives, width: model.dimensions)
        let batches = try EmbeddingBatches(data.train, reading, recipe.sampling(isEvaluation: false))
        try Self.check(batches, arguments)
        let length = try arguments.length(microbatches: batches.sampling.nominalBatchCount, rows: batches.rowCount)
        var settings = try arguments.trainerSettings(length)
        settings.onLine = options.onLine
        let strategies = settings.strategies
        let card = EmbeddingCard(
            recipe: recipe,
            lossNames: objectives.names,
            rowCount: batches.rowCount,
            parameterCount: model.parameterCount,
            maxTokens: maxTokens
        )
        files = EmbeddingFiles(
            recipe: recipe,
            tokenizer: pipeline.tokenizer,
            maxTokens: maxTokens,
            card: card
        )
        let datasets = try data.evaluation.map { set in
            EmbeddingEvaluation.Dataset(
                name: set.dataset,
                batches: try EmbeddingBatches([set], reading, recipe.sampling(isEvaluation: true), isSingle: true)
            )
        }
        let measures = try recipe.measures(
            EvaluatorData(
                table: data.evaluation.first?.table,
                open: { try options.table([$0]) },
                folder: options.dataFolder
            )
        )
        notices += measures.notices
        let evaluator = measures.evaluator
        let measuring: Precision =
            arguments.usesBFloat16 || arguments.evaluatesInBFloat16 ? .mixedBFloat16 : .full
        let evaluation: EmbeddingEvaluation? =
            datasets.isEmpty && evaluator == nil
            ? nil
            : EmbeddingEvaluation(
                datasets: datasets,
                evaluator: evaluator,
                vectors: try ModelInTraining(
                    model,
                    preparer: pipeline.preparer,
                    precision: measuring,
                    name: recipe.model
                ),
                batchSize: arguments.evaluationBatchSize,
                precision: measuring,
                folder: FilePath.joined(arguments.outputFolder, EmbeddingFiles.tableFolder),
                epoch: { clock in strategies?.epoch(at: clock) ?? Double(clock.epoch) }
            )
        if options.device != .cpu { try withRecovery { model.convert(on: options.device) } }
        model.setRequiresGradient(true)
        let identity = Self.runIdentity(recipe, objectives, batches, maxTokens: maxTokens)
        let start =
            try resumed.map {
                try InitialTrainerState(
                    resuming: $0,
                    runIdentity: identity,
                    stateFile: TrainerState.strategiesFileName,
                    keys: RunKeys(
                        length: arguments.maxSteps == nil ? "num_train_epochs" : "max_steps",
                        folder: "output_dir"
                    )
                )
            } ?? InitialTrainerState(settings.optimizer)
        let task = try EmbeddingTask(
            EmbeddingTask.Parts(
                model: model,
                objectives: objectives,
                grouping: try ParameterGrouping(model, arguments.rateRules),
                batches: batches,
                evaluation: evaluation,
                files: files,
                runIdentity: identity,
                totalSteps: length.totalSteps
            ),
            arguments,
            from: start
        )
        try task.prepare()
        trainer = try Trainer(task, settings, from: start)
        plan = try FineTuningPlan(recipe, length, batches, model: model, objectives: objectives, maxTokens: maxTokens)
        finalFolder = FilePath.joined(arguments.outputFolder, EmbeddingFiles.finalFolder)
        self.notices = notices
    }

    // MARK: Running

    /// Trains until the run reaches its length, or the session is asked to stop, and writes the finished model.
    ///
    /// - Returns: How it ended.
    /// - Throws: As ``/EttinTraining/Trainer/run(while:)``, and what writing the finished model throws: the run can be
    ///   resumed then.
    public func run() throws -> TrainingOutcome {
        precondition(!isMeasured, "EmbeddingFineTuning: a session that was measured cannot be run")
        for notice in notices { options.onLine?(notice) }
        let outcome: TrainingOutcome
        do {
            outcome = try trainer.run { !options.shouldStop() }
        } catch let error as TrainingError where error.kind == .diverged {
            throw TrainingError(
                .diverged,
                error.place,
                found: error.found,
                expected: "a number; a lower learning_rate, a longer warm-up or a lower max_grad_norm may help"
            )
        }
        if outcome == .finished {
            _ = try files.writeFinal(trainer.task.embeddingModel, trainer.progress, reports: trainer.task.reports)
        }
        return outcome
    }

    /// The plan with the time and memory of a few steps on the first batches, of which nothing is written.
    ///
    /// The model has changed then, so this session cannot be run any more.
    ///
    /// - Returns: The plan.
    /// - Throws: What reading batches and taking steps throw.
    public func measuredPlan() throws -> FineTuningPlan {
        var plan = plan
        plan.measurement = try trainer.measure()
        isMeasured = true
        return plan
    }

    /// How far the run has come, and what it has measured and logged.
    public var progress: RunProgress { trainer.progress }

    /// The newest checkpoint of the run.
    ///
    /// - Returns: Its folder; nil where there is none.
    /// - Throws: `TrainingError` when the folder cannot be read.
    public func newestCheckpoint() throws -> String? { try trainer.store.newest()?.path }

    // MARK: Preparing

    private static func model(
        _ recipe: EmbeddingRecipe,
        resumed: String?,
        _ options: Options
    ) throws -> EmbeddingModel {
        let folder = try resumed ?? options.modelFolder(recipe.model)
        var model = try EmbeddingModel(
            folder: folder,
            poolings: resumed == nil ? recipe.poolings : nil,
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
        for (name, text) in recipe.modelPrompts { model.settings.prompts[name] = text }
        if let name = recipe.defaultPromptName {
            guard model.settings.prompts[name] != nil || ["query", "document"].contains(name) else {
                throw TrainingError(
                    .invalidOption,
                    "default_prompt_name",
                    found: "is \(quoted(name))",
                    expected: "a name of model_prompts, or of a prompt of \(recipe.model)"
                )
            }
            model.settings.defaultPromptName = name
        }
        return model
    }

    /// That the data fills a batch.
    private static func check(_ batches: EmbeddingBatches, _ arguments: TrainingArguments) throws {
        let rows = batches.sets.map(\.rowCount).max() ?? 0
        guard arguments.trainBatchSize > rows else { return }
        throw TrainingError(
            .invalidOption,
            "per_device_train_batch_size",
            found: "is \(arguments.trainBatchSize), but train_dataset has \(rows) rows",
            expected: "at most that many"
        )
    }

    /// The loss of a recipe without arguments that change memory and progress alone.
    private static func numbers(of loss: JSONValue) -> JSONValue {
        guard case .object(let members) = loss else { return loss }
        let others = ["mini_batch_size", "mini_batch_num_tokens", "show_progress_bar"]
        let kept = members.filter { !others.contains($0.key) }
        if kept.count == 1, let type = kept.first, type.key == "type" { return type.value }
        return .object(JSONObject(kept.map { ($0.key, numbers(of: $0.value)) }))
    }

    /// What a run that is resumed must share: what decides batches, losses and updates besides the length.
    private static func runIdentity(
        _ recipe: EmbeddingRecipe,
        _ objectives: EmbeddingObjectives,
        _ batches: EmbeddingBatches,
        maxTokens: Int
    ) -> [String: String] {
        let arguments = recipe.arguments
        return [
            "model_name_or_path": recipe.model,
            "loss": recipe.loss.map { Self.numbers(of: $0.node.json).text() }
                ?? objectives.names.joined(separator: ", "),
            "train_dataset": "\(batches.rowCount) rows of "
                + batches.sets.map { ($0.dataset ?? "data") + " " + $0.columnNames.joined(separator: "/") }
                .joined(separator: ", "),
            "per_device_train_batch_size": "\(arguments.trainBatchSize)",
            "gradient_accumulation_steps": "\(arguments.accumulationSteps)",
            "batch_sampler": recipe.batchSampler.rawValue,
            "multi_dataset_batch_sampler": recipe.multiDatasetSampler.rawValue,
            "dataloader_drop_last": "\(arguments.dropsLast)",
            "seed": "\(arguments.seed)",
            "data_seed": "\(arguments.dataSeed ?? arguments.seed)",
            "train_test_split": recipe.trainData.map { set in
                set.split.map { "test_size \($0.testSize) with seed \($0.seed)" } ?? "none"
            }.joined(separator: ", "),
            "train_select": recipe.trainData.map { $0.select.map(String.init) ?? "all" }.joined(separator: ", "),
            "prompts": recipe.prompts?.node.json.text() ?? "none",
            "max_seq_length": "\(maxTokens)",
            "learning_rate": "\(arguments.learningRate)",
            "learning_rate_mapping": arguments.rateRules.map { "\(quoted($0.pattern)): \($0.rate)" }
                .joined(separator: ", "),
            "lr_scheduler_type": "\(arguments.schedule)",
            "weight_decay": "\(arguments.weightDecay)",
            "adam_beta1": "\(arguments.beta1)",
            "adam_beta2": "\(arguments.beta2)",
            "adam_epsilon": "\(arguments.epsilon)",
            "max_grad_norm": "\(arguments.maxGradientNorm ?? 0)",
            "bf16": "\(arguments.usesBFloat16)",
        ]
    }
}
