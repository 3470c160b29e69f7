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
    private let endsWithData: Bool

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
        let specials = try Self.specials(options.tokenizer)
        let configurations = try recipes.map { try Self.configuration($0, options.tokenizer, specials) }
        let data = try TrainingData(shared.data)
        let heldOut = try shared.evalData.map(TrainingData.init)
        let readings = try zip(recipes, configurations).map { try Self.reading($0, $1, specials) }
        let microbatches = shared.microbatches
        let folders = try Self.folders(recipes)
        let stores = zip(recipes, folders).map {
            CheckpointStore(folder: $1.path, tag: $0.checkpoints.phase.rawValue)
        }
        let facts = recipes.map { Self.facts($0, samples: data.sampleCount) }
        let resumed = try Self.resumed(recipes, stores, folders)
        runs = try recipes.indices.map { index in
            let recipe = recipes[index]
            let start = try RunStart(
                recipe,
                configuration: configurations[index],
                resumingAt: resumed[index],
                facts: facts[index]
            )
            if options.device != .cpu { try withRecovery { start.model.convert(on: options.device) } }
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
            let context = RunContext(
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
            return try PretrainingRun(recipe, start: start, context: context)
        }
        let position = runs[0].position
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
        if case .explicit = shared.data.order { endsWithData = true } else { endsWithData = false }
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
    /// - Throws: `TrainingError` when a loss is not a number (the state before that step is saved), and whatever reading
    ///   data and writing checkpoints throw; the checkpoints that are complete stay.
    public func run() throws -> Outcome {
        defer { batches.cancel() }
        while !runs[0].isFinished {
            if options.shouldStop() {
                for run in runs { try run.save() }
                return .interrupted
            }
            let begin = ContinuousClock.now
            guard let batch = try nextBatch() else {
                guard endsWithData else { break }
                throw TrainingError(
                    .missing,
                    "order_path",
                    found: "ends after \(runs[0].clock.batch) batches",
                    expected: "as many as max_duration takes"
                )
            }
            var waited = (ContinuousClock.now - begin) / .seconds(1)
            for (index, run) in runs.enumerated() {
                try step(run, batch.halves[index], batch, waited: waited)
                waited = 0
            }
        }
        for run in runs { try run.finish() }
        return .finished
    }

    /// Takes the next batch from the stream, which is the one that the next step would see.
    ///
    /// - Returns: Nil at the end of an explicit order; other data never ends.
    /// - Throws: `CorpusError` when a sample cannot be read or holds what the model cannot.
    package func nextBatch() throws -> StepBatch? { try batches.next() }

    private func step(
        _ run: PretrainingRun,
        _ microbatches: [TrainingBatch],
        _ batch: StepBatch,
        waited: Double
    ) throws {
        let before = run.clock
        do {
            try run.train(on: microbatches, of: batch, waited: waited)
        } catch let error as TrainingError where error.kind == .diverged {
            let folder = try run.save()
            throw TrainingError(
                .diverged,
                "\(run.recipe.kind.name), batch \(before.batch + 1): \(error.place)",
                found: error.found + "; the state before it is saved in \(folder)",
                expected: error.expected
            )
        }
        if run.crosses(run.recipe.evalInterval, since: before) || run.isFinished { try run.evaluate() }
        if run.crosses(run.recipe.checkpoints.saveInterval, since: before) || run.isFinished { try run.save() }
    }

    // MARK: Preparing

    private static func specials(_ tokenizer: Tokenizer?) throws -> SpecialTokens {
        guard let tokenizer else { return SpecialTokens() }
        func id(_ role: String, _ id: Int32?) throws -> Int32 {
            guard let id else {
                throw TrainingError(
                    .missing,
                    "tokenizer_name",
                    found: "names no \(role)",
                    expected: "a tokenizer with cls_token, sep_token, pad_token and mask_token"
                )
            }
            return id
        }
        return SpecialTokens(
            unknown: try tokenizer.unkTokenID ?? id("pad_token", tokenizer.padTokenID),
            start: try id("cls_token", tokenizer.clsTokenID),
            end: try id("sep_token", tokenizer.sepTokenID),
            padding: try id("pad_token", tokenizer.padTokenID),
            mask: try id("mask_token", tokenizer.maskTokenID)
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

    /// What decides the course of a run besides its length, which may be changed.
    private static func facts(_ recipe: PretrainingRecipe, samples: Int?) -> [String: String] {
        [
            "model": recipe.kind.name, "objective": recipe.objective.name, "seed": "\(recipe.seed)",
            "shuffle_seed": "\(recipe.data.shuffleSeed)", "max_seq_len": "\(recipe.data.maxSequenceLength)",
            "global_train_batch_size": "\(recipe.globalTrainBatchSize)",
            "optimizer.name": recipe.optimizer.name.rawValue,
            "samples of the data set": samples.map { "\($0)" } ?? "an order's",
        ]
    }

    /// The checkpoints to go on from: the newest that all runs have.
    private static func resumed(
        _ recipes: [PretrainingRecipe],
        _ stores: [CheckpointStore],
        _ folders: [RunFolder]
    ) throws -> [CheckpointStore.Entry?] {
        let entries = try stores.map { try $0.entries() }
        let common = entries.dropFirst().reduce(Set(entries[0].map(\.batch))) { $0.intersection($1.map(\.batch)) }
        for (index, recipe) in recipes.enumerated() {
            guard !recipe.checkpoints.autoresume else {
                try stores[index].clear(all: false)
                continue
            }
            let isThere = !entries[index].isEmpty || FilePath.exists(folders[index].ledger)
            guard !isThere || recipe.checkpoints.overwrite else {
                throw TrainingError(
                    .invalidOption,
                    "save_folder",
                    found: "is \(folders[index].path), which holds a run",
                    expected: "autoresume=true to go on with it, save_overwrite=true to replace it, or another folder"
                )
            }
            try stores[index].clear(all: true)
        }
        guard recipes.allSatisfy(\.checkpoints.autoresume), let batch = common.max() else {
            return recipes.map { _ in nil }
        }
        return entries.map { $0.first { $0.batch == batch } }
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
