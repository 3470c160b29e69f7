import EttinConversion
import EttinCorpus
import EttinFiles
import EttinModel
import EttinTraining
import Torch

/// What a run begins with: weights, state, time.
///
/// Making one reads and checks, and writes nothing.
struct RunStart {
    /// How far the ledger is that goes on.
    struct Ledger: Hashable {
        let steps: Int
        /// The chain of the last of these steps.
        let head: SHA256Digest
    }

    let model: LanguageModel
    /// Time, rates, moments.
    private(set) var trainer: TrainerStart
    private(set) var position = DataPosition()
    /// Nil for a ledger that begins.
    private(set) var ledger: Ledger?

    /// Finds what a recipe begins with: its own newest checkpoint, one that it names, a smaller model, or new weights.
    ///
    /// - Parameters:
    ///   - recipe: The recipe.
    ///   - configuration: The model's shape, with the vocabulary it is to have.
    ///   - entry: The checkpoint to go on from; nil for none.
    ///   - facts: What a checkpoint to go on from must share.
    /// - Throws: `TrainingError`, `CheckpointError` or `StateDictionaryError` when what it names does not fit.
    init(
        _ recipe: PretrainingRecipe,
        configuration: ModernBERTConfiguration,
        resumingAt entry: CheckpointStore.Entry?,
        facts: [String: String]
    ) throws {
        trainer = TrainerStart(recipe.optimizer)
        let rule = recipe.rules.decoderWindow
        model = try withRecovery { LanguageModel(configuration, windowRule: rule) }
        if let entry {
            try goOn(from: entry, recipe, facts: facts)
        } else if let path = recipe.checkpoints.loadPath {
            try start(from: path, recipe)
        } else {
            try withRecovery { model.initialize(recipe.initialization, seed: recipe.seed) }
            if let small = recipe.initFromCheckpoint { try tile(small) }
        }
    }

    // MARK: Going on

    private mutating func goOn(
        from entry: CheckpointStore.Entry,
        _ recipe: PretrainingRecipe,
        facts: [String: String]
    ) throws {
        let folder = entry.path
        trainer = try TrainerStart(resuming: entry, facts: facts)
        let (position, ledger) = try Self.task(trainer.taskFields(folder: folder))
        let stored = try ModernBERTConfiguration(folder: folder)
        try ModelAgreement.check(model.configuration, stored: stored, in: folder, .all)
        try load(folder)
        (self.position, self.ledger) = (position, ledger)
        guard recipe.rules.resetTime == .literal, recipe.checkpoints.resetTime else { return }
        resetTime()
        trainer.files = .beginAgain(from: entry)
    }

    /// Position and ledger as a checkpoint has them.
    private static func task(_ fields: StateFields) throws -> (DataPosition, Ledger) {
        let position = DataPosition(
            epoch: try fields.count("data", "epoch"),
            position: try fields.count("data", "position"),
            step: try fields.count("data", "step"),
            tokens: try fields.count("data", "tokens")
        )
        let steps = try fields.count("ledger", "steps")
        guard let head = SHA256Digest(hexadecimal: try fields.text("ledger", "chain")) else {
            throw fields.malformed("ledger", "chain", "64 lower-case hexadecimal digits")
        }
        return (position, Ledger(steps: steps, head: head))
    }

    // MARK: Starting from another run

    private mutating func start(from path: String, _ recipe: PretrainingRecipe) throws {
        if FilePath.kind(of: path) == .file { return try start(fromArchive: path, recipe) }
        let folder = try Self.checkpoint(path, of: recipe.startKind)
        let stored = try ModernBERTConfiguration(folder: folder)
        try Self.check(stored.kind, at: folder, recipe)
        try ModelAgreement.check(model.configuration, stored: stored, in: folder, .shape)
        try load(folder)
        trainer.origin = folder
        let hasState = FilePath.exists(FilePath.joined(folder, TrainerState.fileName))
        guard !recipe.checkpoints.loadWeightsOnly, hasState else {
            if !recipe.checkpoints.loadWeightsOnly {
                throw TrainingError(
                    .missing,
                    folder,
                    found: "has no \(TrainerState.fileName), so no optimizer to go on with",
                    expected: "a checkpoint of a run, or load_weights_only: true"
                )
            }
            return
        }
        let state = try TrainerState(folder: folder)
        guard state.optimizer == recipe.optimizer.name else {
            throw TrainingError(
                .invalidOption,
                "optimizer.name",
                found: "is \(recipe.optimizer.name.rawValue), but \(folder) was trained with "
                    + state.optimizer.rawValue,
                expected: "the same, or load_weights_only: true"
            )
        }
        trainer.take(state, of: folder)
        (position, _) = try Self.task(trainer.taskFields(folder: folder))
        takeRates(recipe, loaded: state.nextRate ?? state.learningRate, base: state.baseRate)
        if Self.resetsTime(recipe) { resetTime() }
    }

    private mutating func start(fromArchive path: String, _ recipe: PretrainingRecipe) throws {
        let archive = try ComposerCheckpoint(path: path)
        try Self.check(archive.kind, at: path, recipe)
        try adopt(archive.weights)
        trainer.origin = path
        guard !recipe.checkpoints.loadWeightsOnly else { return }
        guard let optimizer = archive.optimizer else {
            throw TrainingError(
                .missing,
                path,
                found: "holds no optimizer",
                expected: "one to go on with, or load_weights_only: true"
            )
        }
        guard optimizer.name == recipe.optimizer.name.loggedName else {
            throw TrainingError(
                .invalidOption,
                "optimizer.name",
                found: "is \(recipe.optimizer.name.rawValue), but \(path) was trained with \(optimizer.name)",
                expected: "the same, or load_weights_only: true"
            )
        }
        trainer.optimizerState = { parameters, state in
            try optimizer.restore(parameters, into: state, path: path)
            return []
        }
        let group = optimizer.groups.last
        trainer.referenceRate = group?.maximumLearningRate ?? group?.initialLearningRate ?? trainer.referenceRate
        takeRates(
            recipe,
            loaded: group?.learningRate ?? recipe.optimizer.learningRate,
            base: archive.baseLearningRates.last ?? group?.initialLearningRate ?? recipe.optimizer.learningRate
        )
        let clock = archive.clock ?? TrainingClock()
        trainer.clock = clock
        position = DataPosition(
            epoch: clock.epoch,
            position: clock.sampleInEpoch,
            step: clock.batch,
            tokens: clock.token
        )
        if Self.resetsTime(recipe) { resetTime() }
    }

    private mutating func resetTime() {
        trainer.resetTime()
        position = DataPosition()
    }

    /// Whether the clock of a loaded run starts anew: the published files of two phases leave it out by mistake.
    private static func resetsTime(_ recipe: PretrainingRecipe) -> Bool {
        recipe.checkpoints.resetTime || (recipe.rules.resetTime == .intended && recipe.checkpoints.phase != .step)
    }

    /// Takes what the schedule multiplies after a loaded run, and the rate of the first batch, which the training code
    /// leaves as it is loaded or overridden.
    ///
    /// > Source: the suite's training code, `restart_override`: of all schedules but two it scales the base by how far
    /// > the recipe's rate is from the one that was loaded.
    private mutating func takeRates(_ recipe: PretrainingRecipe, loaded: Double, base: Double) {
        let own = recipe.optimizer.learningRate
        let isOverridden = recipe.checkpoints.restartOverride
        trainer.nextRate = isOverridden ? own : loaded
        guard recipe.rules.decayBaseRate == .literal else { return trainer.baseRate = own }
        guard isOverridden else { return trainer.baseRate = base }
        switch recipe.schedule {
        case .constantWithWarmup, .warmupStableDecay: trainer.baseRate = own
        default: trainer.baseRate = loaded > 0 ? base * own / loaded : own
        }
    }

    private static func check(_ kind: ModelKind, at path: String, _ recipe: PretrainingRecipe) throws {
        guard kind != recipe.startKind else { return }
        throw TrainingError(
            .invalidOption,
            "load_path",
            found: "is \(path), which holds a model of the kind \(kind.name)",
            expected: "a model of the kind \(recipe.startKind.name), with which model.name begins"
        )
    }

    /// A checkpoint's folder, given it, the folder of its run, or that of a pair.
    static func checkpoint(_ path: String, of kind: ModelKind) throws -> String {
        guard FilePath.kind(of: path) == .folder else {
            throw TrainingError(
                .missing,
                "load_path",
                found: "is \"\(path)\", which is no folder and no file",
                expected: "a checkpoint, the folder of a run, or a raw training checkpoint (.pt)"
            )
        }
        guard !FilePath.exists(FilePath.joined(path, "config.json")) else { return path }
        for folder in [path, FilePath.joined(path, kind.name)] {
            for tag in PretrainingPhase.allCases.reversed() {
                if let newest = try CheckpointStore(folder: folder, tag: tag.rawValue).newest() { return newest.path }
            }
        }
        throw TrainingError(
            .missing,
            "load_path",
            found: "is \"\(path)\", which holds no checkpoint",
            expected: "a checkpoint, or the folder of a run that has one"
        )
    }

    // MARK: Weights

    private func load(_ folder: String) throws {
        var configuration = model.configuration
        try adopt(TensorStore.open(folder: folder).state(for: .languageModel, of: &configuration))
    }

    private func adopt(_ state: StateDictionary) throws {
        // The file's own memory must not be written, and parameters are trained in float32.
        try withRecovery { try model.load(state.map { ($0.key, $0.tensor.to(.float32).copy()) }) }
    }

    private mutating func tile(_ settings: SmallerModelSettings) throws {
        let folder = try Self.checkpoint(settings.path, of: model.configuration.kind)
        let small = try LanguageModel.load(folder: folder, dtype: .float32)
        try withRecovery { try settings.mode.initialize(model, from: small) }
        trainer.origin = folder
    }
}

// MARK: -

extension ComposerOptimizerState {
    /// Gives an optimizer the moments of every parameter.
    ///
    /// - Throws: `TrainingError` when a parameter has none.
    fileprivate func restore(_ parameters: StateDictionary, into state: OptimizerState, path: String) throws {
        let stored = [String: Moments](moments.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
        let own = try parameters.map { key, tensor in
            guard let moments = stored[key], moments.first.shape == tensor.shape else {
                throw TrainingError(
                    .malformed,
                    path,
                    found: "has no moments of \(key)",
                    expected: "those of every parameter"
                )
            }
            return moments
        }
        state.restore(
            stepCount: own.map(\.step).max() ?? 0,
            firstMoments: own.map(\.first),
            secondMoments: own.map(\.second)
        )
    }
}
