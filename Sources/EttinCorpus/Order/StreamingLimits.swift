/// What the numbers of a streaming order may be; within these, no sum or product of them overflows.
enum StreamingLimits {
    /// Canonical nodes, machines, and the ranks of all of them.
    static let nodes = 1...1 << 20
    /// The samples of an epoch, whose shuffled order is held in memory.
    static let samples = 1...1 << 32

    static func check(seed: UInt64) throws {
        guard seed > Int64.max else { return }
        throw CorpusError(.invalidOption, file: "shuffle_seed", found: "is \(seed)", expected: "at most \(Int64.max)")
    }

    static func check(_ name: String, _ value: Int, in range: ClosedRange<Int>) throws {
        guard !range.contains(value) else { return }
        throw CorpusError(
            .invalidOption,
            file: name,
            found: "is \(value)",
            expected: value < range.lowerBound ? "at least \(range.lowerBound)" : "at most \(range.upperBound)"
        )
    }
}
