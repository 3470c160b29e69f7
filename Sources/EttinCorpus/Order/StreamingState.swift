/// Where a run stands in a streaming data set: the state that the library stores in its checkpoints.
package struct StreamingState: Codable, Sendable, Hashable {
    /// The number of the epoch, from 0.
    package var epoch: Int
    /// How many samples of the epoch all ranks together have seen.
    package var sampleInEpoch: Int
    /// The number of parts that the order was shuffled in.
    package var canonicalNodes: Int
    /// The seed of the order.
    package var shuffleSeed: UInt64
    /// The number of machines that the run started with.
    package var initialPhysicalNodes: Int?

    /// Creates a state.
    ///
    /// - Parameters:
    ///   - epoch: The number of the epoch, from 0.
    ///   - sampleInEpoch: How many samples of the epoch all ranks together have seen.
    ///   - canonicalNodes: The number of parts that the order was shuffled in.
    ///   - shuffleSeed: The seed of the order.
    ///   - initialPhysicalNodes: The number of machines that the run started with.
    package init(
        epoch: Int,
        sampleInEpoch: Int,
        canonicalNodes: Int,
        shuffleSeed: UInt64,
        initialPhysicalNodes: Int?
    ) {
        self.epoch = epoch
        self.sampleInEpoch = sampleInEpoch
        self.canonicalNodes = canonicalNodes
        self.shuffleSeed = shuffleSeed
        self.initialPhysicalNodes = initialPhysicalNodes
    }

    /// The partition of the rest of the epoch.
    ///
    /// - Parameters:
    ///   - samples: The number of positions of a whole epoch.
    ///   - shape: The machines and the batches that the run resumes with.
    /// - Returns: The partition.
    /// - Throws: `CorpusError` when the shape does not fit, or the state is behind the end of the epoch.
    package func partition(samples: Int, shape: ElasticPartition.Shape) throws -> ElasticPartition {
        try ElasticPartition(
            samples: samples,
            canonicalNodes: canonicalNodes,
            shape: shape,
            seen: sampleInEpoch,
            initialPhysicalNodes: initialPhysicalNodes
        )
    }

    private enum CodingKeys: String, CodingKey {
        case epoch
        case sampleInEpoch = "sample_in_epoch"
        case canonicalNodes = "num_canonical_nodes"
        case shuffleSeed = "shuffle_seed"
        case initialPhysicalNodes = "initial_physical_nodes"
    }
}
