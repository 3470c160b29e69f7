import EttinCorpus
import EttinTraining

/// An opened data set with the order of its samples.
struct TrainingData: Sendable {
    /// What batches are made of.
    enum Samples: Sendable {
        /// Samples of a source in a computed order.
        case ordered(any TokenSource, any SampleOrder)
        /// The batches of a data-order data set.
        case explicit(MDSDataset)
    }

    let samples: Samples
    let settings: DataSettings

    /// Opens what a recipe names.
    ///
    /// - Throws: `CorpusError` when there is no such data set or it is malformed.
    init(_ settings: DataSettings) throws {
        self.settings = settings
        if case .explicit(let path) = settings.order {
            samples = .explicit(try MDSDataset(folder: path))
            return
        }
        if settings.streams.isEmpty {
            let dataset = try MDSDataset(folder: settings.localPath, split: settings.split)
            samples = .ordered(dataset, try Self.order(settings, shards: dataset.index.shards, count: dataset.sampleCount))
            return
        }
        let datasets = try settings.streams.map {
            (dataset: try MDSDataset(folder: $0.localPath, split: $0.split ?? settings.split), weight: $0.weight)
        }
        let streams = try MDSStreams(datasets)
        guard settings.streams.contains(where: { $0.weight != .once }) else {
            let shards = datasets.flatMap(\.dataset.index.shards)
            samples = .ordered(streams, try Self.order(settings, shards: shards, count: streams.sampleCount))
            return
        }
        // The originals' orders do not know weights that differ; ours does.
        let sources = try streams.streams.map {
            try MixtureSource(count: $0.dataset.sampleCount, drawn: $0.drawCount)
        }
        samples = .ordered(streams, MixedOrder(sources, seed: settings.shuffleSeed))
    }

    private static func order(
        _ settings: DataSettings,
        shards: [MDSShardDescription],
        count: Int
    ) throws -> any SampleOrder {
        switch settings.order {
        case .permutation: return NumPyPermutationOrder(count: count, seed: settings.shuffleSeed)
        case .sequential, .explicit: return SequentialOrder(count: count)
        case .streaming(let streaming):
            return try StreamingOrder(
                shardSizes: shards.map(\.sampleCount),
                algorithm: streaming.algorithm,
                canonicalNodes: streaming.canonicalNodes,
                seed: settings.shuffleSeed,
                blockSize: streaming.blockSize
            )
        }
    }

    /// The number of samples of a pass; nil for an explicit order, which has no passes.
    var sampleCount: Int? {
        guard case .ordered(_, let order) = samples else { return nil }
        return order.count
    }

    /// The number of global batches of a pass; nil where there are no passes, or their number is not known beforehand.
    func batchesPerEpoch(of size: Int) -> Int? {
        sampleCount.map { settings.dropLast ? $0 / size : ($0 + size - 1) / size }
    }
}
