/// The shuffles of the `streaming` library, bit for bit.
///
/// Shards are put into an order that is fixed for the run, divided into as many parts as there are canonical nodes, and
/// shuffled within the parts in every epoch, so that a node needs few shards at a time. The result lists one part after
/// the other; ``ElasticPartition`` deals it out.
package struct StreamingShuffle: Sendable, Hashable {
    let algorithm: StreamingOrder.Algorithm
    /// The block size that was asked for; nil for the library's default.
    let givenBlockSize: Int?
    private let canonicalNodes: Int
    private let seed: UInt64

    /// Creates a shuffle.
    ///
    /// - Parameters:
    ///   - algorithm: How to shuffle.
    ///   - canonicalNodes: The number of parts.
    ///   - seed: The `shuffle_seed`.
    ///   - blockSize: The `shuffle_block_size`, for `py1e` and `py1br`; nil for the library's default.
    /// - Throws: `CorpusError` for impossible values.
    package init(
        _ algorithm: StreamingOrder.Algorithm,
        canonicalNodes: Int,
        seed: UInt64,
        blockSize: Int?
    ) throws {
        try StreamingLimits.check("num_canonical_nodes", canonicalNodes, in: StreamingLimits.nodes)
        try StreamingLimits.check(seed: seed)
        if let blockSize { try StreamingLimits.check("shuffle_block_size", blockSize, in: algorithm.blockSizes) }
        self.algorithm = algorithm
        self.canonicalNodes = canonicalNodes
        self.seed = seed
        givenBlockSize = blockSize
    }

    /// Shuffles the samples of an epoch.
    ///
    /// - Parameters:
    ///   - sizes: The number of samples of each shard, or of each part of one that an epoch takes.
    ///   - epoch: The number of the epoch, from 0.
    /// - Returns: All samples in order, numbered through the sizes.
    package func order(of sizes: [Int], epoch: Int) -> [Int] {
        var random = NumPyGenerator(seed: seed + UInt64(epoch))
        switch algorithm {
        case .naive:
            return random.permutation(sizes.reduce(0, +))
        case .py2s:
            return shuffledTwice(sizes, &random)
        case .py1s, .py1e, .py1br:
            var parts = dividedSpans(sizes)
            for part in parts.indices { random.shuffle(&parts[part]) }
            switch algorithm {
            case .py1e: return moved(parts, &random)
            case .py1br: return shuffledInBlocks(parts, &random)
            default: return shuffledInSpans(parts.joined(), &random)
            }
        }
    }
}

extension StreamingOrder.Algorithm {
    /// The block sizes with which the library's draws have a range.
    fileprivate var blockSizes: ClosedRange<Int> {
        // py1br draws below three quarters of a block, which are nothing for a block of 1.
        (self == .py1br ? 2 : 1)...1 << 60
    }
}

// MARK: - Parts

extension StreamingShuffle {
    private func spans(_ sizes: [Int]) -> [Range<Int>] {
        var start = 0
        return sizes.map { size in
            defer { start += size }
            return start..<start + size
        }
    }

    // The shards in the order of the run, cut where a part ends.
    private func dividedSpans(_ sizes: [Int]) -> [[Range<Int>]] {
        var spans = spans(sizes)
        var random = NumPyGenerator(seed: seed)
        random.shuffle(&spans)
        return divided(spans)
    }

    // A span that starts just where a part ends belongs to that part if it is empty, else to the next one.
    private func divided<Span: RandomAccessCollection>(_ spans: [Span]) -> [[Span.SubSequence]]
    where Span.Index == Int {
        let count = spans.reduce(0) { $0 + $1.count }
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

extension StreamingShuffle {
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

    private func shuffledTwice(_ sizes: [Int], _ random: inout NumPyGenerator) -> [Int] {
        var fixed = NumPyGenerator(seed: seed)
        var shards = spans(sizes).map { Array($0) }
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

    private var blockSize: Int { givenBlockSize ?? StreamingOrder.defaultBlockSize(canonicalNodes: canonicalNodes) }
    private var smallestBlock: Int { Int(0.75 * Double(blockSize)) }
    private var largestBlock: Int { Int(1.25 * Double(blockSize)) }
}
