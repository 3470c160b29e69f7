import EttinCorpus
import EttinTraining

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

    /// What the trainer needs to know of this recipe.
    func trainerSettings(folder: RunFolder, length: RunLength) -> TrainerSettings {
        var settings = TrainerSettings(folder: folder.path, length: length, optimizer: optimizer)
        settings.checkpointTag = checkpoints.phase.rawValue
        settings.gradientClipping = gradientClipping
        settings.determinesRatesAhead = rules.learningRateTiming == .literal
        settings.evaluationInterval = evalInterval
        settings.saveInterval = checkpoints.saveInterval
        settings.keepLast = checkpoints.keepLast
        settings.keepEvery = checkpoints.keepEvery
        if case .ema(let averaging) = averaging { settings.averaging = averaging }
        settings.logging = logging
        return settings
    }
}
