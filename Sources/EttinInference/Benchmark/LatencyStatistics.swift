/// The distribution of some measured times, in seconds.
package struct LatencyStatistics: Sendable, Hashable {
    private let sorted: [Double]

    /// Takes the times of at least one round.
    ///
    /// - Parameter seconds: In any order.
    package init(_ seconds: [Double]) {
        precondition(!seconds.isEmpty, "no times")
        sorted = seconds.sorted()
    }

    /// The number of rounds.
    package var count: Int { sorted.count }

    /// The shortest time.
    package var minimum: Double { sorted[0] }

    /// The mean of all times.
    package var mean: Double { sorted.reduce(0, +) / Double(count) }

    /// The time that a share of the rounds did not exceed, interpolated between neighbours.
    ///
    /// - Parameter share: From 0 to 1.
    /// - Returns: Seconds.
    package func quantile(_ share: Double) -> Double {
        let place = share * Double(count - 1)
        let lower = Int(place)
        let upper = min(lower + 1, count - 1)
        return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
    }
}
