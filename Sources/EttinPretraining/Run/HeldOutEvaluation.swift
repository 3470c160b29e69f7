import EttinCorpus
import EttinModel
import EttinTraining
import Torch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Measures a model on held-out data: the same samples, masked the same way, every time.
struct HeldOutEvaluation {
    /// Rows of logits held at a time.
    private static let chunkRows = 1024

    private let data: TrainingData
    private let settings: Settings

    struct Settings {
        let specials: SpecialTokens
        let vocabularySize: Int
        let reading: SampleReading
        let batchSize: Int
        let microbatchSize: MicrobatchPlan.Size
        /// The most batches; nil for all.
        let batchLimit: Int?
        let precision: Precision
    }

    init(_ data: TrainingData, _ settings: Settings) {
        self.data = data
        self.settings = settings
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - accuracyKey: Under which name the share of tokens predicted right is reported.
    /// - Returns: Mean cross-entropy of labelled tokens, its exponential, and the share predicted right.
    /// - Throws: `CorpusError` when a sample cannot be read; `TorchError` when memory or the device fails.
    func run(_ model: LanguageModel, accuracyKey: String) throws -> [(key: String, value: Double)] {
        var (loss, right, labelled) = (0.0, 0.0, 0)
        try forEachBatch { batch in
            let part = try withoutGradients { try withRecovery { try measure(batch, model) } }
            loss += part.loss
            right += part.right
            labelled += part.labelled
        }
        guard labelled > 0 else { return [] }
        let mean = loss / Double(labelled)
        return [
            (MetricName.evaluationLoss, mean), (MetricName.perplexity, exp(mean)),
            (accuracyKey, right / Double(labelled)),
        ]
    }

    /// The microbatches that are measured.
    ///
    /// - Throws: `CorpusError` when a sample cannot be read.
    func batches() throws -> [TrainingBatch] {
        var batches: [TrainingBatch] = []
        try forEachBatch { batches.append($0) }
        return batches
    }

    private func forEachBatch(_ body: (TrainingBatch) throws -> Void) throws {
        var loaderSettings = data.loaderSettings(
            settings.specials,
            [settings.reading],
            .constant(settings.batchSize),
            settings.microbatchSize
        )
        loaderSettings.vocabularySize = settings.vocabularySize
        var batches = try data.loader(from: DataPosition(), loaderSettings)
        var count = 0
        while count < settings.batchLimit ?? .max, let batch = try batches.next() {
            count += 1
            for microbatch in batch.readings[0] { try body(microbatch) }
            // One pass: what follows would be the same samples again.
            if batch.nextEpoch > 0 { break }
        }
    }

    private func measure(
        _ batch: TrainingBatch,
        _ model: LanguageModel
    ) throws -> (loss: Double, right: Double, labelled: Int) {
        let (places, targets) = (batch.labelledPlaces, batch.targets)
        guard !places.isEmpty else { return (0, 0, 0) }
        let hidden = model.trunk(batch.packed, precision: settings.precision)
        var (loss, right) = (0.0, 0.0)
        for start in stride(from: 0, to: places.count, by: Self.chunkRows) {
            let part = start..<min(places.count, start + Self.chunkRows)
            let rows = hidden.selecting(distinctRows: Tensor(Array(places[part])).to(hidden.device))
            let labels = Array(targets[part])
            // Logits rounded to bfloat16 would blur the loss.
            let logits = model.logits(rows.to(.float32))
            loss += try logits.crossEntropy(Tensor(labels).to(hidden.device)).scalar() * Double(part.count)
            let best: [Int64] = try logits.argmax(along: 1).array()
            right += Double(zip(best, labels).count { $0 == $1 })
        }
        return (loss, right, places.count)
    }
}
