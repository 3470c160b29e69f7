import EttinEvaluation
import EttinFiles
import EttinJSON
import EttinRecipes
public import EttinTables
public import EttinTraining
public import Torch

/// Fine-tunes a model.
///
/// ```swift
/// let session = try FineTuningSession(EmbeddingRecipe(path: "recipe.yaml"))
/// if try session.run() == .finished { print(session.finalFolder) }
/// ```
/// A run that is killed anywhere is resumed from its newest checkpoint to the same bits.
public final class FineTuningSession {
    /// Options of a session.
    public struct Options {
        /// Finds the folder of a model by what a recipe names it; a name on the Hub is downloaded by who can.
        public var modelFolder: (String) throws -> String = { $0 }
        /// Finds the folder of a data set by what a recipe names it, with files by patterns.
        public var dataFolder: (_ name: String, _ patterns: [String]) throws -> String = { name, _ in name }
        /// Opens a data set of a recipe, all of its rows.
        package var dataset: (DatasetRecipe) throws -> TableView
        /// Where the model is trained.
        public var device = Device.cpu
        /// Receives lines of progress and notices; nil for silence.
        public var onLine: ((String) -> Void)?
        /// Asked between steps whether to save and stop.
        public var shouldStop: () -> Bool = { false }

        /// Creates options without a network, silent.
        ///
        /// - Parameter opening: Opens files, and downloads those of data sets on the Hub; files of this machine by default.
        public init(opening: TableOpening = TableOpening()) {
            self.opening = opening
            dataset = { try $0.table(opening) }
        }

        /// Opens what a recipe names as one table.
        package func table(_ references: [String]) throws -> TableView { try opening.open(references) }

        private let opening: TableOpening
    }

    /// The plan of the run.
    public let plan: FineTuningPlan
    /// The folder of the finished model.
    public let finalFolder: String
    /// What the recipe names without an effect, and what is odd about the data.
    public let notices: [String]
    /// The trainer of the run.
    package let trainer: Trainer<FineTuningTask>
    private let files: FineTuningFiles
    private let subject: any FineTuningSubject
    private let options: Options
    /// Whether steps were taken that are none of the run.
    private var isMeasured = false

    /// Prepares a run: data are opened and checked, the model loaded, its checkpoint read where it is resumed.
    ///
    /// Nothing is written before ``run()``.
    ///
    /// - Parameters:
    ///   - recipe: What recipes of all kinds have.
    ///   - options: Where names lead, and callbacks.
    ///   - subject: Makes what is trained, of the folder of a model and whether that is a checkpoint of the run.
    /// - Throws: `TrainingError` for a recipe or data that do not fit, `TableError` for data, what `subject` throws.
    package init(
        _ recipe: FineTuningSettings,
        _ options: Options,
        subject: (_ folder: String, _ isResumed: Bool) throws -> any FineTuningSubject
    ) throws {
        self.options = options
        var recipe = recipe
        recipe.arguments.outputFolder = FilePath.expandingHome(recipe.arguments.outputFolder)
        let arguments = recipe.arguments
        let resumed = try FineTuningFolder(arguments).resumed()
        let base = resumed == nil || recipe.adapters != nil ? try options.modelFolder(recipe.model) : ""
        let subject = try subject(Self.folder(recipe, base: base, resumed: resumed?.path), resumed != nil)
        let adapters = try recipe.adapters.map { try AdapterTraining($0, to: subject, recipe, base: base) }
        if let resumed { try adapters?.load(folder: resumed.path) }
        self.subject = subject
        let data = try FineTuningData(recipe, subject, options.dataset)
        var notices = recipe.notices + subject.notices + data.notices
        notices += try data.check(subject)
        let batches = try FineTuningBatches(data.train, subject, recipe.sampling(isEvaluation: false))
        try Self.check(batches, arguments)
        let length = try arguments.length(microbatches: batches.sampling.nominalBatchCount, rows: batches.rowCount)
        var settings = try arguments.trainerSettings(length)
        settings.onLine = options.onLine
        let card = FineTuningCard(
            recipe: recipe,
            lossNames: subject.lossNames,
            rowCount: batches.rowCount,
            parameterCount: subject.module.parameterCount
        )
        files = FineTuningFiles(recipe: recipe, kind: subject.kind, card: card)
        let evaluation = try Self.evaluation(recipe, subject, data, options, strategies: settings.strategies)
        notices += evaluation?.evaluator?.notices ?? []
        if options.device != .cpu { try withRecovery { subject.module.convert(on: options.device) } }
        subject.prepareTraining()
        adapters?.freeze()
        var identity = Self.runIdentity(recipe, subject, batches)
        // Runs without adapters have no such entry.
        if let adapters { identity["use_peft"] = adapters.identity }
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
        let task = try FineTuningTask(
            FineTuningTask.Parts(
                subject: subject,
                adapters: adapters,
                grouping: try ParameterGrouping(subject.module, arguments.rateRules),
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
        plan = try FineTuningPlan(recipe, length, batches, subject)
        finalFolder = FilePath.joined(arguments.outputFolder, FineTuningFiles.finalFolder)
        self.notices = notices
    }

    // MARK: Running

    /// Trains until the run reaches its length, or the session is asked to stop, and writes the finished model.
    ///
    /// - Returns: How it ended.
    /// - Throws: As ``/EttinTraining/Trainer/run(while:)``, and what writing the finished model throws: the run can be
    ///   resumed then.
    public func run() throws -> TrainingOutcome {
        precondition(!isMeasured, "FineTuningSession: a session that was measured cannot be run")
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
            _ = try files.writeFinal(subject, trainer.progress, reports: trainer.task.reports)
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

    /// The folder that the model is read from: of the recipe, or of the checkpoint that the run resumes from.
    private static func folder(_ recipe: FineTuningSettings, base: String, resumed: String?) throws -> String {
        guard let resumed else { return base }
        guard recipe.adapters == nil else { return try AdapterTraining.opened(resumed, base: base) }
        try AdapterTraining.requireNone(resumed)
        return resumed
    }

    /// What measures the model during training; nil for nothing.
    private static func evaluation(
        _ recipe: FineTuningSettings,
        _ subject: any FineTuningSubject,
        _ data: FineTuningData,
        _ options: Options,
        strategies: RunStrategies?
    ) throws -> FineTuningEvaluation? {
        let arguments = recipe.arguments
        let datasets = try data.evaluation.map { set in
            FineTuningEvaluation.Dataset(
                name: set.dataset,
                batches: try FineTuningBatches([set], subject, recipe.sampling(isEvaluation: true), isSingle: true)
            )
        }
        let precision: Precision = arguments.usesBFloat16 || arguments.evaluatesInBFloat16 ? .mixedBFloat16 : .full
        let evaluator = try recipe.evaluator.map { value in
            let sources = EvaluatorData(
                table: data.evaluation.first?.table,
                open: { try options.table([$0]) },
                folder: options.dataFolder
            )
            return try TrainingError.translatingRecipe { try subject.evaluator(value, sources, precision: precision) }
        }
        guard !datasets.isEmpty || evaluator != nil else { return nil }
        return FineTuningEvaluation(
            datasets: datasets,
            evaluator: evaluator,
            batchSize: arguments.evaluationBatchSize,
            precision: precision,
            folder: FilePath.joined(arguments.outputFolder, FineTuningFiles.tableFolder),
            epoch: { clock in strategies?.epoch(at: clock) ?? Double(clock.epoch) }
        )
    }

    /// That the data fills a batch.
    private static func check(_ batches: FineTuningBatches, _ arguments: TrainingArguments) throws {
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
        _ recipe: FineTuningSettings,
        _ subject: any FineTuningSubject,
        _ batches: FineTuningBatches
    ) -> [String: String] {
        let arguments = recipe.arguments
        let rates = arguments.rateRules.map { "\(quoted($0.pattern)): \($0.rate)" }
        let splits = recipe.trainData.map { set in
            set.split.map { split in
                let rows = split.rows.map { " of the first \($0) rows" } ?? ""
                return "test_size \(split.testSize) with seed \(split.seed)\(rows)"
            } ?? "none"
        }
        let common: [String: String] = [
            "model_name_or_path": recipe.model,
            "loss": recipe.loss.map { Self.numbers(of: $0.node.json).text() }
                ?? subject.lossNames.all.joined(separator: ", "),
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
            "train_test_split": splits.joined(separator: ", "),
            "train_select": recipe.trainData.map { $0.select.map(String.init) ?? "all" }.joined(separator: ", "),
            "prompts": recipe.prompts?.node.json.text() ?? "none",
            "learning_rate": "\(arguments.learningRate)",
            "learning_rate_mapping": rates.joined(separator: ", "),
            "lr_scheduler_type": "\(arguments.schedule)",
            "weight_decay": "\(arguments.weightDecay)",
            "adam_beta1": "\(arguments.beta1)",
            "adam_beta2": "\(arguments.beta2)",
            "adam_epsilon": "\(arguments.epsilon)",
            "max_grad_norm": "\(arguments.maxGradientNorm ?? 0)",
            "bf16": "\(arguments.usesBFloat16)",
        ]
        return common.merging(subject.identity) { $1 }
    }
}
