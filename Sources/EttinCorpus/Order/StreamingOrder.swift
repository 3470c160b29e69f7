/// The shuffled orders of the `streaming` library, bit for bit.
///
/// Shards are put into an order that is fixed for the run, divided into as many parts as there are canonical nodes, and
/// shuffled within the parts in every epoch, so that a node needs few shards at a time.
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

    /// The number of positions of an epoch.
    public let count: Int
    private let shardSizes: [Int]
    private let algorithm: Algorithm
    private let canonicalNodes: Int
    private let seed: UInt64
    private let blockSize: Int

    /// Creates an order.
    ///
    /// - Parameters:
    ///   - shardSizes: The number of samples of each shard.
    ///   - algorithm: How to shuffle.
    ///   - canonicalNodes: The number of parts.
    ///   - seed: The `shuffle_seed`.
    ///   - blockSize: The `shuffle_block_size`, for `py1e` and `py1br`; nil for the library's default.
    /// - Throws: `CorpusError` for impossible values, among them fewer samples than nodes with `py1e`.
    public init(
        shardSizes: [Int],
        algorithm: Algorithm,
        canonicalNodes: Int,
        seed: UInt64 = defaultSeed,
        blockSize: Int? = nil
    ) throws {
        guard canonicalNodes >= 1 else {
            throw CorpusError(
                .invalidOption,
                file: "num_canonical_nodes",
                found: "is \(canonicalNodes)",
                expected: "a positive number"
            )
        }
        if let shard = shardSizes.firstIndex(where: { $0 < 0 }) {
            throw CorpusError(
                .invalidOption,
                file: "shard sizes",
                item: "shard \(shard)",
                found: "has \(shardSizes[shard]) samples",
                expected: "a number that is not negative"
            )
        }
        let blockSize = blockSize ?? Self.defaultBlockSize(canonicalNodes: canonicalNodes)
        // Below 2, three quarters of the block are nothing.
        guard blockSize >= 2 else {
            throw CorpusError(
                .invalidOption,
                file: "shuffle_block_size",
                found: "is \(blockSize)",
                expected: "at least 2"
            )
        }
        count = shardSizes.reduce(0, +)
        guard algorithm != .py1e || count >= canonicalNodes else {
            throw CorpusError(
                .invalidOption,
                file: "num_canonical_nodes",
                found: "is \(canonicalNodes), but there are only \(count) samples",
                expected: "at most one node for each sample with py1e"
            )
        }
        self.shardSizes = shardSizes
        self.algorithm = algorithm
        self.canonicalNodes = canonicalNodes
        self.seed = seed
        self.blockSize = blockSize
    }

    /// The library's default block size.
    ///
    /// - Parameter canonicalNodes: The number of canonical nodes.
    /// - Returns: 4 000 000 samples over all nodes, at least 2¹⁸ for each.
    public static func defaultBlockSize(canonicalNodes: Int) -> Int { max(4_000_000 / canonicalNodes, 1 << 18) }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples.
    public func sequence(epoch: Int) -> any SampleSequence { permutation(epoch: epoch) }

    /// The library's default number of canonical nodes.
    ///
    /// - Parameters:
    ///   - algorithm: How to shuffle.
    ///   - physicalNodes: The number of machines.
    /// - Returns: The number of machines, 64 times as many for `py1s` and `py2s`.
    public static func defaultCanonicalNodes(_ algorithm: Algorithm, physicalNodes: Int) -> Int {
        algorithm == .py1s || algorithm == .py2s ? 64 * physicalNodes : physicalNodes
    }

    /// The order of an epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: All samples in order.
    public func permutation(epoch: Int) -> StoredSequence {
        var random = NumPyGenerator(seed: seed + UInt64(epoch))
        switch algorithm {
        case .naive:
            return NumPyPermutationOrder(count: count, seed: seed, variant: .rotated).permutation(epoch: epoch)
        case .py2s:
            return StoredSequence(shuffledTwice(&random), pass: epoch)
        case .py1s, .py1e, .py1br:
            var parts = dividedSpans()
            for part in parts.indices { random.shuffle(&parts[part]) }
            let indices =
                switch algorithm {
                case .py1e: moved(parts, &random)
                case .py1br: shuffledInBlocks(parts, &random)
                default: shuffledInSpans(parts.joined(), &random)
                }
            return StoredSequence(indices, pass: epoch)
        }
    }
}

// MARK: - Parts

extension StreamingOrder {
    private var shards: [Range<Int>] {
        var start = 0
        return shardSizes.map { size in
            defer { start += size }
            return start..<start + size
        }
    }

    // The shards in the order of the run, cut where a part ends.
    private func dividedSpans() -> [[Range<Int>]] {
        var spans = shards
        var random = NumPyGenerator(seed: seed)
        random.shuffle(&spans)
        return divided(spans)
    }

    // A span that starts just where a part ends belongs to that part if it is empty, else to the next one.
    private func divided<Span: RandomAccessCollection>(_ spans: [Span]) -> [[Span.SubSequence]]
    where Span.Index == Int {
        var rest = spans.map { $0[...] }[...]
        var start = 0
        return (0..<canonicalNodes).map { part in
            let end = count * (part + 1) / canonicalNodes
            var taken: [Span.SubSequence] = []
            while let span = rest.first, start + span.count <= end {
                taken.append(span)
                rest.removeFirst()
                start += span.count
            }
            if let span = rest.first, start < end {
                taken.append(span.prefix(end - start))
                rest[rest.startIndex] = span.dropFirst(end - start)
                start = end
            }
            return taken
        }
    }
}

// MARK: - Algorithms

extension StreamingOrder {
    private func shuffledInSpans(_ spans: some Sequence<Range<Int>>, _ random: inout NumPyGenerator) -> [Int] {
        var indices: [Int] = []
        for span in spans {
            let start = indices.count
            indices += span
            random.shuffle(&indices[start...])
        }
        return indices
    }

    private func moved(_ parts: [[Range<Int>]], _ random: inout NumPyGenerator) -> [Int] {
        parts.flatMap { spans in
            let indices = shuffledInSpans(spans, &random)
            var places: [Double] = []
            places.reserveCapacity(indices.count)
            for span in spans {
                let block = random.integer(in: smallestBlock..<largestBlock)
                let reach = max(0, Double(block - span.count) / 2)
                let start = places.count
                let low = max(-reach, Double(-start))
                let high = min(reach, Double(indices.count - start - span.count))
                for offset in 0..<span.count { places.append(Double(start + offset) + random.uniform(low, high)) }
            }
            // Equal places are practically impossible; the original's sort does not define their order.
            let order = indices.indices.sorted { (places[$0], $0) < (places[$1], $1) }
            return order.map { indices[$0] }
        }
    }

    private func shuffledInBlocks(_ parts: [[Range<Int>]], _ random: inout NumPyGenerator) -> [Int] {
        let staggers = parts.map { _ in random.integer(in: 0..<smallestBlock) }
        var indices: [Int] = []
        for (spans, stagger) in zip(parts, staggers) {
            let start = indices.count
            for span in spans { indices += span }
            var blocks: [Range<Int>] = []
            // Counted in block lengths and not in places, so that blocks overlap after the first: an upstream quirk.
            var counted = start
            while counted < indices.count {
                let size = random.integer(in: smallestBlock..<largestBlock)
                let block = max(counted - stagger, start)..<min(counted + size - stagger, indices.count)
                blocks.append(block)
                counted += block.count
            }
            for block in blocks { random.shuffle(&indices[block]) }
        }
        return indices
    }

    private func shuffledTwice(_ random: inout NumPyGenerator) -> [Int] {
        var fixed = NumPyGenerator(seed: seed)
        var shards = shards.map { Array($0) }
        fixed.shuffle(&shards)
        for shard in shards.indices { fixed.shuffle(&shards[shard]) }
        var indices: [Int] = []
        for part in divided(shards) {
            var part = part
            random.shuffle(&part)
            for span in part {
                let start = indices.count
                indices += span
                random.shuffle(&indices[start...])
            }
        }
        return indices
    }

    private var smallestBlock: Int { Int(0.75 * Double(blockSize)) }
    private var largestBlock: Int { Int(1.25 * Double(blockSize)) }
}
