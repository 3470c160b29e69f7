/// The positions of an epoch that one rank takes: its own number, then every world-size-th.
///
/// All ranks together take consecutive positions, so a global batch holds the same samples at every world size that
/// divides it.
package struct RankPositions: Sendable, Hashable {
    /// What happens to the positions that do not fill all ranks.
    package enum Remainder: String, Sendable, Hashable {
        /// They are left out (`drop_last: true`).
        case dropped
        /// They are completed by positions from the start (`drop_last: false`).
        case padded
    }

    /// The number of positions that this rank takes.
    package let count: Int
    private let total: Int
    private let rank: Int
    private let worldSize: Int

    /// Divides positions.
    ///
    /// - Parameters:
    ///   - total: The number of positions of all ranks.
    ///   - rank: The number of this rank.
    ///   - worldSize: The number of ranks.
    ///   - remainder: What happens to the positions that do not fill all ranks.
    package init(of total: Int, rank: Int, worldSize: Int, remainder: Remainder = .dropped) {
        precondition(total >= 0 && 0 <= rank && rank < worldSize, "rank \(rank) of \(worldSize), \(total) positions")
        self.total = total
        self.rank = rank
        self.worldSize = worldSize
        count = remainder == .dropped ? total / worldSize : (total + worldSize - 1) / worldSize
    }

    /// The position of an element.
    ///
    /// - Parameter element: Which of this rank's elements, in `0..<count`.
    /// - Returns: A position in the epoch.
    package subscript(element: Int) -> Int {
        precondition(0 <= element && element < count, "element \(element) of \(count)")
        return (rank + element * worldSize) % total
    }
}
