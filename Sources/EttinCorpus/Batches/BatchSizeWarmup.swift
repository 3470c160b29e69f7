/// A batch size that grows from a smallest to a largest one while a number of tokens is seen.
///
/// Each size is kept for a number of tokens proportional to itself, so every size lasts equally many batches. In the
/// originals this lives inside the packer and had no effect without it; here it works with and without.
public struct BatchSizeWarmup: Sendable, Hashable {
    /// The size at the start.
    package let smallest: Int
    /// The size at the end.
    package let largest: Int
    /// The number of tokens from which on the largest size is used.
    package let tokens: Int
    /// The number of tokens up to which each size but the largest is used.
    package let thresholds: [Int]

    /// Creates a warm-up.
    ///
    /// - Parameters:
    ///   - smallest: The size at the start.
    ///   - largest: The size at the end.
    ///   - tokens: The length of the warm-up, `batch_size_warmup_tokens`; of all ranks together.
    ///   - worldSize: The number of ranks, if sizes are looked up by the tokens of one rank, as the originals do; 1 for
    ///     the tokens of all ranks.
    /// - Throws: `CorpusError` for impossible sizes.
    public init(smallest: Int, largest: Int, tokens: Int, worldSize: Int = 1) throws {
        guard 1 <= smallest, smallest <= largest else {
            throw CorpusError(
                .invalidOption,
                file: "batch_size_warmup_min_size",
                found: "is \(smallest) with a full size of \(largest)",
                expected: "at least 1 and at most the full size"
            )
        }
        guard tokens >= 0, worldSize >= 1 else {
            throw CorpusError(
                .invalidOption,
                file: "batch_size_warmup_tokens",
                found: "is \(tokens) for \(worldSize) ranks",
                expected: "0 or more, and at least one rank"
            )
        }
        self.smallest = smallest
        self.largest = largest
        self.tokens = (tokens + worldSize - 1) / worldSize
        // In floating point like the original, whose rounding decides at the thresholds.
        let perUnit = Double(self.tokens) / Double((smallest..<largest).reduce(0, +))
        var units = 0
        thresholds = (smallest..<largest).map { size in
            units += size
            return Int((perUnit * Double(units)).rounded(.up))
        }
    }

    /// The size of the next batch.
    ///
    /// - Parameter tokens: The number of tokens seen before it.
    /// - Returns: The size.
    package func size(afterTokens tokens: Int) -> Int {
        if tokens >= self.tokens { return largest }
        var (low, high) = (0, thresholds.count)
        while low < high {
            let middle = (low + high) / 2
            if tokens < thresholds[middle] { high = middle } else { low = middle + 1 }
        }
        return smallest + low
    }
}
