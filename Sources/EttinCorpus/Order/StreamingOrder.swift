/// The order of a run whose loader is the `streaming` library's, bit for bit.
///
/// An epoch draws samples of one or more data sets, shuffles them, and deals them out: canonical nodes take turns, and
/// where they or the ranks do not get equally many samples, some come twice. So an epoch may be longer than the data.
/// The number of loader workers changes nothing.
public struct StreamingOrder: SampleOrder, Hashable {
    /// The library's algorithms, by their names.
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        /// All samples with all others.
        case naive
        /// The samples of each shard, in one place.
        case py1s
        /// The samples of each shard, then each moved at random to within a block around its place.
        case py1e
        /// The samples of blocks of random size, staggered from node to node.
        case py1br
        /// The samples of each shard, before and after the shards are divided among the nodes.
        case py2s
    }

    /// The library's default seed.
    public static let defaultSeed: UInt64 = 9176

    /// The number of positions of an epoch, those that repeat a sample included.
    public let count: Int
    private let draws: StreamingDraws
    private let shuffle: StreamingShuffle?
    private let partition: ElasticPartition

    /// Creates the order of a run on one or more data sets.
    ///
    /// - Parameters:
    ///   - streams: The data sets, whose samples are numbered through.
    ///   - algorithm: How to shuffle; nil for samples as they are stored (`shuffle: false`).
    ///   - canonicalNodes: The `num_canonical_nodes`.
    ///   - seed: The `shuffle_seed`.
    ///   - blockSize: The `shuffle_block_size`, for `py1e` and `py1br`; nil for the library's default.
    ///   - sampling: How samples are drawn where an epoch does not take all of them once.
    ///   - shape: The machines, their ranks, and the samples of one rank's batch. Within a global batch, samples are
    ///     listed rank by rank (default: one process).
    /// - Throws: `CorpusError` for impossible values, among them fewer samples than nodes with `py1e`.
    public init(
        streams: [StreamingSource],
        algorithm: Algorithm?,
        canonicalNodes: Int,
        seed: UInt64 = defaultSeed,
        blockSize: Int? = nil,
        sampling: StreamingSampling = StreamingSampling(),
        shape: ElasticPartition.Shape = .oneProcess
    ) throws {
        shuffle = try algorithm.map {
            try StreamingShuffle($0, canonicalNodes: canonicalNodes, seed: seed, blockSize: blockSize)
        }
        draws = try StreamingDraws(streams, sampling, seed: seed, isShuffled: algorithm != nil)
        guard algorithm != .py1e || draws.count >= canonicalNodes else {
            throw CorpusError(
                .invalidOption,
                file: "num_canonical_nodes",
                found: "is \(canonicalNodes), but an epoch has only \(draws.count) samples",
                expected: "at most one node per sample with py1e"
            )
        }
        partition = try ElasticPartition(samples: draws.count, canonicalNodes: canonicalNodes, shape: shape)
        count = partition.count
    }

    /// Creates the order of a run on one data set, each of whose samples an epoch takes once.
    ///
    /// - Parameters:
    ///   - shardSizes: The number of samples of each shard.
    ///   - algorithm: How to shuffle; nil for samples as they are stored (`shuffle: false`).
    ///   - canonicalNodes: The `num_canonical_nodes`.
    ///   - seed: The `shuffle_seed`.
    ///   - blockSize: The `shuffle_block_size`, for `py1e` and `py1br`; nil for the library's default.
    ///   - shape: The machines, their ranks, and the samples of one rank's batch (default: one process).
    /// - Throws: `CorpusError` for impossible values, among them fewer samples than nodes with `py1e`.
    public init(
        shardSizes: [Int],
        algorithm: Algorithm?,
        canonicalNodes: Int,
        seed: UInt64 = defaultSeed,
        blockSize: Int? = nil,
        shape: ElasticPartition.Shape = .oneProcess
    ) throws {
        try self.init(
            streams: [StreamingSource(shardSizes: shardSizes)],
            algorithm: algorithm,
            canonicalNodes: canonicalNodes,
            seed: seed,
            blockSize: blockSize,
            shape: shape
        )
    }

    /// The library's default block size.
    ///
    /// - Parameter canonicalNodes: The number of canonical nodes.
    /// - Returns: 4 000 000 samples over all nodes, at least 2¹⁸ for each.
    package static func defaultBlockSize(canonicalNodes: Int) -> Int { max(4_000_000 / canonicalNodes, 1 << 18) }

    /// The library's default number of canonical nodes.
    ///
    /// - Parameters:
    ///   - algorithm: How to shuffle.
    ///   - physicalNodes: The number of machines.
    /// - Returns: The number of machines, 64 times as many for `py1s` and `py2s`.
    package static func defaultCanonicalNodes(_ algorithm: Algorithm, physicalNodes: Int) -> Int {
        algorithm == .py1s || algorithm == .py2s ? 64 * physicalNodes : physicalNodes
    }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples.
    public func sequence(epoch: Int) -> any SampleSequence { sequence(epoch: epoch, partition) }

    /// The rest of an epoch, as a loader gives it that starts from the state of another.
    ///
    /// Seed and canonical nodes are those of the state, as in the library.
    ///
    /// - Parameters:
    ///   - state: Where the run stands.
    ///   - shape: The machines and the batches that it continues with.
    /// - Returns: The samples that are left.
    /// - Throws: `CorpusError` when the shape does not fit, or the state is not in the epoch.
    package func sequence(resuming state: StreamingState, shape: ElasticPartition.Shape) throws -> any SampleSequence {
        guard state.epoch >= 0 else {
            throw CorpusError(
                .invalidOption,
                file: "epoch",
                found: "is \(state.epoch)",
                expected: "0 or more"
            )
        }
        let order = try StreamingOrder(self, seed: state.shuffleSeed, canonicalNodes: state.canonicalNodes)
        return order.sequence(epoch: state.epoch, try state.partition(samples: draws.count, shape: shape))
    }

    private init(_ order: StreamingOrder, seed: UInt64, canonicalNodes: Int) throws {
        try self.init(
            streams: order.draws.streams,
            algorithm: order.shuffle?.algorithm,
            canonicalNodes: canonicalNodes,
            seed: seed,
            blockSize: order.shuffle?.givenBlockSize,
            sampling: order.draws.sampling
        )
    }

    private func sequence(epoch: Int, _ partition: ElasticPartition) -> any SampleSequence {
        let drawn = draws.drawn(epoch: epoch)
        let order = shuffle?.order(of: drawn.sizes, epoch: epoch)
        guard let samples = drawn.samples else {
            var indices: [UInt32] = []
            indices.reserveCapacity(partition.count)
            partition.forEachPosition { indices.append(UInt32(order?[$0] ?? $0)) }
            return StoredSequence(indices, pass: epoch)
        }
        var references: [SampleReference] = []
        references.reserveCapacity(partition.count)
        partition.forEachPosition { references.append(samples[order?[$0] ?? $0]) }
        return Epoch(samples: references)
    }

    private struct Epoch: SampleSequence {
        let samples: [SampleReference]

        var count: Int { samples.count }

        func samples(at positions: Range<Int>) -> [SampleReference] { Array(samples[positions]) }
    }
}
