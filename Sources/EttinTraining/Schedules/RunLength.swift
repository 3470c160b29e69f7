/// How long a run is, with passes over the data counted in batches.
public struct RunLength: Hashable, Sendable {
    /// The whole length, in any unit but durations and passes.
    public let maximum: TrainingTime
    /// The learning rate over that time.
    public let schedule: LearningRateSchedule
    private let batchesPerEpoch: Int?

    /// Counts a length.
    ///
    /// - Parameters:
    ///   - maximum: The length of the run; `max_duration`.
    ///   - schedule: The learning rate over time.
    ///   - batchesPerEpoch: The global batches of a pass over the data; nil where there are no passes.
    /// - Throws: `TrainingError` for passes over data that has none, and a schedule that does not fit.
    public init(_ maximum: TrainingTime, schedule: LearningRateSchedule, batchesPerEpoch: Int?) throws {
        self.batchesPerEpoch = batchesPerEpoch
        if maximum.unit == .epoch, batchesPerEpoch == nil {
            throw TrainingError(
                .invalidOption,
                "max_duration",
                found: "is \(maximum) of an order data set, which has no epochs",
                expected: "a length in ba or tok"
            )
        }
        let count = batchesPerEpoch ?? 1
        self.maximum = maximum.counted(batchesPerEpoch: count)
        self.schedule = schedule.counted(batchesPerEpoch: count)
        try self.schedule.check(maximum: self.maximum)
    }

    /// An interval in a unit that the clock counts finely enough, and as a span of this run.
    ///
    /// - Parameter interval: A span, passes and durations included.
    /// - Returns: The span in any other unit.
    package func counted(_ interval: TrainingTime) -> TrainingTime {
        interval.resolved(in: maximum).counted(batchesPerEpoch: batchesPerEpoch ?? 1)
    }

    /// Whether an interval ended between two times.
    ///
    /// - Parameters:
    ///   - interval: A span; nil for one that never ends.
    ///   - clock: The time now.
    ///   - earlier: The time before the last batch.
    /// - Returns: Whether it is time for what the interval is of.
    package func ends(_ interval: TrainingTime?, at clock: TrainingClock, since earlier: TrainingClock) -> Bool {
        interval.map { clock.crosses(counted($0), since: earlier) } ?? false
    }
}
