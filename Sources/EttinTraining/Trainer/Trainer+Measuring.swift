import Torch

/// What a few steps took.
package struct StepMeasurement: Hashable, Sendable {
    /// The number of steps.
    package let steps: Int
    /// The median of all but the first, which makes what later ones reuse.
    package let secondsPerStep: Double
    /// Tokens in a second of these steps.
    package let tokensPerSecond: Double
    /// The most memory that the process had at once.
    package let peakBytes: Int
}

extension Trainer {
    /// Takes a few steps on the next batches to measure them, and writes nothing.
    ///
    /// The model and its optimizer have changed then: the trainer is of no use for the run itself.
    ///
    /// - Parameters:
    ///   - count: Maximum number of steps, at least 2.
    ///   - limit: After so many seconds no further step begins, unless there is but one.
    /// - Returns: The measurement; nil for a run that is finished.
    /// - Throws: What reading batches and taking steps throw.
    package func measure(steps count: Int = 4, withinSeconds limit: Double = 30) throws -> StepMeasurement? {
        PeakMemory.reset()
        var taken: [(seconds: Double, tokens: Int)] = []
        let start = clock
        while !isFinished, taken.count < max(2, count), taken.count < 2 || clock.seconds - start.seconds < limit {
            let before = clock
            let begin = ContinuousClock.now
            let batch = try task.nextBatch()
            try train(on: batch, waited: (ContinuousClock.now - begin) / .seconds(1))
            taken.append((clock.seconds - before.seconds, clock.token - before.token))
        }
        guard !taken.isEmpty else { return nil }
        let steady = taken.count > 1 ? Array(taken.dropFirst()) : taken
        let seconds = steady.map(\.seconds).sorted()
        return StepMeasurement(
            steps: taken.count,
            secondsPerStep: (seconds[(seconds.count - 1) / 2] + seconds[seconds.count / 2]) / 2,
            tokensPerSecond: Double(steady.reduce(0) { $0 + $1.tokens }) / max(seconds.reduce(0, +), 1e-9),
            peakBytes: PeakMemory.bytes
        )
    }
}
