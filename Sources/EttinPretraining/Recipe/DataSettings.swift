package import EttinCorpus

/// What a recipe says of one source of batches: a data set, its order, how samples become batches.
package struct DataSettings: Hashable, Sendable {
    /// The order of the samples.
    package enum Order: Hashable, Sendable {
        /// NumPy's permutation of all samples, seeded with seed and epoch; what the suite was trained in
        /// (`streaming: false`, `shuffle: true`).
        case permutation
        /// The order of mosaicml-streaming's loader (`streaming: true`), shuffled or not.
        case streaming(StreamingSettings)
        /// As the samples are stored (`streaming: false`, `shuffle: false`).
        case sequential
        /// The batches of a data-order data set, `order_path`.
        case explicit(path: String)
    }

    /// How mosaicml-streaming orders samples.
    package struct StreamingSettings: Hashable, Sendable {
        /// `shuffle_algo`.
        package var algorithm: StreamingOrder.Algorithm
        /// `num_canonical_nodes`.
        package var canonicalNodes: Int
        /// `shuffle_block_size`; nil for the library's default.
        package var blockSize: Int?
        /// `sampling_method`, `sampling_granularity` and `epoch_size`, for streams of which an epoch takes parts.
        package var sampling: StreamingSampling

        /// Creates settings, by default those of the training code.
        ///
        /// - Parameters:
        ///   - algorithm: The algorithm.
        ///   - canonicalNodes: The number of parts that are shuffled apart.
        ///   - blockSize: The size of the blocks of `py1e` and `py1br`.
        ///   - sampling: How samples are drawn where an epoch does not take all of them once.
        package init(
            algorithm: StreamingOrder.Algorithm = .py1s,
            canonicalNodes: Int = 128,
            blockSize: Int? = nil,
            sampling: StreamingSampling = StreamingSampling()
        ) {
            self.algorithm = algorithm
            self.canonicalNodes = canonicalNodes
            self.blockSize = blockSize
            self.sampling = sampling
        }
    }

    /// How sequences share rows.
    package enum Packing: Hashable, Sendable {
        /// Not at all beyond a microbatch, which is unpadded anyway.
        case none
        /// The originals' greedy packer (`sequence_packing: true`); `bufferSize` is `packing_buffer_size`, nil for five
        /// device batches.
        case greedyBestFit(bufferSize: Int?)
    }

    /// One of several data sets that are read as one.
    package struct Stream: Hashable, Sendable {
        /// Its name in the recipe.
        package var name: String
        /// The folder of the data set.
        package var localPath: String
        /// The sub-folder; nil for the data set's own split.
        package var split: String?
        /// How much of it an epoch takes: `proportion`, `repeat` or `choose`.
        package var weight: MDSStreams.Weight

        /// Creates a stream.
        ///
        /// - Parameters:
        ///   - name: Its name in the recipe.
        ///   - localPath: The folder of the data set.
        ///   - split: The sub-folder.
        ///   - weight: How much of it an epoch takes.
        package init(name: String, localPath: String, split: String? = nil, weight: MDSStreams.Weight = .once) {
            self.name = name
            self.localPath = localPath
            self.split = split
            self.weight = weight
        }
    }

    /// The folder of the data set, empty where the samples come from streams; `local`.
    package var localPath: String
    /// Where it can be fetched from; `remote`.
    package var remote: String?
    /// The sub-folder, such as `train`; `split`.
    package var split: String?
    /// Maximum number of tokens of a sequence; `max_seq_len`.
    package var maxSequenceLength: Int
    /// Whether samples are shuffled; `shuffle`.
    package var shuffle: Bool
    /// The seed of the order; `shuffle_seed`.
    package var shuffleSeed: UInt64
    /// The order of the samples.
    package var order: Order
    /// Whether the samples at the end of an epoch that fill no batch are left out; `drop_last`.
    package var dropLast: Bool
    /// Threads that prepare batches; `num_workers`, of which 0 means one, as needed.
    package var workerCount: Int
    /// Batches that each of them prepares ahead; `prefetch_factor`.
    package var prefetchFactor: Int
    /// How sequences share rows.
    package var packing: Packing
    /// The data sets that are read as one; empty for `localPath` alone.
    package var streams: [Stream]

    /// Creates settings.
    ///
    /// - Parameters:
    ///   - localPath: The folder of the data set.
    ///   - remote: Where it can be fetched from.
    ///   - split: The sub-folder.
    ///   - maxSequenceLength: Maximum number of tokens of a sequence.
    ///   - shuffle: Whether samples are shuffled.
    ///   - shuffleSeed: The seed of the order; by default that of mosaicml-streaming.
    ///   - order: The order of the samples; nil for the permutation, or the stored one without shuffling.
    ///   - dropLast: Whether the samples at the end of an epoch that fill no batch are left out.
    ///   - workerCount: Threads that prepare batches.
    ///   - prefetchFactor: Batches that each of them prepares ahead.
    ///   - packing: How sequences share rows.
    ///   - streams: The data sets that are read as one.
    package init(
        localPath: String,
        remote: String? = nil,
        split: String? = nil,
        maxSequenceLength: Int = 1024,
        shuffle: Bool = true,
        shuffleSeed: UInt64 = 9176,
        order: Order? = nil,
        dropLast: Bool = true,
        workerCount: Int = 0,
        prefetchFactor: Int = 2,
        packing: Packing = .none,
        streams: [Stream] = []
    ) {
        self.localPath = localPath
        self.remote = remote
        self.split = split
        self.maxSequenceLength = maxSequenceLength
        self.shuffle = shuffle
        self.shuffleSeed = shuffleSeed
        self.order = order ?? (shuffle ? .permutation : .sequential)
        self.dropLast = dropLast
        self.workerCount = workerCount
        self.prefetchFactor = prefetchFactor
        self.packing = packing
        self.streams = streams
    }
}
