/// Where a run stands in its data; all that resuming needs.
public struct DataPosition: Codable, Sendable, Hashable {
    /// The number of the epoch, from 0.
    public var epoch: Int
    /// The position in the epoch of the next sample.
    public var position: Int
    /// The number of global batches so far.
    public var step: Int
    /// The number of tokens of all ranks so far; counted only where the batch size depends on it.
    public var tokens: Int

    /// Creates a position.
    ///
    /// - Parameters:
    ///   - epoch: The number of the epoch, from 0.
    ///   - position: The position in the epoch of the next sample.
    ///   - step: The number of global batches so far.
    ///   - tokens: The number of tokens of all ranks so far.
    public init(epoch: Int = 0, position: Int = 0, step: Int = 0, tokens: Int = 0) {
        self.epoch = epoch
        self.position = position
        self.step = step
        self.tokens = tokens
    }
}

extension DataPosition {
    /// The position before a step of a run whose batches all have one size.
    ///
    /// - Parameters:
    ///   - step: The number of batches before it.
    ///   - batchSize: The samples of a batch.
    ///   - sampleCount: The samples of an epoch, at least a batch.
    ///   - remainder: What happens to the samples at the end of an epoch that fill no batch.
    package init(step: Int, batchSize: Int, sampleCount: Int, remainder: GlobalBatches.Remainder) {
        precondition(batchSize > 0 && sampleCount > 0, "DataPosition: \(batchSize) of \(sampleCount) samples")
        let whole = sampleCount / batchSize
        let perEpoch = max(1, remainder == .kept && sampleCount % batchSize > 0 ? whole + 1 : whole)
        self.init(epoch: step / perEpoch, position: step % perEpoch * batchSize, step: step)
    }
}

/// The global batches of a run: consecutive positions of its order, epoch after epoch.
public struct GlobalBatches {
    /// What happens to the samples at the end of an epoch that fill no batch.
    public enum Remainder: String, Sendable, Hashable {
        /// They are left out of this epoch (`drop_last: true`).
        case dropped
        /// They are a smaller batch (`drop_last: false`).
        case kept
    }

    private let order: any SampleOrder
    private let remainder: Remainder
    private var sequence: any SampleSequence
    /// Where the next batch starts.
    package private(set) var position: DataPosition

    /// Creates batches.
    ///
    /// - Parameters:
    ///   - order: The order of the samples.
    ///   - position: Where to start.
    ///   - remainder: What happens to the samples at the end of an epoch that fill no batch.
    /// - Throws: `CorpusError` for an empty order, or a position that is not in it.
    public init(_ order: any SampleOrder, from position: DataPosition = DataPosition(), remainder: Remainder) throws {
        try Self.check(1, sampleCount: order.count, remainder)
        guard position.epoch >= 0, 0...order.count ~= position.position else {
            throw CorpusError(
                .invalidOption,
                file: "data position",
                found: "is \(position.position) of epoch \(position.epoch), which has \(order.count) samples",
                expected: "a position of the same data"
            )
        }
        self.order = order
        self.remainder = remainder
        self.position = position
        sequence = order.sequence(epoch: position.epoch)
    }

    /// Takes the next batch.
    ///
    /// - Parameter size: The number of samples.
    /// - Returns: The samples, all of one epoch.
    /// - Throws: `CorpusError` when an epoch has fewer samples than the batch and the remainder is dropped.
    package mutating func next(size: Int) throws -> [SampleReference] {
        precondition(size > 0, "GlobalBatches: a batch of \(size) samples")
        try Self.check(size, sampleCount: order.count, remainder)
        let needed = remainder == .dropped ? size : 1
        if order.count - position.position < needed {
            position.epoch += 1
            position.position = 0
            sequence = order.sequence(epoch: position.epoch)
        }
        let end = min(order.count, position.position + size)
        defer {
            position.position = end
            position.step += 1
        }
        return sequence.samples(at: position.position..<end)
    }

    /// The epoch that the next batch belongs to.
    ///
    /// - Parameter size: The number of samples of a batch.
    /// - Returns: The number of the epoch.
    func nextEpoch(size: Int) -> Int {
        let needed = remainder == .dropped ? size : 1
        return position.epoch + (order.count - position.position < needed ? 1 : 0)
    }

    /// Checks that an epoch has samples, and enough for a batch.
    static func check(_ size: Int, sampleCount: Int, _ remainder: Remainder) throws {
        guard sampleCount > 0 else {
            throw CorpusError(.invalidOption, file: "the data", found: "has no samples", expected: "at least one")
        }
        guard remainder == .kept || size <= sampleCount else {
            throw CorpusError(
                .invalidOption,
                file: "global_train_batch_size",
                found: "is \(size), but an epoch has \(sampleCount) samples",
                expected: "at most an epoch, or drop_last: false"
            )
        }
    }

    /// Counts the tokens of the batch that was taken last.
    ///
    /// - Parameter tokens: The number of tokens of all ranks.
    package mutating func count(tokens: Int) { position.tokens += tokens }
}
