import EttinFiles

/// Several data sets that are read as one, each with a weight.
///
/// Samples are numbered through: those of the first stream, then those of the second. How often each stream's samples
/// are drawn in an epoch follows from the weights, as in the Python library.
public struct MDSStreams: Sendable {
    /// How much of a stream an epoch takes.
    ///
    /// Either all streams of a collection have a proportion, or none.
    public enum Weight: Hashable, Sendable {
        /// Every sample once.
        case once
        /// A share of the epoch, relative to the other streams' proportions.
        case proportion(Double)
        /// Every sample so many times; a fraction takes a part.
        case repeated(Double)
        /// A number of samples.
        case samples(Int)
    }

    /// One data set of several.
    package struct Stream: Sendable {
        /// The data set.
        package let dataset: MDSDataset
        /// Its weight.
        package let weight: Weight
        /// The number of its first sample.
        package let firstSample: Int
        /// How many samples an epoch draws from it.
        package let drawCount: Int
    }

    /// The data sets in order.
    package let streams: [Stream]
    /// The number of different samples.
    public let sampleCount: Int

    /// Joins data sets.
    ///
    /// - Parameters:
    ///   - datasets: The data sets with their weights.
    ///   - epochSampleCount: The samples of an epoch, for proportions; nil for as many as there are.
    /// - Throws: `CorpusError` when proportions are mixed with other weights, a weight is impossible, or something is to
    ///   be drawn from an empty data set.
    public init(_ datasets: [(dataset: MDSDataset, weight: Weight)], epochSampleCount: Int? = nil) throws {
        func refused(_ position: Int, _ found: String, _ expected: String) -> CorpusError {
            CorpusError(
                .invalidOption,
                file: datasets[position].dataset.folder,
                item: "weight",
                found: found,
                expected: expected
            )
        }
        var proportions: [Double] = []
        for (position, entry) in datasets.enumerated() {
            switch entry.weight {
            case .once: break
            case .proportion(let share):
                guard share > 0, share.isFinite else { throw refused(position, "is \(share)", "a positive number") }
                proportions.append(share)
            case .repeated(let times):
                // What an epoch draws is counted, added and multiplied.
                guard times >= 0, times * Double(entry.dataset.sampleCount) <= 0x1p40 else {
                    throw refused(position, "is \(times)", "a number from 0 that gives at most \(1 << 40) samples")
                }
            case .samples(let count):
                guard 0...1 << 40 ~= count else { throw refused(position, "is \(count)", "0 to \(1 << 40)") }
            }
            guard proportions.isEmpty || proportions.count == position + 1 else {
                throw refused(position, "is mixed with proportions", "a proportion for every stream or for none")
            }
        }
        let total = datasets.reduce(0) { $0 + $1.dataset.sampleCount }
        let counts =
            proportions.isEmpty
            ? datasets.map { Self.drawCount($0.weight, of: $0.dataset.sampleCount) }
            : Self.split(epochSampleCount ?? total, proportions)
        guard counts.allSatisfy({ $0 <= Self.largestDraw }), counts.reduce(0, +) <= Self.largestDraw else {
            let position = counts.indices.max { counts[$0] < counts[$1] } ?? 0
            throw refused(position, "asks for too many samples", "at most \(Self.largestDraw) of all streams together")
        }
        var streams: [Stream] = []
        var first = 0
        for (position, (entry, count)) in zip(datasets, counts).enumerated() {
            guard count == 0 || entry.dataset.sampleCount > 0 else {
                throw refused(position, "asks for \(count) samples", "0, because the data set is empty")
            }
            streams.append(
                Stream(dataset: entry.dataset, weight: entry.weight, firstSample: first, drawCount: count)
            )
            first += entry.dataset.sampleCount
        }
        self.streams = streams
        sampleCount = total
    }

    /// The most samples of an epoch.
    private static let largestDraw = 1 << 53

    private static func drawCount(_ weight: Weight, of sampleCount: Int) -> Int {
        switch weight {
        case .once, .proportion: sampleCount
        case .repeated(let times): Int(exactly: (times * Double(sampleCount)).rounded(.towardZero)) ?? .max
        case .samples(let count): count
        }
    }

    /// Whole numbers in given proportions; what rounding leaves over goes to the largest remainders.
    static func split(_ total: Int, _ proportions: [Double]) -> [Int] {
        let sum = proportions.reduce(0, +)
        // Proportions may each be finite and their sum not.
        guard sum.isFinite else { return split(total, proportions.map { $0 / 0x1p64 }) }
        let exact = proportions.map { Double(total) * ($0 / sum) }
        var counts = exact.map { min(total, Int(exactly: $0.rounded(.towardZero)) ?? total) }
        let byRemainder = exact.indices.sorted {
            let (left, right) = (exact[$0] - Double(counts[$0]), exact[$1] - Double(counts[$1]))
            return left == right ? $0 < $1 : left > right
        }
        let left = total - (counts.checkedSum() ?? total)
        for position in byRemainder.prefix(max(0, left)) { counts[position] += 1 }
        return counts
    }

    /// The stream of a sample and the position there.
    ///
    /// - Parameter sample: The number of the sample in the joined data set.
    /// - Returns: The position of the stream and of the sample in it.
    package func location(of sample: Int) -> (stream: Int, sample: Int) {
        precondition((0..<sampleCount).contains(sample), "sample \(sample) of \(sampleCount)")
        // Streams are few; those without samples are passed over because the next begins at the same number.
        let stream = streams.lastIndex { $0.firstSample <= sample } ?? 0
        return (stream, sample - streams[stream].firstSample)
    }

    /// The token ids of a sample.
    ///
    /// - Parameters:
    ///   - sample: The number of the sample in the joined data set.
    ///   - column: The name of a column of whole numbers.
    /// - Returns: The ids.
    /// - Throws: `CorpusError` when the shard or the sample is malformed or has no such column.
    public func tokenIDs(at sample: Int, column: String = "input_ids") throws -> [Int32] {
        let (stream, local) = location(of: sample)
        return try streams[stream].dataset.tokenIDs(at: local, column: column)
    }
}
