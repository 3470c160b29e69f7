import EttinCorpus
import EttinFiles
import EttinModel
public import EttinTokenizer
import EttinTraining
public import Torch

/// Trains a model, or both halves of a pair from one stream of data.
///
/// ```swift
/// let session = try PretrainingSession([encoder, decoder], tokenizer: tokenizer)
/// let outcome = try session.run()
/// ```
/// The halves of a pair take each step on the same samples, one after the other, and save at the same batches.
public final class PretrainingSession {
    /// What a session is given besides its recipes.
    public struct Options {
        /// The tokenizer that is written into checkpoints and names the special tokens; nil for the suite's ids.
        public var tokenizer: Tokenizer?
        /// Where it came from, for `run.json`.
        public var tokenizerFolder: String?
        /// Where models are trained.
        public var device = Device.cpu
        /// Receives lines of progress; nil for silence.
        public var onLine: ((String) -> Void)?
        /// Asked between steps whether to save and stop.
        public var shouldStop: () -> Bool = { false }

        /// Creates options without a tokenizer, silent.
        public init() {}
    }

    /// How a session ended.
    public enum Outcome: Hashable, Sendable {
        /// All runs have their full length.
        case finished
        /// It was asked to stop, and everything is saved.
        case interrupted
    }

    /// The runs, in the order of their recipes.
    public let runs: [PretrainingRun]
    private let options: Options
    private var batches: BatchSource

    /// Prepares the runs: data are opened, models made or loaded, files begun or continued.
    ///
    /// - Parameters:
    ///   - recipes: One recipe, or those of both halves of a pair, which must agree in all that decides the data.
    ///   - options: What else there is to say.
    /// - Throws: `TrainingError` for contradictions, `CorpusError` for the data, `CheckpointError` for models.
    public init(_ recipes: [PretrainingRecipe], _ options: Options = Options()) throws {
        precondition(1...2 ~= recipes.count, "a session of \(recipes.count) recipes")
        self.options = options
        let shared = recipes[0]
        if recipes.count == 2 { try PairAgreement.check(recipes[0], recipes[1]) }
        let specials = try SpecialTokens(naming: options.tokenizer)
        let configurations = try recipes.map { try Self.configuration($0, options.tokenizer, specials) }
        let data = try TrainingData(shared.data)
        try Self.checkBatches(of: data, shared)
        let heldOut = try shared.evalData.map(TrainingData.init)
        let readings = try zip(recipes, configurations).map { try Self.reading($0, $1, specials) }
        let microbatches = shared.microbatches
        let folders = try Self.folders(recipes)
        let stores = zip(recipes, folders).map {
            CheckpointStore(folder: $1.path, tag: $0.checkpoints.phase.rawValue)
        }
        let facts = recipes.map { Self.facts($0, data) }
        let resumed = try Self.resumed(recipes, stores, folders)
        let starts = try recipes.indices.map { index in
            let start = try RunStart(
                recipes[index],
                configuration: configurations[index],
                resumingAt: resumed[index],
                facts: facts[index]
            )
            if options.device != .cpu { try withRecovery { start.model.convert(on: options.device) } }
            return start
        }
        let optimizations = try zip(recipes, starts).map(RunOptimization.init)
        let contexts = try recipes.indices.map { index in
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
            return RunContext(
                folder: folders[index],
                store: stores[index],
                length: try RunLength(
                    recipe,
                    batchesPerEpoch: data.batchesPerEpoch(of: recipe.globalTrainBatchSize)
                ),
                tokenizer: try options.tokenizer.map { recipe.kind == .decoder ? try $0.forDecoder() : $0 },
                tokenizerFolder: options.tokenizerFolder,
                heldOut: evaluation,
                facts: facts[index],
                label: recipes.count > 1 ? recipe.kind.name : nil,
                onLine: options.onLine
            )
        }
        let position = starts[0].position
        let vocabularySize = configurations.map(\.vocabularySize).min() ?? 0
        let batchSize = try shared.batchSize()
        batches = try BatchSource(workers: shared.data.workerCount, ahead: shared.data.prefetchFactor) {
            try StepBatches(
                data,
                from: position,
                specials: specials,
                vocabularySize: vocabularySize,
                halves: readings,
                batchSize: batchSize,
                microbatchSize: microbatches
            )
        }
        // Only now, with nothing left that could be wrong in the recipes.
        runs = try recipes.indices.map {
            try PretrainingRun(recipes[$0], start: starts[$0], optimization: optimizations[$0], context: contexts[$0])
        }
        // A recipe that keeps fewer than before makes room at once.
        for run in runs { try run.prune() }
    }

    // MARK: Running

    /// The newest checkpoint of each run.
    ///
    /// - Returns: Folders in the order of the runs; nil for a run without one.
    /// - Throws: `TrainingError` when a folder cannot be read.
    public func newestCheckpoints() throws -> [String?] { try runs.map { try $0.store.newest()?.path } }

    /// Trains until the runs have their full length, or it is asked to stop.
    ///
    /// - Returns: How it ended.
    /// - Throws: `TrainingError` when a loss is not a number, and whatever reading data and writing checkpoints throw. The
    ///   state before a step that failed is saved, if it can be; the checkpoints that are complete stay.
    public func run() throws -> Outcome {
        defer { batches.cancel() }
        // The halves of a pair are evaluated and saved at the same batches, so one clock decides, even on seconds.
        let lead = runs[0]
        while !lead.isFinished {
            if options.shouldStop() {
                try save()
                return .interrupted
            }
            let before = runs.map(\.clock)
            let begin = ContinuousClock.now
            let batch = try nextBatch()
            var waited = (ContinuousClock.now - begin) / .seconds(1)
            for (index, run) in runs.enumerated() {
                try train(run, batch.halves[index], batch, waited: waited)
                waited = 0
            }
            for (run, clock) in zip(runs, before)
            where lead.isFinished || run.crosses(run.recipe.evalInterval, since: clock) {
                try run.evaluate()
            }
            if lead.isFinished || lead.crosses(lead.recipe.checkpoints.saveInterval, since: before[0]) { try save() }
        }
        for run in runs { try run.finish() }
        return .finished
    }

    // All are saved before any old checkpoint goes: there is always one that all have.
    private func save() throws {
        for run in runs { try run.save() }
        for run in runs { try run.prune() }
    }

    /// Takes the next batch from the stream, for the next step.
    ///
    /// - Throws: `TrainingError` at the end of an explicit order, `CorpusError` when a sample cannot be read or holds what
    ///   the model cannot; what was trained is saved then.
    package func nextBatch() throws -> StepBatch {
        do {
            if let batch = try batches.next() { return batch }
            throw TrainingError(
                .missing,
                "order_path",
                found: "ends after \(runs[0].clock.batch) batches",
                expected: "as many as max_duration takes"
            )
        } catch {
            if runs[0].clock.batch > 0 { try save() }
            throw error
        }
    }

    private func train(
        _ run: PretrainingRun,
        _ microbatches: [TrainingBatch],
        _ batch: StepBatch,
        waited: Double
    ) throws {
        let before = run.clock
        do {
            try run.train(on: microbatches, of: batch, waited: waited)
        } catch let error as TrainingError where error.kind == .diverged {
            throw TrainingError(
                .diverged,
                "\(run.recipe.kind.name), batch \(before.batch + 1): \(error.place)",
                found: "\(error.found); \(try saved(run, insteadOf: before.batch + 1))",
                expected: error.expected
            )
        }
    }

    /// Saves the runs that have not taken a step at which one of them went wrong, and says so.
    private func saved(_ failed: PretrainingRun, insteadOf batch: Int) throws -> String {
        guard try failed.hasFiniteWeights() else {
            let newest = try failed.store.newest().map { "the newest checkpoint is \($0.path)" }
            return "the weights before it are no numbers either, and " + (newest ?? "there is no checkpoint")
        }
        for run in runs where run.clock.batch < batch { try run.save() }
        return "the state before it is saved in \(failed.store.path(batch: batch - 1))"
    }

    // MARK: Preparing

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
                found: "is to be that of the tokenizer, and there is none",
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
    ) throws -> HalfReading {
        guard case .masked(let probability) = recipe.objective else {
            return HalfReading(appendsEnd: false, objective: CausalObjective())
        }
        let objective = try MaskedObjective(
            probability: isEvaluation ? recipe.evalMaskProbability : probability,
            seed: recipe.seed,
            vocabularySize: configuration.vocabularySize,
            specials: specials
        )
        return HalfReading(appendsEnd: true, objective: objective)
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
    private static func facts(_ recipe: PretrainingRecipe, _ data: TrainingData) -> [String: String] {
        var facts = [
            "model": recipe.kind.name, "objective": recipe.objective.name, "seed": "\(recipe.seed)",
            "max_seq_len": "\(recipe.data.maxSequenceLength)",
            "global_train_batch_size": "\(recipe.globalTrainBatchSize)",
            "batch_size_warmup": recipe.batchSizeGrowth, "optimizer.name": recipe.optimizer.name.rawValue,
            "rules.token_counting": recipe.rules.tokenCounting.rawValue,
        ]
        facts.merge(data.facts) { $1 }
        return facts
    }

    /// The checkpoints to go on from: the newest that all runs have.
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
            // What a run leaves that was killed before its first checkpoint is nothing to go on with.
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
                expected: (isResumed ? "" : "autoresume=true to go on with it, ")
                    + "save_overwrite=true to replace it, or another folder"
            )
        }
        return recipes.map { _ in nil }
    }
}

extension PretrainingRecipe {
    /// The size of a microbatch in training.
    var microbatches: MicrobatchPlan.Size {
        if let maxTokensPerMicrobatch { return .tokens(maxTokensPerMicrobatch) }
        // Unless the recipe says: enough tokens to fill the products, and few enough for any machine.
        return microbatchSize.map { .sequences($0) } ?? .tokens(max(8192, data.maxSequenceLength))
    }

    /// The size of a microbatch in evaluation.
    var evalMicrobatches: MicrobatchPlan.Size {
        evalMicrobatchSize.map { .sequences($0) } ?? .tokens(max(8192, data.maxSequenceLength))
    }

    /// How the batch grows, in words.
    var batchSizeGrowth: String {
        guard let batchSizeWarmup, rules.batchSizeWarmup == .intended, batchSizeWarmup.tokens > 0 else { return "none" }
        return "from \(batchSizeWarmup.minSize) over \(batchSizeWarmup.tokens) tokens"
    }

    /// The number of samples of a batch.
    ///
    /// - Throws: `CorpusError` for an impossible warm-up.
    func batchSize() throws -> BatchLoader.BatchSize {
        guard let batchSizeWarmup, rules.batchSizeWarmup == .intended, batchSizeWarmup.tokens > 0 else {
            return .constant(globalTrainBatchSize)
        }
        return .warmup(
            try BatchSizeWarmup(
                smallest: batchSizeWarmup.minSize,
                largest: globalTrainBatchSize,
                tokens: batchSizeWarmup.tokens
            )
        )
    }
}

// MARK: -

/// Batches from a thread of its own, or made when they are asked for.
private struct BatchSource {
    private var stream: StepBatches?
    private let prefetcher: Prefetcher<StepBatch>?

    init(workers: Int, ahead: Int, make: @escaping @Sendable () throws -> StepBatches) throws {
        guard workers > 0 else {
            stream = try make()
            prefetcher = nil
            return
        }
        // One thread makes batches a thousand times faster than a model reads them; more workers reach further ahead.
        var stream: StepBatches?
        prefetcher = Prefetcher(capacity: max(1, workers * ahead)) {
            if stream == nil { stream = try make() }
            return try stream?.next()
        }
    }

    mutating func next() throws -> StepBatch? {
        if let prefetcher { return try prefetcher.next() }
        return try stream?.next()
    }

    func cancel() { prefetcher?.cancel() }
}
