/// Reduces the learning rate when a metric of the evaluations has stopped improving.
///
/// > Source: torch's `ReduceLROnPlateau`.
public struct PlateauReduction: Hashable, Sendable {
    /// What is an improvement; `mode` and `threshold_mode`.
    public enum Goal: String, Hashable, Sendable, CaseIterable {
        /// The metric is to fall.
        case min
        /// The metric is to rise.
        case max
    }

    /// How a threshold counts.
    public enum ThresholdMode: String, Hashable, Sendable, CaseIterable {
        /// As a share of the best value.
        case relative = "rel"
        /// As a difference.
        case absolute = "abs"
    }

    /// What is an improvement; `mode`.
    public var goal = Goal.min
    /// What the rate is multiplied by; `factor`.
    public var factor = 0.1
    /// How many evaluations without an improvement are waited for; `patience`.
    public var patience = 10
    /// What an improvement must exceed; `threshold`.
    public var threshold = 1e-4
    /// How the threshold counts; `threshold_mode`.
    public var thresholdMode = ThresholdMode.relative
    /// How many evaluations after a reduction do not count; `cooldown`.
    public var cooldown = 0
    /// The least rate; `min_lr`.
    public var minimumRate = 0.0
    /// The least change of the rate; `eps`.
    public var leastChange = 1e-8

    /// The reduction with torch's defaults.
    public init() {}

    /// Whether a value is an improvement.
    func isBetter(_ value: Double, than best: Double) -> Bool {
        switch (goal, thresholdMode) {
        case (.min, .relative): value < best * (1 - threshold)
        case (.min, .absolute): value < best - threshold
        case (.max, .relative): value > best * (1 + threshold)
        case (.max, .absolute): value > best + threshold
        }
    }
}

/// How far the reduction of a run's rate has come.
package struct PlateauState: Hashable, Sendable {
    /// The rate.
    package var rate: Double
    /// The best value of the metric; nil before the first evaluation.
    package var best: Double?
    /// Evaluations without an improvement.
    package var badEvaluations = 0
    /// Evaluations that do not count yet.
    package var cooldownLeft = 0

    package init(rate: Double) { self.rate = rate }

    /// Takes the metric of an evaluation into account.
    mutating func take(_ value: Double, _ settings: PlateauReduction) {
        if best.map({ settings.isBetter(value, than: $0) }) ?? !value.isNaN {
            best = value
            badEvaluations = 0
        } else {
            badEvaluations += 1
        }
        if cooldownLeft > 0 {
            cooldownLeft -= 1
            badEvaluations = 0
        }
        guard badEvaluations > settings.patience else { return }
        let reduced = max(rate * settings.factor, settings.minimumRate)
        if rate - reduced > settings.leastChange { rate = reduced }
        cooldownLeft = settings.cooldown
        badEvaluations = 0
    }
}
