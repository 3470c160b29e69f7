/// The speed of the last batches.
struct SpeedMonitor {
    private struct Batch {
        let tokens: Int
        let samples: Int
        let seconds: Double
        let waited: Double
    }

    private let window: Int
    private var batches: [Batch] = []

    init(window: Int) { self.window = max(1, window) }

    mutating func add(tokens: Int, samples: Int, seconds: Double, waited: Double) {
        if batches.count == window { batches.removeFirst() }
        batches.append(Batch(tokens: tokens, samples: samples, seconds: seconds, waited: waited))
    }

    /// The metrics, under Composer's names where it has them.
    var values: [(key: String, value: Double)] {
        let seconds = batches.reduce(0) { $0 + $1.seconds }
        guard seconds > 0 else { return [] }
        return [
            (MetricName.tokensPerSecond, Double(batches.reduce(0) { $0 + $1.tokens }) / seconds),
            ("throughput/samples_per_sec", Double(batches.reduce(0) { $0 + $1.samples }) / seconds),
            ("throughput/batches_per_sec", Double(batches.count) / seconds),
            (MetricName.dataWaitShare, batches.reduce(0) { $0 + $1.waited } / seconds),
        ]
    }
}
