import EttinFiles
import EttinReports

/// The progress of a run as lines for people.
///
/// ```
/// batch 120/300  40%  loss 4.812  lr 0.000800  12.3k tokens/s  01:15 left  1.2 GB
/// ```
/// Where lines go, and how often, is up to who receives them.
package final class ConsoleProgress: TrainingLogger {
    private let maximum: TrainingTime
    private let name: String?
    private let start: TrainingClock
    private let show: (String) -> Void
    /// The loss of single batches jumps; this follows the last twenty or so.
    private var loss = SmoothedSeries(decay: 0.95)

    /// Creates the progress of a run, or of a half of a pair.
    ///
    /// - Parameters:
    ///   - maximum: The length of the run, in any unit but durations.
    ///   - name: What lines begin with, such as a half of a pair.
    ///   - start: Where this process begins, which the time that is left is measured from.
    ///   - show: Receives each line.
    package init(
        maximum: TrainingTime,
        name: String? = nil,
        startingAt start: TrainingClock = TrainingClock(),
        show: @escaping (String) -> Void
    ) {
        self.maximum = maximum
        self.name = name
        self.start = start
        self.show = show
    }

    /// Shows a line.
    ///
    /// - Parameters:
    ///   - values: Names with their values.
    ///   - clock: How far the run has come.
    package func log(_ values: [(key: String, value: Double)], at clock: TrainingClock) {
        show(line(values, at: clock))
    }

    /// Does nothing, as nothing is kept back.
    package func finish() {}

    /// Counts the loss in and makes a line.
    ///
    /// - Parameters:
    ///   - values: Names with their values; those that are absent are left out.
    ///   - clock: How far the run has come.
    /// - Returns: The line, without a line feed.
    package func line(_ values: [(key: String, value: Double)], at clock: TrainingClock) -> String {
        func value(_ key: String) -> Double? { values.first { $0.key == key }?.value }
        var parts = [position(clock)]
        if let now = value(MetricName.trainingLoss) {
            loss.add(now)
            parts.append("loss \(NumberText.fixed(now.isFinite ? loss.value : now, places: 3))")
        }
        if let rate = values.first(where: { $0.key.hasPrefix(MetricName.learningRatePrefix) })?.value {
            parts.append("lr \(NumberText.significant(rate, digits: 3))")
        }
        if let speed = value(MetricName.tokensPerSecond) { parts.append("\(NumberText.compact(speed)) tokens/s") }
        if let left = secondsLeft(clock) { parts.append("\(NumberText.duration(left)) left") }
        if let bytes = value(MetricName.peakBytes) { parts.append(NumberText.bytes(bytes)) }
        if let loss = value(MetricName.evaluationLoss) {
            parts.append("held-out loss \(NumberText.fixed(loss, places: 3))")
        }
        for (key, label) in [
            (MetricName.maskedAccuracy, "masked accuracy"), (MetricName.nextTokenAccuracy, "next-token accuracy"),
        ] {
            if let share = value(key) { parts.append("\(label) \(NumberText.fixed(share * 100, places: 1))%") }
        }
        if let value = value(MetricName.perplexity) {
            parts.append("perplexity \(NumberText.significant(value, digits: 3))")
        }
        for (key, value) in values where key.hasPrefix("eval_") && !MetricName.isSpeed(key) {
            parts.append("\(key.dropFirst(5)) \(NumberText.fixed(value, places: 4))")
        }
        return (name.map { "\($0): " } ?? "") + parts.joined(separator: "  ")
    }

    private func position(_ clock: TrainingClock) -> String {
        let share = "\(Int(clamping: min(1, self.share(clock)) * 100))%"
        if maximum.unit == .batch || maximum.unit == .iteration {
            return "batch \(clock.batch)/\(Int(clamping: maximum.value))  \(share)"
        }
        return "batch \(clock.batch)  \(share)"
    }

    private func share(_ clock: TrainingClock) -> Double {
        maximum.value > 0 ? clock.count(in: maximum.unit) / maximum.value : 1
    }

    /// As long as the rest takes at the speed since the start; nil at the start.
    private func secondsLeft(_ clock: TrainingClock) -> Double? {
        let done = share(clock) - share(start)
        guard done > 0 else { return nil }
        return max(0, 1 - share(clock)) * (clock.seconds - start.seconds) / done
    }
}

/// An average of a series that forgets, without a bias towards where it began.
package struct SmoothedSeries: Sendable {
    private let decay: Double
    private var sum = 0.0
    private var weight = 0.0

    /// Creates an average without values.
    ///
    /// - Parameter decay: How much an earlier value counts after one more, 0 to less than 1.
    package init(decay: Double) { self.decay = decay }

    /// The average; NaN before the first value.
    package var value: Double { weight > 0 ? sum / weight : .nan }

    /// Counts a value, unless it is NaN or infinite.
    package mutating func add(_ value: Double) {
        guard value.isFinite else { return }
        sum = decay * sum + (1 - decay) * value
        weight = decay * weight + (1 - decay)
    }
}
