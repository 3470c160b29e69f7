import EttinConversion
package import EttinCorpus
import EttinFiles
package import EttinJSON
package import EttinModel
import EttinTokenizer
package import EttinTraining
package import Torch

/// The pre-training of one model as a task of a trainer: objective, ledger, what its checkpoints hold.
///
/// The halves of a pair share one stream of batches, which the first of them takes from it.
package final class PretrainingRun: TrainingTask {
    /// What is trained, and how.
    package let recipe: PretrainingRecipe
    /// Where its files are.
    package let folder: RunFolder
    /// What a run that is resumed must share with its checkpoint.
    package let runIdentity: [String: String]

    package let languageModel: LanguageModel
    private let context: RunResources
    private let ledgerStart: InitialRunState.Ledger?
    /// Opened with the other files of the run.
    private var ledger: DataLedgerWriter?
    private var position: DataPosition
    private var batchCount: Int

    /// Whether `run.json` waits for the first checkpoint with an accepted change.
    private var hasPendingDescription = false

    /// Describes a run; nothing is written.
    ///
    /// - Parameters:
    ///   - recipe: What to train, and how.
    ///   - start: Weights and state to begin with.
    ///   - context: What runs of one process share.
    init(_ recipe: PretrainingRecipe, _ start: InitialRunState, _ context: RunResources) {
        self.recipe = recipe
        self.context = context
        folder = context.folder
        runIdentity = context.runIdentity
        languageModel = start.model
        position = start.position
        batchCount = start.trainer.clock.batch
        ledgerStart = start.ledger
    }

    // MARK: The task

    /// The kind of the model.
    package var name: String { recipe.kind.name }

    /// The model.
    package var model: Module { languageModel }

    /// Takes the next batch from the stream.
    ///
    /// - Returns: The batch.
    /// - Throws: `TrainingError` at the end of an explicit order, `CorpusError` when a sample cannot be read or holds what
    ///   the model cannot.
    package func nextBatch() throws -> StepBatch {
        if let batch = try context.batches.next() { return batch }
        throw TrainingError(
            .missing,
            "order_path",
            found: "ends after \(batchCount) batches",
            expected: "as many as max_duration takes"
        )
    }

    /// How much a batch is to this half, by the recipe's rule of counting.
    ///
    /// - Parameter batch: The batch.
    /// - Returns: Its microbatches, samples and tokens.
    package func size(of batch: StepBatch) -> BatchSize {
        let microbatches = batch.halves[context.half]
        return BatchSize(
            microbatches: microbatches.count,
            samples: batch.fingerprint.samples,
            tokens: recipe.rules.tokenCounting == .data
                ? batch.fingerprint.tokens : microbatches.reduce(0) { $0 + $1.packed.tokenCount },
            nextEpoch: batch.nextEpoch
        )
    }

    /// The weights of microbatches, by the recipe's rule of weighting.
    ///
    /// Literal: a microbatch weighs by its sequences, and its labelled tokens share that. Intended: all labelled tokens of
    /// the batch weigh the same.
    ///
    /// - Parameter batch: The batch.
    /// - Returns: A weight for each microbatch of this half.
    package func weights(of batch: StepBatch) -> [Double] {
        let microbatches = batch.halves[context.half]
        switch recipe.rules.lossWeighting {
        case .literal:
            let rows = microbatches.map { Double($0.packed.sequenceCount) }
            let total = rows.reduce(0, +)
            return rows.map { $0 / total }
        case .intended:
            let labelled = microbatches.reduce(0) { $0 + $1.labelledCount }
            return microbatches.map { _ in 1 / Double(max(1, labelled)) }
        }
    }

    /// The loss of a microbatch: its mean or its sum, by the recipe's rule of weighting.
    ///
    /// - Parameters:
    ///   - microbatch: The number of the microbatch.
    ///   - batch: The batch.
    ///   - clock: How far the run has come before this batch.
    /// - Returns: A scalar.
    package func loss(of microbatch: Int, in batch: StepBatch, at clock: TrainingClock) -> Tensor {
        let microbatches = batch.halves[context.half]
        if microbatch == 0, languageModel.configuration.attentionDropout > 0 {
            TorchRuntime.seed(recipe.seed &+ UInt64(clock.batch) &* 0x9E37_79B9_7F4A_7C15)
        }
        let pass = DropoutContext(
            seed: recipe.seed,
            step: clock.batch,
            precedingTokens: microbatches[..<microbatch].reduce(0) { $0 + $1.packed.tokenCount },
            recomputesActivations: recipe.gradientCheckpointing
        )
        let own = microbatches[microbatch]
        return languageModel.loss(
            own.packed,
            targets: own.targets,
            at: own.labelledPlaces,
            training: pass,
            precision: recipe.precision,
            options: CrossEntropyOptions(
                reduction: recipe.rules.lossWeighting == .literal ? .mean : .sum,
                zLoss: recipe.zLoss
            )
        ).loss
    }

    // MARK: Files

    /// Begins or continues the ledger, and says what the run is.
    ///
    /// - Parameter isResumed: Whether the run is resumed.
    /// - Throws: `TrainingError` when the ledger is not that of the checkpoint, or a file cannot be written.
    package func openFiles(isResumed: Bool) throws {
        ledger =
            if isResumed, let ledgerStart {
                try DataLedgerWriter(
                    path: folder.ledger,
                    continuingAfterBatch: ledgerStart.steps,
                    endingIn: ledgerStart.head
                )
            } else {
                try DataLedgerWriter(path: folder.ledger)
            }
        // What was changed holds from the first checkpoint that has it: until then run.json tells what the last one is of.
        hasPendingDescription = isResumed && context.keepsDescription
        if !isResumed, !context.keepsDescription { try RunDescription.removeEarlier(in: folder) }
        if !hasPendingDescription { try writeDescription() }
    }

    private func writeDescription() throws {
        hasPendingDescription = false
        try RunDescription(recipe, model: languageModel, tokenizer: context.tokenizerFolder)
            .write(to: folder, keepingEarlier: context.keepsDescription)
    }

    /// Moves on in the data, and records in the ledger what a step saw.
    ///
    /// - Parameter batch: The batch of the step.
    /// - Throws: `TrainingError` when the ledger cannot be written.
    package func didStep(on batch: StepBatch) throws {
        position = batch.positionAfter
        batchCount += 1
        try ledger?.append(batch.fingerprint)
    }

    /// Waits until the ledger is on the disk.
    ///
    /// - Throws: `TrainingError` when the file system refuses.
    package func synchronizeFiles() throws { try ledger?.synchronize() }

    /// The position in the data and the head of the ledger.
    package var state: JSONObject {
        [
            "data": [
                "epoch": JSONValue(position.epoch), "position": JSONValue(position.position),
                "step": JSONValue(position.step), "tokens": JSONValue(position.tokens),
            ],
            "ledger": [
                "steps": JSONValue(ledger?.nextStep ?? 0), "chain": .string("\(ledger?.head ?? .zero)"),
            ],
        ]
    }

    /// Writes what loads as a model: configuration, weights, tokenizer, card.
    ///
    /// - Parameters:
    ///   - average: What kind of average of the trained weights the model has now.
    ///   - folder: A new folder.
    ///   - run: How far the run has come, and what was last measured.
    /// - Throws: `CheckpointError` when something cannot be written.
    package func writeModel(average: String?, toFolder folder: String, _ run: RunProgress) throws {
        try withoutGradients { try languageModel.save(folder: folder) }
        if recipe.kind == .decoder {
            try GenerationConfiguration(model: languageModel.configuration).write(toFolder: folder)
        }
        try context.tokenizer?.save(to: folder)
        let card = RunCard(recipe, clock: run.clock, evaluation: run.evaluation, average: average).card
        try card.write(toFolder: folder)
        if hasPendingDescription { try writeDescription() }
    }

    /// Writes the mean of the last checkpoints, where the recipe asks for it.
    ///
    /// - Parameter store: The checkpoints of the run.
    /// - Throws: `TrainingError` or `CheckpointError` when it cannot be written.
    package func didFinish(_ store: CheckpointStore) throws {
        guard case .lastCheckpoints(let count) = recipe.averaging else { return }
        let newest = try store.entries().suffix(count)
        guard newest.count > 1 else { return }
        let path = FilePath.joined(folder.path, "average")
        if FilePath.kind(of: path) == .folder { try TrainingError.translating { try FilePath.removeFolder(path) } }
        try CheckpointAverage(newest.map(\.path)).write(toFolder: path)
    }

    // MARK: Measuring

    /// Measures the model on held-out data, if the recipe names any.
    ///
    /// - Returns: The metrics; nil without held-out data.
    /// - Throws: `CorpusError` when a sample cannot be read; `TorchError` when memory runs out.
    package func evaluate() throws -> [(key: String, value: Double)]? {
        let key = recipe.objective == .causal ? MetricName.nextTokenAccuracy : MetricName.maskedAccuracy
        return try context.heldOut?.run(languageModel, accuracyKey: key)
    }

    /// What the model is measured on.
    ///
    /// - Returns: The microbatches of an evaluation; nil without held-out data.
    /// - Throws: `CorpusError` when a sample cannot be read.
    package func heldOutBatches() throws -> [TrainingBatch]? { try context.heldOut?.batches() }
}
