/// How far a run has come, counted in every unit; part of its checkpoints.
///
/// > Source: Composer's `Timestamp`.
public struct TrainingClock: Hashable, Sendable, Codable {
    /// Passes over the data that are complete.
    public var epoch = 0
    /// Global batches.
    public var batch = 0
    /// Sequences of all ranks.
    public var sample = 0
    /// Tokens of all ranks.
    public var token = 0
    /// Global batches of the present pass.
    public var batchInEpoch = 0
    /// Sequences of the present pass.
    public var sampleInEpoch = 0
    /// Tokens of the present pass.
    public var tokenInEpoch = 0
    /// Seconds of training, those of earlier processes included; no result depends on them unless a recipe counts in
    /// them.
    public var seconds = 0.0

    /// The start of a run.
    public init() {}

    /// The count in a unit.
    ///
    /// - Parameter unit: Any unit but `duration`.
    /// - Returns: The count.
    public func count(in unit: TrainingTime.Unit) -> Double {
        switch unit {
        case .iteration, .batch: Double(batch)
        case .epoch: Double(epoch)
        case .sample: Double(sample)
        case .token: Double(token)
        case .second: seconds
        case .duration: preconditionFailure("a duration is a fraction, which the run's length makes a count")
        }
    }

    /// Counts a batch.
    ///
    /// - Parameters:
    ///   - samples: Its sequences.
    ///   - tokens: Its tokens.
    ///   - epoch: The pass over the data that the next batch belongs to.
    public mutating func advance(samples: Int, tokens: Int, epoch: Int) {
        batch += 1
        sample += samples
        token += tokens
        (batchInEpoch, sampleInEpoch, tokenInEpoch) =
            epoch == self.epoch ? (batchInEpoch + 1, sampleInEpoch + samples, tokenInEpoch + tokens) : (0, 0, 0)
        self.epoch = epoch
    }

    /// Whether an interval that is counted from the start ended between an earlier time and this one.
    ///
    /// - Parameters:
    ///   - interval: A span in any unit but durations; of 0, no interval ever ends.
    ///   - earlier: The time before the batch that was last counted.
    /// - Returns: Whether `⌊earlier / interval⌋` and `⌊now / interval⌋` differ.
    public func crosses(_ interval: TrainingTime, since earlier: TrainingClock) -> Bool {
        guard interval.value > 0 else { return false }
        let now = (count(in: interval.unit) / interval.value).rounded(.down)
        return now != (earlier.count(in: interval.unit) / interval.value).rounded(.down)
    }
}
