public import EttinCorpus

/// What a recipe says of one source of batches: a data set, its order, how samples become batches.
public struct DataSettings: Hashable, Sendable {
    /// The order of the samples.
    public enum Order: Hashable, Sendable {
        /// NumPy's permutation of all samples, seeded with seed and epoch; what the suite was trained in
        /// (`streaming: false`, `shuffle: true`).
        case permutation
        /// The order of mosaicml-streaming (`streaming: true`, `shuffle: true`).
        case streaming(StreamingSettings)
        /// As the samples are stored (`shuffle: false`).
        case sequential
        /// The batches of a data-order data set, `order_path`.
        case explicit(path: String)
    }

    /// How mosaicml-streaming shuffles.
    public struct StreamingSettings: Hashable, Sendable {
        /// `shuffle_algo`.
        public var algorithm: StreamingOrder.Algorithm
        /// `num_canonical_nodes`.
        public var canonicalNodes: Int
        /// `shuffle_block_size`; nil for the library's default.
        public var blockSize: Int?

        /// Creates settings, by default those of the training code.
        ///
        /// - Parameters:
        ///   - algorithm: The algorithm.
        ///   - canonicalNodes: The number of parts that are shuffled apart.
        ///   - blockSize: The size of the blocks of `py1e` and `py1br`.
        public init(algorithm: StreamingOrder.Algorithm = .py1s, canonicalNodes: Int = 128, blockSize: Int? = nil) {
            self.algorithm = algorithm
            self.canonicalNodes = canonicalNodes
            self.blockSize = blockSize
        }
    }

    /// How sequences share rows.
    public enum Packing: Hashable, Sendable {
        /// Not at all beyond a microbatch, which is unpadded anyway.
        case none
        /// The originals' greedy packer (`sequence_packing: true`); `bufferSize` is `packing_buffer_size`, nil for five
        /// device batches.
        case greedyBestFit(bufferSize: Int?)
    }

    /// One of several data sets that are read as one.
    public struct Stream: Hashable, Sendable {
        /// Its name in the recipe.
        public var name: String
        /// The folder of the data set.
        public var localPath: String
        /// The sub-folder; nil for the data set's own split.
        public var split: String?
        /// How much of it an epoch takes: `proportion`, `repeat` or `choose`.
        public var weight: MDSStreams.Weight

        /// Creates a stream.
        ///
        /// - Parameters:
        ///   - name: Its name in the recipe.
        ///   - localPath: The folder of the data set.
        ///   - split: The sub-folder.
        ///   - weight: How much of it an epoch takes.
        public init(name: String, localPath: String, split: String? = nil, weight: MDSStreams.Weight = .once) {
            self.name = name
            self.localPath = localPath
            self.split = split
            self.weight = weight
        }
    }

    /// The folder of the data set, empty where the samples come from streams; `local`.
    public var localPath: String
    /// Where it can be fetched from; `remote`.
    public var remote: String?
    /// The sub-folder, such as `train`; `split`.
    public var split: String?
    /// The most tokens of a sequence; `max_seq_len`.
    public var maxSequenceLength: Int
    /// Whether samples are shuffled; `shuffle`.
    public var shuffle: Bool
    /// The seed of the order; `shuffle_seed`.
    public var shuffleSeed: UInt64
    /// The order of the samples.
    public var order: Order
    /// Whether the samples at the end of an epoch that fill no batch are left out; `drop_last`.
    public var dropLast: Bool
    /// Threads that prepare batches; `num_workers`, of which 0 means one, as needed.
    public var workerCount: Int
    /// Batches that each of them prepares ahead; `prefetch_factor`.
    public var prefetchFactor: Int
    /// How sequences share rows.
    public var packing: Packing
    /// The data sets that are read as one; empty for `localPath` alone.
    public var streams: [Stream]

    /// Creates settings.
    ///
    /// - Parameters:
    ///   - localPath: The folder of the data set.
    ///   - remote: Where it can be fetched from.
    ///   - split: The sub-folder.
    ///   - maxSequenceLength: The most tokens of a sequence.
    ///   - shuffle: Whether samples are shuffled.
    ///   - shuffleSeed: The seed of the order; by default that of mosaicml-streaming.
    ///   - order: The order of the samples; nil for the permutation, or the stored one without shuffling.
    ///   - dropLast: Whether the samples at the end of an epoch that fill no batch are left out.
    ///   - workerCount: Threads that prepare batches.
    ///   - prefetchFactor: Batches that each of them prepares ahead.
    ///   - packing: How sequences share rows.
    ///   - streams: The data sets that are read as one.
    public init(
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
