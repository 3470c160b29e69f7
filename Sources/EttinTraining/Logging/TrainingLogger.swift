/// Something that keeps or shows what a run measures.
///
/// Names are those that Composer logs under, such as `loss/train/total` or `lr-StableAdamW/group0`.
public protocol TrainingLogger: AnyObject {
    /// Takes what was measured at one point of a run.
    ///
    /// - Parameters:
    ///   - values: Names with their values, each name once; NaN where there is no number.
    ///   - clock: How far the run has come: after batch k, k batches.
    /// - Throws: `TrainingError` when it cannot be written.
    func log(_ values: [(key: String, value: Double)], at clock: TrainingClock) throws

    /// Brings everything to its place before the run ends.
    ///
    /// - Throws: `TrainingError` when it cannot be written.
    func finish() throws
}

/// The names that several parts of a run agree on.
///
/// > Source: Composer's loggers; `memory/peak_bytes` and `throughput/data_wait_share` are ours.
package enum MetricName {
    /// The loss of a batch.
    package static let trainingLoss = "loss/train/total"
    /// What the learning rates of the optimizer's groups begin with.
    package static let learningRatePrefix = "lr-"
    /// Tokens in a second, over the last batches.
    package static let tokensPerSecond = "throughput/tokens_per_sec"
    /// The share of the time in which training waited for data.
    package static let dataWaitShare = "throughput/data_wait_share"
    /// The most memory that the process had at once.
    package static let peakBytes = "memory/peak_bytes"
    /// The Euclidean length of the gradient.
    package static let gradientNorm = "gradient_norms/l2_norm"
    /// The loss on held-out data.
    package static let evaluationLoss = "metrics/eval/LanguageCrossEntropy"
    /// The share of held-out masked tokens whose most likely token is the right one.
    package static let maskedAccuracy = "metrics/eval/MaskedAccuracy"
    /// The share of held-out tokens that were the most likely next one.
    package static let nextTokenAccuracy = "metrics/eval/Accuracy"
    /// The exponential of the loss on held-out data.
    package static let perplexity = "metrics/eval/Perplexity"

    /// Whether a metric of fine-tuning is a time or a speed, which says nothing of the model.
    package static func isSpeed(_ key: String) -> Bool { key.hasSuffix("_runtime") || key.hasSuffix("_per_second") }
}

extension TrainingClock {
    /// What is logged at every point, under Composer's names.
    ///
    /// > Note: Composer counts hours in `time/total`; `time/seconds` is ours.
    var counters: [(key: String, value: Int)] {
        [("time/batch", batch), ("time/token", token), ("time/sample", sample), ("time/epoch", epoch)]
    }

    /// The name under which `seconds` is logged.
    static let secondsKey = "time/seconds"
}
