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
    /// What a run that is resumed must find again, by names for messages.
    let runIdentity: [String: String]

    /// Opens what a recipe names.
    ///
    /// - Throws: `CorpusError` when there is no such data set or it is malformed; `TrainingError` when it is to be packed.
    init(_ settings: DataSettings) throws {
        self.settings = settings
        guard settings.packing == .none else {
            throw TrainingError(
                .unsupported,
                "sequence_packing",
                found: "is true",
                expected: "false; batches have no padding in any case"
            )
        }
        if case .explicit(let path) = settings.order {
            let dataset = try MDSDataset(folder: path)
            samples = .explicit(dataset)
            runIdentity = Self.runIdentity(settings, dataset.index.shards)
            return
        }
        if settings.streams.isEmpty {
            let dataset = try MDSDataset(folder: settings.localPath, split: settings.split)
            let shards = dataset.index.shards
            samples = .ordered(dataset, try Self.order(settings, shards: shards, count: dataset.sampleCount))
            runIdentity = Self.runIdentity(settings, shards)
            return
        }
        let datasets = try settings.streams.map {
            (dataset: try MDSDataset(folder: $0.localPath, split: $0.split ?? settings.split), weight: $0.weight)
        }
        let streams = try MDSStreams(datasets)
        runIdentity = Self.runIdentity(settings, datasets.flatMap(\.dataset.index.shards))
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

    /// The content is known by sizes and hashes of the shards as the index has them, before any compression.
    private static func runIdentity(_ settings: DataSettings, _ shards: [MDSShardDescription]) -> [String: String] {
        let parts = shards.map { shard in
            let hashes = shard.raw.hashes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return "\(shard.sampleCount) \(shard.raw.byteCount) \(hashes.joined(separator: " "))"
        }
        let digest = SHA256Digest(of: Array(parts.joined(separator: "\n").utf8))
        let count = shards.reduce(0) { $0 + $1.sampleCount }
        let weights = settings.streams.map { "\($0.weight)" }.joined(separator: ", ")
        var runIdentity = [
            "the data set": "\(count) samples with the digest \("\(digest)".prefix(12))",
            "the order of the samples": settings.orderName + (weights.isEmpty ? "" : " with the weights \(weights)"),
            "drop_last": "\(settings.dropLast)",
        ]
        if settings.shuffle { runIdentity["shuffle_seed"] = "\(settings.shuffleSeed)" }
        return runIdentity
    }

    /// What a loader of these data makes of them, but for the vocabulary.
    func loaderSettings(
        _ specials: SpecialTokens,
        _ readings: [SampleReading],
        _ batchSize: BatchLoader.BatchSize,
        _ microbatchSize: MicrobatchPlan.Size
    ) -> BatchLoader.Settings {
        var loader = BatchLoader.Settings(
            preparation: SamplePreparation(
                maxTokens: settings.maxSequenceLength,
                appendsEnd: false,
                specials: specials
            ),
            readings: readings,
            batchSize: batchSize,
            microbatchSize: microbatchSize
        )
        loader.name = settings.displayPath
        return loader
    }

    /// Starts a stream of batches.
    ///
    /// - Throws: `CorpusError` for an empty data set or a position that it does not have.
    func loader(from position: DataPosition, _ loader: BatchLoader.Settings) throws -> BatchLoader {
        switch samples {
        case .ordered(let source, let order):
            let remainder: GlobalBatches.Remainder = settings.dropLast ? .dropped : .kept
            return try BatchLoader(
                source,
                batches: try GlobalBatches(order, from: position, remainder: remainder),
                loader
            )
        case .explicit(let dataset): return try BatchLoader(ExplicitOrder(dataset), from: position, loader)
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

extension DataSettings {
    /// The order of the samples in words, but for its seed.
    var orderName: String {
        switch order {
        case .permutation: "a permutation"
        case .sequential: "that of the shards"
        case .explicit: "that of an order"
        case .streaming(let streaming):
            "\(streaming.algorithm.rawValue) on \(streaming.canonicalNodes) nodes"
                + (streaming.blockSize.map { " in blocks of \($0)" } ?? "")
        }
    }
}
