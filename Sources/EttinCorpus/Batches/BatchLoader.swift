/// Makes batches: order, samples, division among ranks and microbatches, objective.
public struct BatchLoader {
    /// The number of samples of a global batch.
    public enum BatchSize: Sendable, Hashable {
        /// The same at every step.
        case constant(Int)
        /// Growing with the tokens seen, those of all ranks.
        case warmup(BatchSizeWarmup)
    }

    private let source: any TokenSource
    private let preparation: SamplePreparation
    private let batchSize: BatchSize
    private let divider: BatchDivider
    private var batches: GlobalBatches

    /// Creates a loader.
    ///
    /// - Parameters:
    ///   - source: The samples.
    ///   - batches: The order of the samples, and where to start.
    ///   - preparation: What is done to each sample.
    ///   - objective: What the model is to predict.
    ///   - batchSize: The number of samples of a global batch.
    ///   - microbatchSize: The size of a microbatch. By tokens, each rank reads the whole global batch to divide it.
    ///   - rank: The number of this rank.
    ///   - worldSize: The number of ranks.
    /// - Throws: `CorpusError` for a batch that does not give a sample to every rank.
    public init(
        source: any TokenSource,
        batches: GlobalBatches,
        preparation: SamplePreparation,
        objective: any LanguageModelObjective,
        batchSize: BatchSize,
        microbatchSize: MicrobatchPlan.Size,
        rank: Int = 0,
        worldSize: Int = 1
    ) throws {
        precondition(0..<worldSize ~= rank, "BatchLoader: rank \(rank) of \(worldSize)")
        let smallest =
            switch batchSize {
            case .constant(let size): size
            case .warmup(let warmup): warmup.smallest
            }
        guard smallest >= worldSize else {
            throw CorpusError(
                .invalidOption,
                file: "global_train_batch_size",
                found: "gives \(smallest) samples to \(worldSize) ranks",
                expected: "at least one for each"
            )
        }
        self.source = source
        self.batches = batches
        self.preparation = preparation
        self.batchSize = batchSize
        divider = BatchDivider(objective: objective, size: microbatchSize, rank: rank, worldSize: worldSize)
    }

    /// Makes the next batch; epochs follow each other without end.
    ///
    /// - Returns: This rank's part of it.
    /// - Throws: `CorpusError` when a sample cannot be read or a size is impossible.
    public mutating func next() throws -> RankBatch {
        let position = batches.position
        let references = try batches.next(size: size(at: position))
        if case .sequences(let size) = divider.size, case .constant = batchSize {
            // Neither the division nor the position depends on lengths, so other ranks' samples are not read.
            let plan = try MicrobatchPlan(count: references.count, worldSize: divider.worldSize, sequences: size)
            return divider.rankBatch(
                try plan.ranks[divider.rank].map { try $0.map { try sample(references[$0]) } },
                globalSamples: references,
                step: position.step,
                positionAfter: batches.position
            )
        }
        let samples = try references.map { try sample($0) }
        batches.count(tokens: samples.reduce(0) { $0 + $1.ids.count })
        return try divider.rankBatch(samples, step: position.step, positionAfter: batches.position)
    }

    private func size(at position: DataPosition) -> Int {
        switch batchSize {
        case .constant(let size): size
        case .warmup(let warmup): warmup.size(afterTokens: position.tokens)
        }
    }

    private func sample(_ reference: SampleReference) throws -> TokenSample {
        guard reference.index < source.sampleCount else {
            throw CorpusError(
                .invalidOption,
                file: "the order",
                found: "asks for sample \(reference.index) of \(source.sampleCount)",
                expected: "an order of the same data"
            )
        }
        let ids = try preparation.prepared(try source.tokenIDs(at: reference.index), sample: reference.index)
        return TokenSample(reference: reference, ids: ids)
    }
}
