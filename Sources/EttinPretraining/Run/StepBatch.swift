package import EttinCorpus
import EttinTraining

/// What one step sees: the same samples for each half of a pair, as each half is to read and predict them.
package struct StepBatch: Sendable {
    /// The number of the step in the data, from 0.
    package let step: Int
    /// What the ledger records.
    let fingerprint: BatchFingerprint
    /// The microbatches of each half.
    package let halves: [[TrainingBatch]]
    /// Where the data goes on.
    let positionAfter: DataPosition
    /// The pass over the data that the next batch belongs to.
    let nextEpoch: Int
}

/// What a half of a pair makes of samples.
struct HalfReading: Sendable {
    /// Whether a sequence ends with the end token.
    let appendsEnd: Bool
    /// What is to be predicted.
    let objective: any LanguageModelObjective
}

/// Makes the batches of a run, or of both halves of a pair, from one stream of samples.
struct StepBatches {
    private let data: TrainingData
    private let specials: SpecialTokens
    private let vocabularySize: Int
    private let halves: [HalfReading]
    private let batchSize: BatchLoader.BatchSize
    private let microbatchSize: MicrobatchPlan.Size
    private var batches: GlobalBatches?
    private var explicit: (order: ExplicitOrder, position: DataPosition)?

    /// Starts a stream.
    ///
    /// - Parameters:
    ///   - data: The opened data set.
    ///   - position: Where to start.
    ///   - specials: The ids of the special tokens.
    ///   - vocabularySize: Ids are below this.
    ///   - halves: What each half makes of the samples.
    ///   - batchSize: The number of samples of a batch.
    ///   - microbatchSize: The size of a microbatch.
    /// - Throws: `CorpusError` for an empty data set or a position that it does not have.
    init(
        _ data: TrainingData,
        from position: DataPosition,
        specials: SpecialTokens,
        vocabularySize: Int,
        halves: [HalfReading],
        batchSize: BatchLoader.BatchSize,
        microbatchSize: MicrobatchPlan.Size
    ) throws {
        self.data = data
        self.specials = specials
        self.vocabularySize = vocabularySize
        self.halves = halves
        self.batchSize = batchSize
        self.microbatchSize = microbatchSize
        switch data.samples {
        case .ordered(_, let order):
            batches = try GlobalBatches(order, from: position, remainder: data.settings.dropLast ? .dropped : .kept)
        case .explicit(let dataset):
            var order = ExplicitOrder(dataset)
            if position.step > 0 { try order.skip(toStep: position.step) }
            explicit = (order, position)
        }
    }

    /// Makes the next batch.
    ///
    /// - Returns: Nil at the end of an explicit order; other data never ends.
    /// - Throws: `CorpusError` when a sample cannot be read or holds what the model cannot.
    mutating func next() throws -> StepBatch? {
        switch data.samples {
        case .ordered(let source, let order): return try next(source, order)
        case .explicit: return try nextExplicit()
        }
    }

    private mutating func next(_ source: any TokenSource, _ order: any SampleOrder) throws -> StepBatch? {
        guard var batches else { return nil }
        let step = batches.position.step
        let size =
            switch batchSize {
            case .constant(let size): size
            case .warmup(let warmup): warmup.size(afterTokens: batches.position.tokens)
            }
        let preparation = SamplePreparation(
            maxTokens: data.settings.maxSequenceLength,
            appendsEnd: false,
            specials: specials
        )
        let samples = try batches.next(size: size).map { reference in
            let ids = try source.tokenIDs(at: reference.index)
            try check(ids, sample: reference.index)
            return TokenSample(reference: reference, ids: try preparation.prepared(ids, sample: reference.index))
        }
        batches.count(tokens: samples.reduce(0) { $0 + $1.ids.count })
        self.batches = batches
        let position = batches.position
        let needed = data.settings.dropLast ? size : 1
        let isLast = order.count - position.position < needed
        return try batch(step, samples, after: position, nextEpoch: position.epoch + (isLast ? 1 : 0)) { half in
            guard half.appendsEnd else { return samples }
            let preparation = SamplePreparation(
                maxTokens: data.settings.maxSequenceLength,
                appendsEnd: true,
                specials: specials
            )
            return try samples.map {
                TokenSample(
                    reference: $0.reference,
                    ids: try preparation.prepared($0.ids, sample: $0.reference.index)
                )
            }
        }
    }

    // An order's samples are taken as they are, numbered from its start.
    private mutating func nextExplicit() throws -> StepBatch? {
        guard let step = try explicit?.order.next(), var position = explicit?.position else { return nil }
        let samples = try step.samples.enumerated().map { place, ids in
            try check(ids, sample: step.firstRow + place)
            return TokenSample(reference: SampleReference(index: step.firstRow + place, pass: 0), ids: ids)
        }
        position.step = step.step + 1
        position.position = step.firstRow + samples.count
        position.tokens += samples.reduce(0) { $0 + $1.ids.count }
        explicit?.position = position
        return try batch(step.step, samples, after: position, nextEpoch: 0) { _ in samples }
    }

    private func batch(
        _ step: Int,
        _ samples: [TokenSample],
        after position: DataPosition,
        nextEpoch: Int,
        reading: (HalfReading) throws -> [TokenSample]
    ) throws -> StepBatch {
        StepBatch(
            step: step,
            fingerprint: BatchFingerprint(samples),
            halves: try halves.map { half in
                let own = try reading(half)
                let plan = try MicrobatchPlan(lengths: own.map(\.ids.count), worldSize: 1, size: microbatchSize)
                return plan.ranks[0].map { places in half.objective.batch(places.map { own[$0] }) }
            },
            positionAfter: position,
            nextEpoch: nextEpoch
        )
    }

    private func check(_ ids: [Int32], sample: Int) throws {
        guard let id = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize }) else { return }
        throw CorpusError(
            .malformed,
            file: data.settings.localPath,
            item: "sample \(sample)",
            found: "holds the id \(id)",
            expected: "ids below the model's vocab_size, \(vocabularySize): the data set is another tokenizer's"
        )
    }
}
