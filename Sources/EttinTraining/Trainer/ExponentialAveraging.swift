/// A moving average of the weights.
///
/// > Source: Composer's `EMA`.
public struct ExponentialAveraging: Hashable, Sendable {
    /// The weight of the average against the new weights in an update.
    package var smoothing: Double
    /// The span between updates, in batches; `update_interval`.
    package var updateInterval: TrainingTime
    /// When averaging starts; `ema_start`.
    package var start: TrainingTime

    /// Describes an average by its smoothing.
    ///
    /// - Parameters:
    ///   - smoothing: The weight of the average against the new weights.
    ///   - updateInterval: The span between updates.
    ///   - start: When averaging starts.
    public init(
        smoothing: Double,
        updateInterval: TrainingTime = TrainingTime(1, .batch),
        start: TrainingTime = TrainingTime(0, .duration)
    ) {
        self.smoothing = smoothing
        self.updateInterval = updateInterval
        self.start = start
    }

    /// Describes an average by its half-life: the span after which weights count half.
    ///
    /// - Parameters:
    ///   - halfLife: The span, in the unit of the update interval.
    ///   - updateInterval: The span between updates.
    ///   - start: When averaging starts.
    public init(
        halfLife: TrainingTime,
        updateInterval: TrainingTime = TrainingTime(1, .batch),
        start: TrainingTime = TrainingTime(0, .duration)
    ) {
        self.init(
            smoothing: ExponentialAverage.smoothing(halfLife: halfLife.value, updateInterval: updateInterval.value),
            updateInterval: updateInterval,
            start: start
        )
    }
}
