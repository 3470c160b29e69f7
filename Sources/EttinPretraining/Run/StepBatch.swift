package import EttinCorpus

/// What one step sees: the same samples for each half of a pair, as each half is to read and predict them.
package struct StepBatch: Sendable {
    /// The number of the step in the data, from 0.
    package let step: Int
    /// What the ledger records.
    let fingerprint: BatchFingerprint
    /// The microbatches of each half.
    package let halves: [[TrainingBatch]]
    /// Where the data continues.
    let positionAfter: DataPosition
    /// The pass over the data that the next batch belongs to.
    let nextEpoch: Int

    /// Hashes the samples of a batch, which need not be kept then.
    init(_ batch: RankBatch) {
        step = batch.step
        fingerprint = BatchFingerprint(batch.samples)
        halves = batch.readings
        positionAfter = batch.positionAfter
        nextEpoch = batch.nextEpoch
    }
}

/// The batches of a run, or of both halves of a pair, from a thread of its own, or made when they are asked for.
final class BatchStream {
    private var loader: BatchLoader?
    private let prefetcher: Prefetcher<StepBatch>?

    init(workers: Int, ahead: Int, make: @escaping @Sendable () throws -> BatchLoader) throws {
        guard workers > 0 else {
            loader = try make()
            prefetcher = nil
            return
        }
        // One thread makes batches a thousand times faster than a model reads them; more workers reach further ahead.
        var loader: BatchLoader?
        prefetcher = Prefetcher(capacity: max(1, workers * ahead)) {
            if loader == nil { loader = try make() }
            return try loader?.next().map(StepBatch.init)
        }
    }

    /// The next batch; nil at the end of an explicit order.
    func next() throws -> StepBatch? {
        if let prefetcher { return try prefetcher.next() }
        return try loader?.next().map(StepBatch.init)
    }

    func cancel() { prefetcher?.cancel() }
}
