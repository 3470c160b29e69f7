extension LengthHistogram {
    /// The number of sequences in ranges of lengths, all of the same width.
    ///
    /// - Parameter limit: The most ranges; their width is the smallest power of two with which so many suffice.
    /// - Returns: The ranges from that of length 0 to that of the longest, with their counts; empty without sequences.
    package func ranges(limit: Int = 16) -> [(lengths: Range<Int>, count: Int)] {
        precondition(limit > 0, "LengthHistogram: \(limit) ranges")
        guard let longest = counts.keys.max() else { return [] }
        var width = 1
        while longest / width >= limit { width *= 2 }
        var totals = [Int](repeating: 0, count: longest / width + 1)
        for (length, count) in counts { totals[length / width] += count }
        return totals.enumerated().map { ($0.offset * width..<($0.offset + 1) * width, $0.element) }
    }
}
