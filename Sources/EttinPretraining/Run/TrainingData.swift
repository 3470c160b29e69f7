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
            try dataset.checkFiles()
            samples = .explicit(dataset)
            runIdentity = Self.runIdentity(settings, dataset.index.shards)
            return
        }
        let datasets = try settings.weightedFolders.map { folder in
            (dataset: try MDSDataset(folder: folder.path, split: folder.split), weight: folder.weight)
        }
        for (dataset, _) in datasets { try dataset.checkFiles() }
        let shards = datasets.flatMap(\.dataset.index.shards)
        let source: any TokenSource = datasets.count == 1 ? datasets[0].dataset : try MDSStreams(datasets)
        samples = .ordered(source, try settings.sampleOrder(of: datasets))
        runIdentity = Self.runIdentity(settings, shards)
    }

    /// The content is known by sizes and hashes of the shards as the index has them, before any compression.
    private static func runIdentity(_ settings: DataSettings, _ shards: [MDSShardDescription]) -> [String: String] {
        let parts = shards.map { shard in
            let hashes = shard.raw.hashes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            return "\(shard.sampleCount) \(shard.raw.byteCount) \(hashes.joined(separator: " "))"
        }
        let digest = SHA256Digest(of: Array(parts.joined(separator: "\n").utf8))
        let count = shards.reduce(0) { $0 + $1.sampleCount }
        var weights = settings.streams.map { "\($0.weight)" }.joined(separator: ", ")
        var dependsOnSeed = settings.shuffle
        if case .streaming = settings.order, settings.streams.contains(where: { $0.weight != .once }) {
            // Earlier versions interleaved such streams in an order of their own.
            weights += ", drawn as streaming draws"
            dependsOnSeed = true
        }
        var runIdentity = [
            "the data set": "\(count) samples with the digest \("\(digest)".prefix(12))",
            "the order of the samples": settings.orderName + (weights.isEmpty ? "" : " with the weights \(weights)"),
            "drop_last": "\(settings.dropLast)",
        ]
        if dependsOnSeed { runIdentity["shuffle_seed"] = "\(settings.shuffleSeed)" }
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
    /// The folders of the data sets, with how much of each an epoch takes.
    var weightedFolders: [(path: String, split: String?, weight: MDSStreams.Weight)] {
        streams.isEmpty
            ? [(localPath, split, .once)] : streams.map { ($0.localPath, $0.split ?? split, $0.weight) }
    }

    /// The order in which a run sees the samples of its data sets.
    ///
    /// - Throws: `CorpusError` for weights or settings of the order that do not fit the data.
    func sampleOrder(of datasets: [(dataset: MDSDataset, weight: MDSStreams.Weight)]) throws -> any SampleOrder {
        if case .streaming(let streaming) = order {
            return try StreamingOrder(
                streams: datasets.map { dataset, weight in
                    StreamingSource(shardSizes: dataset.index.shards.map(\.sampleCount), weight: weight)
                },
                algorithm: shuffle ? streaming.algorithm : nil,
                canonicalNodes: streaming.canonicalNodes,
                seed: shuffleSeed,
                blockSize: streaming.blockSize,
                sampling: streaming.sampling
            )
        }
        if datasets.contains(where: { $0.weight != .once }) {
            // The permutation knows no weights that differ; our own mixture does.
            let sources = try MDSStreams(datasets).streams.map {
                try MixtureSource(count: $0.dataset.sampleCount, drawn: $0.drawCount)
            }
            return MixedOrder(sources, seed: shuffleSeed)
        }
        let count = datasets.reduce(0) { $0 + $1.dataset.sampleCount }
        return order == .permutation
            ? NumPyPermutationOrder(count: count, seed: shuffleSeed) : SequentialOrder(count: count)
    }

    /// The order of the samples in words, but for its seed.
    ///
    /// Runs remember it: an order that changes from one version to the next must have another name.
    var orderName: String {
        switch order {
        case .permutation: "a permutation"
        case .sequential: "that of the shards"
        case .explicit: "that of an order"
        case .streaming(let streaming):
            // Earlier versions listed the samples of node after node, under a name without "taking turns".
            (shuffle ? "\(streaming.algorithm.rawValue) on \(streaming.canonicalNodes) nodes" : "that of the shards")
                + (shuffle ? streaming.blockSize.map { " in blocks of \($0)" } ?? "" : "")
                + (shuffle || streaming.canonicalNodes == 1 ? "" : " on \(streaming.canonicalNodes) nodes")
                + streaming.sampling.words + (streaming.canonicalNodes > 1 ? " taking turns" : "")
        }
    }
}

extension StreamingSampling {
    /// What is not the library's default, for the name of an order.
    fileprivate var words: String {
        let fixed = method == .fixed ? ", \(method.rawValue) sampling" : ""
        let granules = granularity == 1 ? "" : ", granularity \(granularity)"
        return fixed + granules + (epochSize.map { ", epochs of \($0) samples" } ?? "")
    }
}
