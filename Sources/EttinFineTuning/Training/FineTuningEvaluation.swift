import EttinEvaluation
import EttinTraining
import Torch

/// What a model is measured with during training: losses on data, and an evaluator.
///
/// > Source: transformers 5.23, `Trainer.evaluation_loop`; sentence-transformers 6.2, `BaseTrainer.evaluation_loop`.
struct FineTuningEvaluation {
    /// A data set with the name that its metrics have; nil for the only one.
    struct Dataset {
        let name: String?
        let batches: FineTuningBatches
    }

    let datasets: [Dataset]
    let evaluator: BoundEvaluator?
    let batchSize: Int
    let precision: Precision
    /// The folder of tables.
    let folder: String
    /// The passes over the data at a time.
    let epoch: (TrainingClock) -> Double

    /// What the evaluator measured last.
    var reports: [EvaluationReport] { evaluator?.reports ?? [] }

    /// Measures.
    ///
    /// - Parameters:
    ///   - subject: The model with its losses.
    ///   - clock: How far the run has come.
    /// - Returns: The metrics under transformers' names; the evaluator's are after the loss of the first data set.
    /// - Throws: When data cannot be read, memory or the device fails, or a table cannot be written.
    func run(_ subject: any FineTuningSubject, at clock: TrainingClock) throws -> [(key: String, value: Double)] {
        var metrics: [(key: String, value: Double)] = []
        for dataset in datasets {
            let prefix = dataset.name.map { "eval_\($0)" } ?? "eval"
            let begin = ContinuousClock.now
            let (loss, batches) = try loss(of: dataset, subject)
            metrics.append(("\(prefix)_loss", loss.total))
            metrics += try subject.takeMetrics().map { ("\(prefix)_\($0.key)", $0.value) }
            metrics += speed(prefix, since: begin, samples: dataset.batches.rowCount, batches: batches)
            // The original logs parts of the loss of the only data set alone, and last.
            guard dataset.name == nil else { continue }
            metrics += loss.components.map { part in
                let value = subject.logsPlainComponents ? part.value : part.value.rounded(places: 4)
                return ("\(prefix)_\(part.key)", value)
            }
        }
        guard let evaluator else { return metrics }
        let place = EvaluationPlace(folder: folder, epoch: epoch(clock), step: clock.batch)
        let figures = try evaluator.evaluate(place)
        metrics.insert(
            contentsOf: figures.map { ($0.key.hasPrefix("eval_") ? $0.key : "eval_\($0.key)", $0.value) },
            at: metrics.firstIndex { $0.key.hasSuffix("_runtime") } ?? metrics.endIndex
        )
        return metrics
    }

    /// The mean of the losses of batches, each weighted by the full size of a batch, and the last one by what is left.
    ///
    /// Parts of a loss are means over the batches.
    private func loss(
        of dataset: Dataset,
        _ subject: any FineTuningSubject
    ) throws -> (loss: LossValue, batches: Int) {
        let data = dataset.batches
        let batches = subject.evaluatesInOrder ? nil : data.sampling.allBatches(epoch: 0)
        let count = batches?.count ?? data.orderedCount(batchSize)
        let rest = data.rowCount % batchSize
        var (sum, weight) = (0.0, 0.0)
        var components: [(key: String, value: Double)] = []
        for place in 0..<count {
            let value = try subject.value(
                data.prepared(batches?[place] ?? data.ordered(place, batchSize), step: place),
                of: dataset.name,
                precision: precision
            )
            let share = Double(place == count - 1 && rest > 0 ? rest : batchSize)
            sum += value.total * share
            weight += share
            for (key, value) in value.components {
                if let place = components.firstIndex(where: { $0.key == key }) {
                    components[place].value += value
                } else {
                    components.append((key, value))
                }
            }
        }
        let means = components.map { (key: $0.key, value: $0.value / Double(max(1, count))) }
        return (LossValue(sum / weight, components: means), count)
    }

    private func speed(
        _ prefix: String,
        since begin: ContinuousClock.Instant,
        samples: Int,
        batches: Int
    ) -> [(key: String, value: Double)] {
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        return [
            ("\(prefix)_runtime", seconds.rounded(places: 4)),
            ("\(prefix)_samples_per_second", (Double(samples) / seconds).rounded(places: 3)),
            ("\(prefix)_steps_per_second", (Double(batches) / seconds).rounded(places: 3)),
        ]
    }
}
