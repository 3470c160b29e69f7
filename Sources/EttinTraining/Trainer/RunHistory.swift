import EttinFiles
package import EttinJSON

/// What a run with strategies has logged so far, and what it is to log next.
///
/// > Source: transformers 5.23, `Trainer._maybe_log_save_evaluate` and `TrainerState`.
package struct RunHistory {
    /// The name of the file of a checkpoint that transformers reads too.
    package static let fileName = "trainer_state.json"

    /// The entries: of training, of evaluations, and the last one.
    package private(set) var entries: [JSONObject] = []
    /// The sum of the losses of the steps since the last entry of training.
    private var lossSum = 0.0
    /// The step of that entry.
    private var loggedStep = 0
    /// The sum of the losses of all steps before it.
    private var earlierLossSum = 0.0
    /// Whether an evaluation was due and has not come to its end.
    var isEvaluationPending = false
    /// The step of the best checkpoint that was saved.
    var bestCheckpoint: Int?
    /// How many evaluations in a row have brought no gain; counted where a run may end early.
    var evaluationsWithoutGain = 0

    init() {}

    /// Counts the loss of a step.
    mutating func add(loss: Double) { lossSum += loss }

    /// Makes the entry of the steps since the last one.
    ///
    /// - Returns: The entry.
    @discardableResult
    mutating func logTraining(
        components: [(key: String, value: Double)] = [],
        gradientNorm: Double,
        rate: Double,
        epoch: Double,
        step: Int
    ) -> JSONObject {
        var entry: JSONObject = [
            "loss": JSONValue(lossSum / Double(max(1, step - loggedStep))), "grad_norm": JSONValue(gradientNorm),
            "learning_rate": JSONValue(rate),
        ]
        for (key, value) in components { entry[key] = JSONValue(value) }
        entry["epoch"] = JSONValue(epoch)
        entry["step"] = JSONValue(step)
        (earlierLossSum, lossSum, loggedStep) = (earlierLossSum + lossSum, 0, step)
        entries.append(entry)
        return entry
    }

    /// Makes the entries of an evaluation: one for each data set, which begins with its loss and ends with its speed, and
    /// that of the only data set with the parts of its loss.
    mutating func log(evaluation metrics: [(key: String, value: Double)], epoch: Double, step: Int) {
        var rest = metrics[...]
        repeat {
            let isOnly = rest.first?.key == "eval_loss"
            let end = rest.firstIndex { $0.key.hasSuffix("_steps_per_second") } ?? rest.endIndex
            let next = isOnly ? rest.endIndex : rest[end...].firstIndex { $0.key.hasSuffix("_loss") } ?? rest.endIndex
            log(Array(rest[..<next]), epoch: epoch, step: step)
            rest = rest[next...]
        } while !rest.isEmpty
    }

    /// Makes the last entry of a run, or one of an evaluation.
    mutating func log(_ values: [(key: String, value: Double)], epoch: Double, step: Int) {
        var entry = JSONObject(values.map { ($0.key, JSONValue($0.value)) })
        entry["epoch"] = JSONValue(epoch)
        entry["step"] = JSONValue(step)
        entries.append(entry)
    }

    /// The mean loss of all steps.
    func meanLoss(steps: Int) -> Double { (earlierLossSum + lossSum) / Double(max(1, steps)) }

    // MARK: Files

    /// What is kept besides the entries.
    var state: JSONObject {
        var state: JSONObject = [
            "loss_sum": JSONValue(lossSum), "logged_step": JSONValue(loggedStep),
            "earlier_loss_sum": JSONValue(earlierLossSum), "evaluation_pending": .bool(isEvaluationPending),
            "best_checkpoint": bestCheckpoint.map { JSONValue($0) } ?? .null,
        ]
        if evaluationsWithoutGain > 0 { state[Self.patienceKey] = JSONValue(evaluationsWithoutGain) }
        return state
    }

    private static let patienceKey = "evaluations_without_gain"

    /// Resumes what a checkpoint holds.
    ///
    /// - Parameters:
    ///   - state: What ``state`` was.
    ///   - folder: The folder of the checkpoint, whose `trainer_state.json` has the entries.
    /// - Throws: `TrainingError` for a file that is missing or malformed.
    init(_ state: JSONObject, folder: String) throws {
        let fields = StateFields(
            path: FilePath.joined(folder, TrainerState.strategiesFileName),
            value: [
                "history": .object(state)
            ]
        )
        lossSum = try fields.number("history", "loss_sum")
        loggedStep = try fields.count("history", "logged_step")
        earlierLossSum = try fields.number("history", "earlier_loss_sum")
        isEvaluationPending = state["evaluation_pending"]?.boolValue ?? false
        bestCheckpoint =
            state["best_checkpoint"]?.isNull == false ? try fields.count("history", "best_checkpoint") : nil
        if state[Self.patienceKey] != nil {
            evaluationsWithoutGain = try fields.count("history", Self.patienceKey)
        }
        let path = FilePath.joined(folder, Self.fileName)
        let file = try TrainingError.translating { try MappedFile(path: path) }
        let value: JSONValue
        do {
            // A metric that was NaN is one in the file, as Python writes it.
            let options = JSONParsingOptions(allowsNonFiniteNumbers: true)
            value = try file.withUnsafeBytes { try JSONValue(parsing: Array($0), options: options) }
        } catch {
            throw TrainingError(.malformed, path, found: "is not JSON (\(error))")
        }
        guard let list = value["log_history"]?.arrayValue else {
            throw TrainingError(.malformed, path, found: "has no list \"log_history\"")
        }
        entries = list.compactMap(\.objectValue)
    }

    /// Writes `trainer_state.json`, with the keys that transformers knows and no others.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - clock: How far the run has come.
    ///   - maximum: The steps of the run.
    ///   - strategies: When the run logs, evaluates and saves.
    ///   - best: The best evaluation.
    ///   - bestPath: The folder of the best checkpoint.
    /// - Throws: `TrainingError` when it cannot be written.
    func write(
        toFolder folder: String,
        at clock: TrainingClock,
        maximum: Int,
        _ strategies: RunStrategies,
        best: BestEvaluation?,
        bestPath: String?
    ) throws {
        let object: JSONObject = [
            // Where nothing is saved, transformers remembers the value alone.
            "best_global_step": strategies.saving == .never ? .null : best.map { JSONValue($0.batch) } ?? .null,
            "best_metric": best.map { JSONValue($0.value) } ?? .null,
            "best_model_checkpoint": bestPath.map { .string($0) } ?? .null,
            "epoch": JSONValue(strategies.epoch(at: clock)),
            "eval_steps": JSONValue(strategies.evaluation.stepCount ?? 500),
            "global_step": JSONValue(clock.batch),
            "is_hyper_param_search": false,
            "is_local_process_zero": true,
            "is_world_process_zero": true,
            "log_history": .array(entries.map { .object($0) }),
            "logging_steps": JSONValue(strategies.logging.stepCount ?? 500),
            "max_steps": JSONValue(maximum),
            "num_input_tokens_seen": 0,
            "num_train_epochs": JSONValue(strategies.epochCount),
            "save_steps": JSONValue(strategies.saving.stepCount ?? 500),
            "stateful_callbacks": [:],
            "total_flos": 0.0,
            "train_batch_size": JSONValue(strategies.microbatchSize),
            "trial_name": .null,
            "trial_params": .null,
        ]
        let options = JSONWritingOptions(layout: .indented(2), writesNonFiniteNumbers: true)
        let text = JSONValue.object(object).text(options) + "\n"
        try TrainingError.translating {
            try AtomicFile.write(Array(text.utf8), to: FilePath.joined(folder, Self.fileName))
        }
    }
}
