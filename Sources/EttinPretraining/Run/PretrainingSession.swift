import EttinCorpus
import EttinFiles
import EttinModel
public import EttinTokenizer
public import EttinTraining
public import Torch

/// Trains a model, or both halves of a pair from one stream of data.
///
/// ```swift
/// let session = try PretrainingSession([encoder, decoder])
/// let outcome = try session.run()
/// ```
/// The halves of a pair take each step on the same samples, one after the other, and save at the same batches.
public final class PretrainingSession {
    /// Options of a session.
    public struct Options {
        /// The tokenizer that is written into checkpoints and names the special tokens; nil for the suite's ids.
        public var tokenizer: Tokenizer?
        /// Where it came from, for `run.json`.
        public var tokenizerFolder: String?
        /// Whether a run that is resumed may have another optimizer, masking, precision and the like than before.
        public var acceptsChanges = false
        /// Where models are trained.
        public var device = Device.cpu
        /// Receives lines of progress; nil for silence.
        public var onLine: ((String) -> Void)?
        /// Asked between steps whether to save and stop.
        public var shouldStop: () -> Bool = { false }

        /// Creates options without a tokenizer, silent.
        public init() {}
    }

    /// The trainers of the runs, in the order of their recipes.
    package let trainers: [Trainer<PretrainingRun>]
    private let options: Options
    private let batches: BatchStream

    /// Prepares the runs: data are opened, models made or loaded, files begun or continued.
    ///
    /// - Parameters:
    ///   - recipes: One recipe, or those of both halves of a pair, which must agree in all that decides the data.
    ///   - options: Tokenizer, device and callbacks.
    /// - Throws: `TrainingError` for contradictions, `CorpusError` for the data, `CheckpointError` for models.
    public init(_ recipes: [PretrainingRecipe], _ options: Options = Options()) throws {
        precondition(1...2 ~= recipes.count, "a session of \(recipes.count) recipes")
        self.options = options
        let shared = recipes[0]
        if recipes.count == 2 { try PairAgreement.check(recipes[0], recipes[1]) }
        let specials = try SpecialTokens(naming: options.tokenizer)
        let configurations = try recipes.map { try Self.configuration($0, options.tokenizer, specials) }
        let vocabularySize = configurations.map(\.vocabularySize).min() ?? 0
        let checks = DataChecks(
            recipe: shared,
            vocabularySize: vocabularySize,
            tokenizer: options.tokenizer.map {
                DataChecks.Source(tokenizer: $0, name: options.tokenizerFolder ?? "tokenizer_name")
            }
        )
        var notices = try checks.notices()
        let data = try TrainingData(shared.data)
        try Self.checkBatches(of: data, shared)
        let heldOut = try shared.evalData.map(TrainingData.init)
        let readings = try zip(recipes, configurations).map { try Self.reading($0, $1, specials) }
        let folders = try Self.folders(recipes)
        let stores = zip(recipes, folders).map {
            CheckpointStore(folder: $1.path, tag: $0.checkpoints.phase.rawValue)
        }
        let runIdentity = recipes.map { Self.runIdentity($0, data) }
        let resumed = try Self.resumed(recipes, stores, folders)
        var changesAreKept = [Bool](repeating: false, count: recipes.count)
        let starts = try recipes.indices.map { index in
            var start = try InitialRunState(
                recipes[index],
                configuration: configurations[index],
                resumingAt: resumed[index],
                runIdentity: runIdentity[index]
            )
            if let tokenizer = options.tokenizer {
                try start.check(tokenizer, from: options.tokenizerFolder ?? "tokenizer_name")
            }
            if resumed[index] != nil {
                let changes = try Self.changes(recipes[index], in: folders[index], options, &notices)
                start.take(changes, of: recipes[index])
                changesAreKept[index] = changes.needsAcceptance
            }
            if options.device != .cpu { try withRecovery { start.model.convert(on: options.device) } }
            start.model.setRequiresGradient(true)
            return start
        }
        let position = starts[0].position
        let batchSize = try shared.batchSize()
        let batches = try BatchStream(workers: shared.data.workerCount, ahead: shared.data.prefetchFactor) {
            var settings = data.loaderSettings(specials, readings, batchSize, shared.microbatches)
            settings.vocabularySize = vocabularySize
            return try data.loader(from: position, settings)
        }
        self.batches = batches
        let runs = try recipes.indices.map { index in
            let recipe = recipes[index]
            let evaluation = try heldOut.map { data in
                HeldOutEvaluation(
                    data,
                    HeldOutEvaluation.Settings(
                        specials: specials,
                        vocabularySize: configurations[index].vocabularySize,
                        reading: try Self.reading(recipe, configurations[index], specials, isEvaluation: true),
                        batchSize: recipe.globalEvalBatchSize,
                        microbatchSize: recipe.evalMicrobatches,
                        batchLimit: recipe.evalSubsetBatches,
                        precision: recipe.precision
                    )
                )
            }
            return PretrainingRun(
                recipe,
                starts[index],
                RunResources(
                    folder: folders[index],
                    batches: batches,
                    half: index,
                    tokenizer: try options.tokenizer.map { recipe.kind == .decoder ? try $0.forDecoder() : $0 },
                    tokenizerFolder: options.tokenizerFolder,
                    heldOut: evaluation,
                    keepsDescription: changesAreKept[index],
                    runIdentity: runIdentity[index]
                )
            )
        }
        let settings = try zip(recipes, folders).map { recipe, folder in
            let length = try RunLength(
                recipe.maxDuration,
                schedule: recipe.schedule,
                batchesPerEpoch: data.batchesPerEpoch(of: recipe.globalTrainBatchSize)
            )
            var settings = recipe.trainerSettings(folder: folder, length: length)
            settings.label = recipes.count > 1 ? recipe.kind.name : nil
            settings.onLine = options.onLine
            return settings
        }
        trainers = try runs.indices.map { try Trainer(runs[$0], settings[$0], from: starts[$0].trainer) }
        // Only now, with nothing left that could be wrong in the recipes. All folders first: where one cannot be written,
        // the others stay as they are.
        for trainer in trainers { try trainer.lock() }
        for notice in notices { options.onLine?(notice) }
        for trainer in trainers { try trainer.open() }
        // A recipe that keeps fewer than before makes room at once.
        for trainer in trainers { try trainer.prune() }
    }

    // MARK: Running

    /// The runs, in the order of their recipes.
    package var runs: [PretrainingRun] { trainers.map(\.task) }

    /// How far the runs have come, and what was last measured of each, in the order of their recipes.
    public var progress: [RunProgress] {
        trainers.map { RunProgress(clock: $0.clock, evaluation: $0.evaluation) }
    }

    /// The newest checkpoint of each run.
    ///
    /// - Returns: Folders in the order of the runs; nil for a run without one.
    /// - Throws: `TrainingError` when a folder cannot be read.
    public func newestCheckpoints() throws -> [String?] { try trainers.map { try $0.store.newest()?.path } }

    /// Trains until the runs reach their length, or the session is asked to stop.
    ///
    /// - Returns: How it ended.
    /// - Throws: As ``/EttinTraining/Trainer/run(while:)``.
    public func run() throws -> TrainingOutcome {
        defer { batches.cancel() }
        return try Trainer.runTogether(trainers) { !options.shouldStop() }
    }

    // MARK: Preparing

    /// In what a run that is resumed has another recipe, which is added to the notices.
    ///
    /// - Throws: `TrainingError` for changes that are not accepted.
    private static func changes(
        _ recipe: PretrainingRecipe,
        in folder: RunFolder,
        _ options: Options,
        _ notices: inout [String]
    ) throws -> RecipeChanges {
        let earlier = EarlierRun(folder)
        let changes = RecipeChanges(from: earlier.recipe ?? recipe, to: recipe)
        if !options.acceptsChanges { try changes.check(in: folder) }
        if let problem = earlier.problem {
            notices.append("\(folder.description): \(problem), so the recipe is not compared with that of the run")
        }
        // Both halves of a pair say the same once.
        let all = changes.notices + earlier.notices(threads: TorchRuntime.threadCount, torch: TorchRuntime.version)
        notices += all.filter { !notices.contains($0) }
        return changes
    }

    /// That a pass over the data has a batch.
    private static func checkBatches(of data: TrainingData, _ recipe: PretrainingRecipe) throws {
        guard let count = data.sampleCount, data.batchesPerEpoch(of: recipe.globalTrainBatchSize) == 0 else { return }
        throw TrainingError(
            .invalidOption,
            "global_train_batch_size",
            found: "is \(recipe.globalTrainBatchSize), but \(recipe.data.displayPath) has \(count) samples",
            expected: count == 0 ? "a data set with samples" : "at most as many, or train_loader.drop_last: false"
        )
    }

    private static func configuration(
        _ recipe: PretrainingRecipe,
        _ tokenizer: Tokenizer?,
        _ specials: SpecialTokens
    ) throws -> ModernBERTConfiguration {
        let count = tokenizer?.vocabularySize
        guard count != nil || !recipe.takesVocabularyFromTokenizer else {
            throw TrainingError(
                .missing,
                "model.model_config.vocab_size",
                found: "is \"tokenizer\", but there is no tokenizer",
                expected: "tokenizer_name: the folder of one, or a number"
            )
        }
        let fitted = try recipe.fitted(vocabularySize: count ?? recipe.model.vocabularySize, specials: specials)
        var configuration = fitted.model
        configuration.attentionOutputDropout = recipe.attentionOutputDropout
        try configuration.validate()
        guard !recipe.gradientCheckpointing || configuration.attentionDropout == 0 else {
            throw TrainingError(
                .unsupported,
                "gradient_checkpointing",
                found: "is on together with attention_probs_dropout_prob \(configuration.attentionDropout)",
                expected: "one of them: a layer that is computed again would drop other probabilities"
            )
        }
        return configuration
    }

    private static func reading(
        _ recipe: PretrainingRecipe,
        _ configuration: ModernBERTConfiguration,
        _ specials: SpecialTokens,
        isEvaluation: Bool = false
    ) throws -> SampleReading {
        guard case .masked(let probability) = recipe.objective else {
            return SampleReading(appendsEnd: false, objective: CausalObjective())
        }
        let objective = try MaskedObjective(
            probability: isEvaluation ? recipe.evalMaskProbability : probability,
            seed: recipe.seed,
            vocabularySize: configuration.vocabularySize,
            specials: specials
        )
        return SampleReading(appendsEnd: true, objective: objective)
    }

    private static func folders(_ recipes: [PretrainingRecipe]) throws -> [RunFolder] {
        let paths = try recipes.map { recipe in
            guard let path = recipe.checkpoints.saveFolder, !path.isEmpty else {
                throw TrainingError(
                    .missing,
                    "save_folder",
                    found: "is not given",
                    expected: "the folder of the run, such as save_folder=runs/\(recipe.kind.name)"
                )
            }
            return path
        }
        guard paths.count == 2, paths[0] == paths[1] else { return paths.map(RunFolder.init) }
        return recipes.map { RunFolder(FilePath.joined(paths[0], $0.kind.name)) }
    }

    /// What decides the data of a run besides its length, which may be changed, and what starts its generators.
    private static func runIdentity(_ recipe: PretrainingRecipe, _ data: TrainingData) -> [String: String] {
        var runIdentity = [
            "model": recipe.kind.name, "objective": recipe.objective.name, "seed": "\(recipe.seed)",
            "max_seq_len": "\(recipe.data.maxSequenceLength)",
            "global_train_batch_size": "\(recipe.globalTrainBatchSize)",
            "batch_size_warmup": recipe.batchSizeGrowth, "optimizer.name": recipe.optimizer.name.rawValue,
            "rules.token_counting": recipe.rules.tokenCounting.rawValue,
        ]
        runIdentity.merge(data.runIdentity) { $1 }
        return runIdentity
    }

    /// The checkpoints to resume from: the newest that all runs have.
    ///
    /// - Throws: `TrainingError` when a folder holds what may neither be continued nor replaced.
    private static func resumed(
        _ recipes: [PretrainingRecipe],
        _ stores: [CheckpointStore],
        _ folders: [RunFolder]
    ) throws -> [CheckpointStore.Entry?] {
        let entries = try stores.map { try $0.entries() }
        let isResumed = recipes.allSatisfy(\.checkpoints.autoresume)
        let batches = entries.map { Set($0.map(\.batch)) }
        if isResumed, let batch = batches.dropFirst().reduce(batches[0], { $0.intersection($1) }).max() {
            return entries.map { $0.first { $0.batch == batch } }
        }
        for (index, recipe) in recipes.enumerated() where !recipe.checkpoints.overwrite {
            // What a run leaves that was killed before its first checkpoint is nothing to resume.
            let others = try PretrainingPhase.allCases.flatMap {
                try CheckpointStore(folder: folders[index].path, tag: $0.rawValue).entries()
            }
            let hasSteps = FilePath.fileSize(folders[index].ledger) ?? 0 > 0
            guard !others.isEmpty || (hasSteps && !isResumed) else { continue }
            let newest = others.last.map { " with the checkpoint \(FilePath.lastComponent(of: $0.path))" } ?? ""
            throw TrainingError(
                .invalidOption,
                "save_folder",
                found: "is \(folders[index].path), which holds \(isResumed ? "another" : "a") run\(newest)",
                expected: (isResumed ? "" : "autoresume=true to resume it, ")
                    + "save_overwrite=true to replace it, or another folder"
            )
        }
        return recipes.map { _ in nil }
    }
}
