/// A source of a mixture: how many samples it has, and how many of them an epoch takes.
package struct MixtureSource: Sendable, Hashable {
    /// The number of samples of the source.
    package let count: Int
    /// The number of samples that an epoch takes; more than `count` repeats the source.
    package let drawn: Int

    /// Creates a source.
    ///
    /// - Parameters:
    ///   - count: The number of samples of the source.
    ///   - drawn: The number of samples that an epoch takes.
    /// - Throws: `CorpusError` for a negative number, or samples of an empty source.
    package init(count: Int, drawn: Int) throws {
        guard count >= 0, drawn >= 0 else {
            throw CorpusError(
                .invalidOption,
                file: "mixture source",
                found: "has \(count) samples, of which an epoch takes \(drawn)",
                expected: "non-negative numbers"
            )
        }
        guard count > 0 || drawn == 0 else {
            throw CorpusError(
                .invalidOption,
                file: "mixture source",
                found: "is empty, but an epoch takes \(drawn) samples of it",
                expected: "at least one sample"
            )
        }
        self.count = count
        self.drawn = drawn
    }

    /// Divides the samples of an epoch among sources by weight, to whole samples by the largest remainders.
    ///
    /// - Parameters:
    ///   - counts: The number of samples of each source.
    ///   - weights: The share of each source; only their ratios matter.
    ///   - total: The number of samples of an epoch.
    /// - Returns: The sources, whose `drawn` sum to `total`.
    /// - Throws: `CorpusError` for weights that are not finite, negative or all zero, or that are not one for each
    ///   source.
    package static func weighted(counts: [Int], weights: [Double], total: Int) throws -> [MixtureSource] {
        let sum = weights.reduce(0, +)
        guard weights.count == counts.count, sum > 0, sum.isFinite, weights.allSatisfy({ $0 >= 0 }), total >= 0 else {
            throw CorpusError(
                .invalidOption,
                file: "mixture weights",
                found: "are \(weights) for \(counts.count) sources and \(total) samples",
                expected: "one finite, non-negative weight per source, at least one of them positive"
            )
        }
        let shares = weights.map { $0 / sum * Double(total) }
        var drawn = shares.map { Int($0) }
        let byRemainder = shares.indices.sorted {
            let (first, second) = (shares[$0] - Double(drawn[$0]), shares[$1] - Double(drawn[$1]))
            return (first, $1) > (second, $0)
        }
        for source in byRemainder.prefix(max(0, total - drawn.reduce(0, +))) { drawn[source] += 1 }
        return try zip(counts, drawn).map { try MixtureSource(count: $0, drawn: $1) }
    }
}
