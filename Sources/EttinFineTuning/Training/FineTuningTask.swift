import EttinEvaluation
import EttinFiles
package import EttinJSON
import EttinModel
import EttinTables
package import EttinTraining
package import Torch

/// The fine-tuning of a model as a task of a trainer.
///
/// Its place in the data is a function of the clock: the order of a pass follows from seed and pass.
package final class FineTuningTask: TrainingTask {
    /// What one update reads.
    package struct Batch {
        /// The microbatches.
        var microbatches: [PreparedLossBatch]
        /// The name of the data set of each; nil for the only one.
        var datasets: [String?]
        /// The pass that the next batch belongs to.
        var nextEpoch: Int
    }

    /// What a task is made of.
    struct Parts {
        let subject: any FineTuningSubject
        /// The adapters that are trained; nil where the model's weights are.
        var adapters: AdapterTraining?
        let grouping: ParameterGrouping
        let batches: FineTuningBatches
        let evaluation: FineTuningEvaluation?
        let files: FineTuningFiles
        let runIdentity: [String: String]
        /// The steps of the run.
        let totalSteps: Int
    }

    /// What messages call the task.
    package let name = "the model"
    /// What a run that is resumed must share with its checkpoint.
    package let runIdentity: [String: String]
    private let parts: Parts
    private let arguments: TrainingArguments
    private let precision: Precision
    private var clock: TrainingClock
    /// What evaluators measured last.
    private(set) var reports: [EvaluationReport]
    /// The batches of the pass that the clock is in.
    private var epoch: (number: Int, batches: EpochBatches)?
    /// The parts of the loss since the last entry of the log.
    private var components: ComponentSums

    /// Describes a task; nothing is read or written.
    ///
    /// - Parameters:
    ///   - parts: What it is made of.
    ///   - arguments: How the model is trained.
    ///   - start: What the run begins with.
    /// - Throws: `TrainingError` for a checkpoint whose state is malformed.
    init(_ parts: Parts, _ arguments: TrainingArguments, from start: InitialTrainerState) throws {
        self.parts = parts
        self.arguments = arguments
        clock = start.clock
        components = try ComponentSums(start.task[Self.componentsKey], folder: start.origin ?? "")
        reports = try Self.reports(of: start.task, inFolder: start.origin ?? "")
        runIdentity = parts.runIdentity
        if start.origin != nil { parts.subject.state = start.task }
        precision = arguments.usesBFloat16 ? .mixedBFloat16 : .full
        // An evaluation that is due first sees the loss as the last update did.
        parts.subject.begin(step: max(0, clock.batch - 1), of: parts.totalSteps)
    }

    /// The model.
    package var model: Module { parts.subject.module }

    /// Groups by the rules of transformers.
    package func optimizer(
        for parameters: StateDictionary,
        _ settings: OptimizerSettings,
        referenceRate: Double
    ) -> any Optimizer {
        parts.grouping.optimizer(for: parameters, settings)
    }

    /// Draws the pass that the run goes on in, so that one without a batch is refused before anything is written.
    ///
    /// - Throws: `TrainingError` for a pass without a batch.
    func prepare() throws {
        if clock.batch < parts.totalSteps { _ = try batches(ofEpoch: clock.epoch) }
    }

    /// Reads the microbatches of the next update.
    ///
    /// - Returns: The batch.
    /// - Throws: `TrainingError` naming file and row for an invalid text or label, and for a pass without a batch.
    package func nextBatch() throws -> Batch {
        let batches = try batches(ofEpoch: clock.epoch)
        let start = clock.batchInEpoch * arguments.accumulationSteps
        let end = min(start + arguments.accumulationSteps, batches.count)
        guard start < end else {
            throw TrainingError(
                .missing,
                "train_dataset",
                found: "has \(batches.count) batches in pass \(clock.epoch + 1), fewer than before",
                expected: "the data that the run began with"
            )
        }
        return Batch(
            microbatches: try (start..<end).map { place in
                try parts.batches.prepared(
                    batches[place],
                    step: clock.batch * arguments.accumulationSteps + place - start
                )
            },
            datasets: (start..<end).map { parts.batches.sets[batches[$0].dataset].dataset },
            nextEpoch: end < batches.count ? clock.epoch : clock.epoch + 1
        )
    }

    private func batches(ofEpoch number: Int) throws -> EpochBatches {
        if let epoch, epoch.number == number { return epoch.batches }
        let batches = parts.batches.sampling.batches(epoch: number)
        guard !batches.isEmpty else {
            throw TrainingError(
                .invalidOption,
                "batch_sampler",
                found:
                    "makes no batch of \(arguments.trainBatchSize) in pass \(number + 1): too many rows share a value",
                expected: "a smaller per_device_train_batch_size, or dataloader_drop_last: false"
            )
        }
        epoch = (number, batches)
        return batches
    }

    /// The data sets that the model is trained on, for checks.
    package var trainingRows: [any TrainingRows] { parts.batches.sets }

    /// The batches of a pass, for checks.
    ///
    /// - Parameter number: The number of the pass, from 0.
    /// - Returns: For each batch, the name of the data set and where its rows are.
    /// - Throws: As ``nextBatch()``.
    package func places(ofEpoch number: Int) throws -> [(dataset: String?, rows: [String])] {
        try batches(ofEpoch: number).map { batch in
            let set = parts.batches.sets[batch.dataset]
            return (set.dataset, batch.rows.map { set.place(ofRow: $0) })
        }
    }

    /// How much a batch is.
    package func size(of batch: Batch) -> BatchSize {
        BatchSize(
            microbatches: batch.microbatches.count,
            samples: batch.microbatches.reduce(0) { $0 + $1.rowCount },
            tokens: batch.microbatches.reduce(0) { $0 + $1.tokenCount },
            nextEpoch: batch.nextEpoch
        )
    }

    /// Traps: gradients are cached, and come from no one graph.
    package func loss(of microbatch: Int, in batch: Batch, at clock: TrainingClock) throws -> Tensor {
        preconditionFailure("FineTuningTask: backward(ofMicrobatch:in:weight:at:) computes loss and gradients")
    }

    /// Adds the gradients of a microbatch to those of the parameters.
    package func backward(
        ofMicrobatch microbatch: Int,
        in batch: Batch,
        weight: Double,
        at clock: TrainingClock
    ) throws -> Double {
        let before = batch.microbatches[..<microbatch]
        let weights = parts.subject.weights(of: batch.microbatches)
        if microbatch == 0 { parts.subject.begin(step: clock.batch, of: parts.totalSteps) }
        let loss = try parts.subject.backward(
            batch.microbatches[microbatch],
            of: batch.datasets[microbatch],
            weight: weights?[microbatch] ?? weight,
            dropout: DropoutContext(
                seed: UInt64(arguments.seed),
                step: clock.batch,
                precedingTokens: before.reduce(0) { $0 + $1.tokenCount },
                precedingSequences: before.reduce(0) { $0 + $1.textCount },
                recomputesActivations: arguments.recomputesLayers
            ),
            precision: precision
        )
        components.add(parts.subject.takeComponents())
        return loss
    }

    /// The means of the parts of the loss since the last entry of the log.
    package func takeLossComponents() -> [(key: String, value: Double)] {
        components.take(places: parts.subject.logsPlainComponents ? nil : 4) + parts.subject.loggedTotals
    }

    /// What is logged beside the losses.
    package var loggedValues: [(key: String, value: Double)] { parts.subject.loggedSettings }

    /// Moves on in the data.
    package func didStep(on batch: Batch) throws {
        let size = size(of: batch)
        clock.advance(samples: size.samples, tokens: size.tokens, epoch: size.nextEpoch)
    }

    /// Measures the loss on the data to evaluate on, and what the evaluator measures.
    package func evaluate() throws -> [(key: String, value: Double)]? {
        guard let evaluation = parts.evaluation else { return nil }
        let metrics = try evaluation.run(parts.subject, at: clock)
        reports = evaluation.reports
        return metrics
    }

    // MARK: Files

    /// Says what the run is.
    package func openFiles(isResumed: Bool) throws {
        try parts.files.open(
            resumedAfter: isResumed ? clock.batch : nil,
            isComplete: isResumed && clock.batch >= parts.totalSteps
        )
    }

    /// Writes what loads as a model.
    package func writeModel(average: String?, toFolder folder: String, _ run: RunProgress) throws {
        try parts.files.write(parts.subject, run, reports: reports, toFolder: folder)
    }

    /// Takes the weights of a checkpoint, and what was measured of them.
    package func loadModel(fromFolder folder: String) throws {
        if let adapters = parts.adapters {
            try adapters.load(parts.subject, fromFolder: folder)
        } else {
            try parts.subject.load(fromFolder: folder)
        }
        let state = try TrainerState(folder: folder, name: TrainerState.strategiesFileName)
        reports = try Self.reports(of: state.task, inFolder: folder)
    }

    // MARK: State

    /// What evaluators measured last, for the cards of later folders, and the parts of the loss that are to be logged.
    package var state: JSONObject {
        var state = parts.subject.state
        if !reports.isEmpty { state["reports"] = .array(reports.map(\.json)) }
        state[Self.componentsKey] = components.json
        return state
    }

    private static let componentsKey = "loss_components"

    private static func reports(of state: JSONObject, inFolder folder: String) throws -> [EvaluationReport] {
        try (state["reports"]?.arrayValue ?? []).map { value in
            guard let report = EvaluationReport(value) else {
                throw TrainingError(
                    .malformed,
                    FilePath.joined(folder, TrainerState.strategiesFileName),
                    found: "\"reports\" has \(value.text())",
                    expected: "what an evaluator measured"
                )
            }
            return report
        }
    }
}
