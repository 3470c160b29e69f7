/// Makes batches: order, samples, division among ranks and microbatches, objective.
///
/// One stream of samples serves several readings, such as those of both halves of a pair.
public struct BatchLoader {
    /// The number of samples of a global batch.
    public enum BatchSize: Sendable, Hashable {
        /// The same at every step.
        case constant(Int)
        /// Growing with the tokens seen, those of all ranks.
        case warmup(BatchSizeWarmup)
    }

    /// What is made of the samples.
    public struct Settings: Sendable {
        /// What is done to each sample; whether a sequence ends with the end token is up to the readings.
        public var preparation: SamplePreparation
        /// Ids must be below this; nil for any.
        public var vocabularySize: Int?
        /// What is to be made of the samples, at least one.
        public var readings: [SampleReading]
        /// The number of samples of a global batch; an explicit order has its own.
        public var batchSize: BatchSize
        /// The size of a microbatch; by tokens, each rank reads the whole global batch to divide it.
        public var microbatchSize: MicrobatchPlan.Size
        /// The number of this rank.
        public var rank = 0
        /// The number of ranks.
        public var worldSize = 1
        /// Whether a rank reads all samples of a batch, which hashing them takes, or its own where that is enough.
        public var readsWholeBatches = true
        /// What the samples are of, for messages.
        public var name = "the data"

        /// Creates settings of one process.
        ///
        /// - Parameters:
        ///   - preparation: What is done to each sample.
        ///   - readings: What is to be made of the samples.
        ///   - batchSize: The number of samples of a global batch.
        ///   - microbatchSize: The size of a microbatch.
        public init(
            preparation: SamplePreparation,
            readings: [SampleReading],
            batchSize: BatchSize,
            microbatchSize: MicrobatchPlan.Size
        ) {
            self.preparation = preparation
            self.readings = readings
            self.batchSize = batchSize
            self.microbatchSize = microbatchSize
        }
    }

    /// Where the samples come from.
    private enum Stream {
        case ordered(any TokenSource, GlobalBatches)
        /// The samples are taken as they are: an order holds them prepared and not yet masked. They are numbered from its
        /// start, which is what their masks depend on.
        case explicit(ExplicitOrder, DataPosition)
    }

    private let settings: Settings
    private var stream: Stream

    /// Creates a loader of samples in a computed order; epochs follow each other without end.
    ///
    /// - Parameters:
    ///   - source: The samples.
    ///   - batches: The order of the samples, and where to start.
    ///   - settings: What is made of them.
    /// - Throws: `CorpusError` for a batch that does not give a sample to every rank.
    public init(_ source: any TokenSource, batches: GlobalBatches, _ settings: Settings) throws {
        Self.check(settings)
        let smallest =
            switch settings.batchSize {
            case .constant(let size): size
            case .warmup(let warmup): warmup.smallest
            }
        guard smallest >= settings.worldSize else {
            throw CorpusError(
                .invalidOption,
                file: "global_train_batch_size",
                found: "gives \(smallest) samples to \(settings.worldSize) ranks",
                expected: "at least one per rank"
            )
        }
        self.settings = settings
        stream = .ordered(source, batches)
    }

    /// Creates a loader of an explicit order, whose steps are the global batches.
    ///
    /// - Parameters:
    ///   - order: The order, from its start.
    ///   - position: Where to start: the rows of earlier steps are passed over.
    ///   - settings: What is made of the samples.
    /// - Throws: What reading the order throws.
    public init(_ order: ExplicitOrder, from position: DataPosition = DataPosition(), _ settings: Settings) throws {
        Self.check(settings)
        self.settings = settings
        var order = order
        if position.step > 0 { try order.skip(toStep: position.step) }
        stream = .explicit(order, position)
    }

    private static func check(_ settings: Settings) {
        precondition(
            0..<settings.worldSize ~= settings.rank,
            "BatchLoader: rank \(settings.rank) of \(settings.worldSize)"
        )
        precondition(!settings.readings.isEmpty, "BatchLoader: no reading")
    }

    /// Makes the next batch.
    ///
    /// - Returns: This rank's part of it; nil at the end of an explicit order, as other data never ends.
    /// - Throws: `CorpusError` when a sample cannot be read or holds what the model cannot, or a size is impossible; what
    ///   reading an order throws.
    public mutating func next() throws -> RankBatch? {
        switch stream {
        case .ordered(let source, var batches):
            // After a sample that cannot be read, the same batch is tried again.
            let batch = try next(source, &batches)
            stream = .ordered(source, batches)
            return batch
        case .explicit(var order, var position):
            defer { stream = .explicit(order, position) }
            return try next(&order, &position)
        }
    }

    private func next(_ source: any TokenSource, _ batches: inout GlobalBatches) throws -> RankBatch {
        let step = batches.position.step
        let size = batchSize(at: batches.position)
        let references = try batches.next(size: size)
        if !settings.readsWholeBatches, case .sequences(let count) = settings.microbatchSize,
            case .constant = settings.batchSize
        {
            // Neither the division nor the position depends on lengths, so other ranks' samples are not read.
            let plan = try MicrobatchPlan(count: references.count, worldSize: settings.worldSize, sequences: count)
            let samples = try plan.ranks[settings.rank].map { try $0.map { try sample(references[$0], of: source) } }
            return RankBatch(
                step: step,
                samples: [],
                readings: settings.readings.map { reading in
                    samples.map { reading.objective.batch(read($0, by: reading)) }
                },
                positionAfter: batches.position,
                nextEpoch: batches.nextEpoch(size: size)
            )
        }
        let samples = try references.map { try sample($0, of: source) }
        batches.count(tokens: samples.reduce(0) { $0 + $1.ids.count })
        return RankBatch(
            step: step,
            samples: samples,
            readings: try settings.readings.map { try microbatches(read(samples, by: $0), $0) },
            positionAfter: batches.position,
            nextEpoch: batches.nextEpoch(size: size)
        )
    }

    private func next(_ order: inout ExplicitOrder, _ position: inout DataPosition) throws -> RankBatch? {
        guard let step = try order.next() else { return nil }
        let samples = try step.samples.enumerated().map { place, ids in
            try check(ids, sample: step.firstRow + place)
            return TokenSample(reference: SampleReference(index: step.firstRow + place, pass: 0), ids: ids)
        }
        position.step = step.step + 1
        position.position = step.firstRow + samples.count
        position.tokens += samples.reduce(0) { $0 + $1.ids.count }
        return RankBatch(
            step: step.step,
            samples: samples,
            readings: try settings.readings.map { try microbatches(samples, $0) },
            positionAfter: position,
            nextEpoch: 0
        )
    }

    private func batchSize(at position: DataPosition) -> Int {
        switch settings.batchSize {
        case .constant(let size): size
        case .warmup(let warmup): warmup.size(afterTokens: position.tokens)
        }
    }

    // MARK: Samples

    private func sample(_ reference: SampleReference, of source: any TokenSource) throws -> TokenSample {
        guard reference.index < source.sampleCount else {
            throw CorpusError(
                .invalidOption,
                file: "the order",
                found: "asks for sample \(reference.index) of \(source.sampleCount)",
                expected: "an order of the same data"
            )
        }
        let ids = try source.tokenIDs(at: reference.index)
        try check(ids, sample: reference.index)
        return TokenSample(
            reference: reference,
            ids: try settings.preparation.prepared(ids, sample: reference.index)
        )
    }

    private func check(_ ids: [Int32], sample: Int) throws {
        guard let size = settings.vocabularySize, let id = ids.first(where: { $0 < 0 || Int($0) >= size }) else {
            return
        }
        throw CorpusError(
            .malformed,
            file: settings.name,
            item: "sample \(sample)",
            found: "holds the id \(id)",
            expected: "ids below the model's vocab_size, \(size): the data set was made with another tokenizer"
        )
    }

    private func read(_ samples: [TokenSample], by reading: SampleReading) -> [TokenSample] {
        guard reading.appendsEnd else { return samples }
        return samples.map {
            TokenSample(reference: $0.reference, ids: settings.preparation.endingPrepared($0.ids))
        }
    }

    private func microbatches(_ samples: [TokenSample], _ reading: SampleReading) throws -> [TrainingBatch] {
        let plan = try MicrobatchPlan(
            lengths: samples.map(\.ids.count),
            worldSize: settings.worldSize,
            size: settings.microbatchSize
        )
        return plan.ranks[settings.rank].map { places in reading.objective.batch(places.map { samples[$0] }) }
    }
}
