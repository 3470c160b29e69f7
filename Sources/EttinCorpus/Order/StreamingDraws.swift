/// A data set that a streaming order takes samples from.
public struct StreamingSource: Sendable, Hashable {
    /// The number of samples of each shard.
    package var shardSizes: [Int]
    /// How much of it an epoch takes.
    package var weight: MDSStreams.Weight

    /// Describes a data set.
    ///
    /// - Parameters:
    ///   - shardSizes: The number of samples of each shard.
    ///   - weight: How much of it an epoch takes.
    public init(shardSizes: [Int], weight: MDSStreams.Weight = .once) {
        self.shardSizes = shardSizes
        self.weight = weight
    }
}

/// How the `streaming` library draws samples where an epoch does not take all of them once.
public struct StreamingSampling: Sendable, Hashable {
    /// Which samples later epochs draw.
    public enum Method: String, Sendable, Hashable, CaseIterable {
        /// Others in every epoch.
        case balanced
        /// The same in every epoch.
        case fixed
    }

    /// The `sampling_method`.
    package var method: Method
    /// The `sampling_granularity`: how many samples of a shard are drawn at a time.
    package var granularity: Int
    /// The `epoch_size`: the samples of an epoch, for proportions; nil for as many as there are.
    package var epochSize: Int?

    /// Creates settings (default: the library's own).
    ///
    /// - Parameters:
    ///   - method: Which samples later epochs draw.
    ///   - granularity: How many samples of a shard are drawn at a time.
    ///   - epochSize: The samples of an epoch.
    public init(method: Method = .balanced, granularity: Int = 1, epochSize: Int? = nil) {
        self.method = method
        self.granularity = granularity
        self.epochSize = epochSize
    }
}

/// Which samples an epoch takes, before they are shuffled.
struct StreamingDraws: Sendable, Hashable {
    /// What one epoch takes.
    struct Drawn {
        /// The sizes of what is shuffled as a shard: whole shards, as often as they come, and parts of shards.
        let sizes: [Int]
        /// The samples in the order of `sizes`; nil where they are all samples once.
        let samples: [SampleReference]?
    }

    let streams: [StreamingSource]
    let sampling: StreamingSampling
    /// The samples of an epoch.
    let count: Int
    /// The samples of an epoch from each stream.
    let drawn: [Int]
    let seed: UInt64
    private let isShuffled: Bool

    init(_ streams: [StreamingSource], _ sampling: StreamingSampling, seed: UInt64, isShuffled: Bool) throws {
        try StreamingLimits.check(seed: seed)
        try StreamingLimits.check("sampling_granularity", sampling.granularity, in: StreamingLimits.samples)
        if let size = sampling.epochSize { try StreamingLimits.check("epoch_size", size, in: StreamingLimits.samples) }
        self.streams = streams
        self.sampling = sampling
        self.seed = seed
        self.isShuffled = isShuffled
        let counts = try Self.counts(streams)
        drawn = try Self.drawn(streams, counts, epochSize: sampling.epochSize, seed: seed)
        count = try Self.sum(drawn)
        guard count > 0 else {
            throw CorpusError(.invalidOption, file: "the streams", found: "give no samples", expected: "at least one")
        }
    }

    // MARK: Counts

    // The samples of each stream.
    private static func counts(_ streams: [StreamingSource]) throws -> [Int] {
        let counts = try streams.enumerated().map { position, stream in
            if let shard = stream.shardSizes.firstIndex(where: { $0 < 0 }) {
                throw CorpusError(
                    .invalidOption,
                    file: "shard sizes",
                    item: "shard \(shard)",
                    found: "has \(stream.shardSizes[shard]) samples",
                    expected: "0 or more"
                )
            }
            let count = try sum(stream.shardSizes)
            guard count > 0 else {
                throw CorpusError(
                    .invalidOption,
                    file: streams.count == 1 ? "the data set" : "stream \(position)",
                    found: "has no samples",
                    expected: "at least one"
                )
            }
            return count
        }
        _ = try sum(counts)
        return counts
    }

    private static func sum(_ numbers: [Int]) throws -> Int {
        var sum = 0
        for number in numbers {
            guard number <= StreamingLimits.samples.upperBound - sum else {
                throw CorpusError(
                    .invalidOption,
                    file: "the number of samples",
                    found: "is more than \(StreamingLimits.samples.upperBound)",
                    expected: "fewer: the orders of streaming are held in memory"
                )
            }
            sum += number
        }
        return sum
    }

    // The samples of an epoch from each stream.
    private static func drawn(
        _ streams: [StreamingSource],
        _ counts: [Int],
        epochSize: Int?,
        seed: UInt64
    ) throws -> [Int] {
        let proportions = streams.compactMap { stream -> Double? in
            if case .proportion(let share) = stream.weight { share } else { nil }
        }
        guard proportions.isEmpty || proportions.count == streams.count else {
            throw weightError("\(proportions.count) of \(streams.count) streams have a proportion", "all or none")
        }
        if !proportions.isEmpty {
            guard proportions.allSatisfy({ $0 >= 0 && $0.isFinite }), proportions.contains(where: { $0 > 0 }) else {
                throw weightError("the proportions are \(proportions)", "numbers from 0, not all of them 0")
            }
            return divided(try epochSize ?? sum(counts), proportions, seed: seed)
        }
        if let epochSize {
            guard streams.allSatisfy({ $0.weight == .once }) else {
                throw weightError("epoch_size is given beside repeat or choose", "proportions, or no weights")
            }
            return divided(epochSize, counts.map { Double($0) }, seed: seed)
        }
        return try zip(streams, counts).map { stream, count in
            switch stream.weight {
            case .once, .proportion: return count
            case .samples(let number):
                guard number >= 0 else { throw weightError("choose is \(number)", "a number from 0") }
                return number
            case .repeated(let times):
                let number = times * Double(count)
                guard times >= 0, number <= Double(StreamingLimits.samples.upperBound) else {
                    throw weightError(
                        "repeat is \(times) for \(count) samples",
                        "a number from 0 that gives at most \(StreamingLimits.samples.upperBound) samples"
                    )
                }
                return Int(number)
            }
        }
    }

    private static func weightError(_ found: String, _ expected: String) -> CorpusError {
        CorpusError(.invalidOption, file: "stream weights", found: found, expected: expected)
    }

    // What rounding down leaves over goes to random streams.
    private static func divided(_ total: Int, _ proportions: [Double], seed: UInt64) -> [Int] {
        let sum = NumPyGenerator.sum(proportions[...])
        guard sum.isFinite else { return divided(total, proportions.map { $0 / 0x1p64 }, seed: seed) }
        var drawn = proportions.map { Int(Double(total) * ($0 / sum)) }
        var random = NumPyGenerator(seed: seed)
        let left = max(0, total - drawn.reduce(0, +))
        for stream in random.choice(min(left, drawn.count), of: drawn.count) { drawn[stream] += 1 }
        return drawn
    }

    // MARK: Samples

    /// The samples of an epoch.
    func drawn(epoch: Int) -> Drawn {
        let shards = streams.map { $0.shardSizes.filter { $0 > 0 } }
        if drawn == streams.map({ $0.shardSizes.reduce(0, +) }) {
            return Drawn(sizes: shards.flatMap { $0 }, samples: nil)
        }
        var random = NumPyGenerator(seed: sampling.method == .balanced ? seed + UInt64(epoch) : seed)
        var sizes: [Int] = []
        var samples: [SampleReference] = []
        samples.reserveCapacity(count)
        var first = 0
        for (stream, source) in streams.enumerated() {
            let perShard = drawnPerShard(stream, epoch: epoch)
            let total = source.shardSizes.reduce(0, +)
            // Every repetition is a visit of its own, for the masks.
            let visits = max(1, (drawn[stream] + total - 1) / total)
            for (size, wanted) in zip(source.shardSizes, perShard) where size > 0 {
                let (whole, part) = wanted.quotientAndRemainder(dividingBy: size)
                for visit in 0..<whole {
                    sizes.append(size)
                    samples += (first..<first + size).map { SampleReference(index: $0, pass: epoch * visits + visit) }
                }
                if part > 0 {
                    sizes.append(part)
                    samples += random.choice(part, of: size).sorted().map {
                        SampleReference(index: first + $0, pass: epoch * visits + whole)
                    }
                }
                first += size
            }
        }
        return Drawn(sizes: sizes, samples: samples)
    }

    // How many samples of each shard of a stream an epoch takes.
    private func drawnPerShard(_ stream: Int, epoch: Int) -> [Int] {
        let sizes = streams[stream].shardSizes
        let total = sizes.reduce(0, +)
        let (whole, part) = drawn[stream].quotientAndRemainder(dividingBy: total)
        var result = sizes.map { $0 * whole }
        guard part > 0 else { return result }
        // A pick takes as many samples of one shard as the granularity says; the last of a shard takes what is left.
        var picks: [(shard: Int, samples: Int)] = []
        for (shard, size) in sizes.enumerated() {
            for start in stride(from: 0, to: size, by: sampling.granularity) {
                picks.append((shard, min(sampling.granularity, size - start)))
            }
            // An upstream quirk: an empty shard lets the last pick of the one before it count as a full one.
            if size == 0, let last = picks.indices.last { picks[last].samples = sampling.granularity }
        }
        let movesOn = isShuffled && sampling.method == .balanced
        var random = NumPyGenerator(seed: movesOn ? seed + UInt64(epoch) : seed)
        var left = part
        for pick in random.permutation(picks.count) {
            let taken = min(left, picks[pick].samples)
            result[picks[pick].shard] += taken
            left -= taken
            if left == 0 { break }
        }
        return result
    }
}
