import EttinJSON

/// How many sequences have which length.
public struct LengthHistogram: Hashable, Sendable {
    /// The number of sequences by length.
    public private(set) var counts: [Int: Int] = [:]
    /// The number of sequences.
    public private(set) var sequenceCount = 0
    /// The sum of the lengths.
    public private(set) var tokenCount = 0

    /// Creates an empty histogram.
    package init() {}

    /// Counts a sequence.
    ///
    /// - Parameter length: The number of its tokens.
    package mutating func add(_ length: Int) {
        counts[length, default: 0] += 1
        sequenceCount += 1
        tokenCount += length
    }

    /// The length below which a share of all sequences lies, interpolated linearly as `numpy.percentile` does.
    ///
    /// - Parameter percent: 0 to 100.
    /// - Returns: The length; nil when there is no sequence.
    public func percentile(_ percent: Double) -> Double? {
        guard sequenceCount > 0 else { return nil }
        let place = percent / 100 * Double(sequenceCount - 1)
        let below = min(Int(place), sequenceCount - 1)
        let (low, high) = (Double(length(at: below)), Double(length(at: min(below + 1, sequenceCount - 1))))
        let share = place - Double(below)
        return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1 - share)
    }

    /// The length at a position of the sorted lengths.
    private func length(at position: Int) -> Int {
        var passed = 0
        for (length, count) in counts.sorted(by: { $0.key < $1.key }) {
            passed += count
            if position < passed { return length }
        }
        return 0
    }

    /// The percentiles of `stats.json`, cut to whole numbers.
    var publishedPercentiles: JSONValue {
        let percents = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100]
        return .object(
            JSONObject(percents.map { ("\($0)th", percentile(Double($0)).map { JSONValue(Int($0)) } ?? .null) })
        )
    }

    /// Pairs of length and count, in the order of the lengths.
    var json: JSONValue {
        .array(counts.sorted { $0.key < $1.key }.map { [JSONValue($0.key), JSONValue($0.value)] })
    }
}
