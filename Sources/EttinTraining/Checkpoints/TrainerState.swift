import EttinFiles
package import EttinJSON

/// What a run needs besides weights and moments to be resumed; `trainer_state.json` of a checkpoint.
///
/// There is no state of random generators: everything random is a function of seed, step and sample.
package struct TrainerState: Hashable, Sendable {
    /// The name of the file.
    package static let fileName = "trainer_state.json"
    /// The name of the file in a run with strategies, whose `trainer_state.json` is the one that transformers reads.
    package static let strategiesFileName = "run_state.json"

    /// A figure of an evaluation.
    package struct Measurement: Hashable, Sendable {
        /// The name of the metric.
        package let key: String
        /// Its value.
        package let value: Double

        /// Creates a figure.
        ///
        /// - Parameters:
        ///   - key: The name of the metric.
        ///   - value: Its value.
        package init(key: String, value: Double) {
            self.key = key
            self.value = value
        }
    }

    /// How far the run has come.
    package var clock: TrainingClock
    /// How far it had come a batch before, in samples, tokens and seconds alone.
    package var previousClock: TrainingClock
    /// What the task keeps, such as where it stands in its data, by names that the file does not have otherwise.
    package var task: JSONObject
    /// The name of the optimizer.
    package var optimizer: OptimizerSettings.Name
    /// The number of updates the optimizer has made.
    package var optimizerSteps: Int
    /// The rate of the last step.
    package var learningRate: Double
    /// The rate of the next step, where it was determined with the last one.
    package var nextRate: Double?
    /// The rate that the schedule multiplies.
    package var baseRate: Double
    /// The rate that decoupled weight decay refers to.
    package var referenceRate: Double
    /// What a run that is resumed must share, by the keys of its recipe.
    package var runIdentity: [String: String]
    /// What was last measured on held-out data, for the model cards of later checkpoints.
    package var evaluation: [Measurement]
    /// The best evaluation so far, where a run looks for one.
    package var best: BestEvaluation?
    /// What a run with strategies keeps of its history.
    package var history: JSONObject?
    /// How far the reduction of the rate has come, where evaluations reduce it.
    package var plateau: PlateauState?

    /// Creates a state.
    ///
    /// - Parameters:
    ///   - clock: How far the run has come.
    ///   - previousClock: How far it had come a batch before.
    ///   - task: What the task keeps.
    ///   - optimizer: The name of the optimizer.
    ///   - optimizerSteps: The number of updates the optimizer has made.
    ///   - learningRate: The rate of the last step.
    ///   - nextRate: The rate of the next step, where it was determined with the last one.
    ///   - baseRate: The rate that the schedule multiplies.
    ///   - referenceRate: The rate that decoupled weight decay refers to.
    ///   - runIdentity: What a run that is resumed must share.
    ///   - evaluation: What was last measured on held-out data.
    ///   - best: The best evaluation so far.
    package init(
        clock: TrainingClock,
        previousClock: TrainingClock,
        task: JSONObject,
        optimizer: OptimizerSettings.Name,
        optimizerSteps: Int,
        learningRate: Double,
        nextRate: Double?,
        baseRate: Double,
        referenceRate: Double,
        runIdentity: [String: String],
        evaluation: [Measurement] = [],
        best: BestEvaluation? = nil
    ) {
        precondition(!task.keys.contains(where: Self.ownKeys.contains), "a task's state under a name of the trainer's")
        self.clock = clock
        self.previousClock = previousClock
        self.task = task
        self.optimizer = optimizer
        self.optimizerSteps = optimizerSteps
        self.learningRate = learningRate
        self.nextRate = nextRate
        self.baseRate = baseRate
        self.referenceRate = referenceRate
        self.runIdentity = runIdentity
        self.evaluation = evaluation
        self.best = best
    }

    private static let ownKeys = [
        "version", "clock", "previous", "optimizer", "facts", "evaluation", "best", "history", "plateau",
    ]

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - folder: The folder of the checkpoint.
    ///   - name: The name of the file.
    /// - Throws: `TrainingError` when it cannot be written.
    package func write(toFolder folder: String, name: String = fileName) throws {
        var object: JSONObject = [
            "version": 1,
            "clock": [
                "epoch": JSONValue(clock.epoch), "batch": JSONValue(clock.batch), "sample": JSONValue(clock.sample),
                "token": JSONValue(clock.token), "batch_in_epoch": JSONValue(clock.batchInEpoch),
                "sample_in_epoch": JSONValue(clock.sampleInEpoch), "token_in_epoch": JSONValue(clock.tokenInEpoch),
                "seconds": JSONValue(clock.seconds),
            ],
            "previous": [
                "sample": JSONValue(previousClock.sample), "token": JSONValue(previousClock.token),
                "seconds": JSONValue(previousClock.seconds),
            ],
        ]
        for member in task { object[member.key] = member.value }
        object["optimizer"] = [
            "name": .string(optimizer.rawValue), "steps": JSONValue(optimizerSteps), "lr": JSONValue(learningRate),
            "next_lr": nextRate.map { JSONValue($0) } ?? .null, "base_lr": JSONValue(baseRate),
            "reference_lr": JSONValue(referenceRate),
        ]
        object["facts"] = .object(
            JSONObject(runIdentity.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
        )
        object["evaluation"] = .object(JSONObject(evaluation.map { ($0.key, JSONValue($0.value)) }))
        if let best {
            object["best"] = [
                "metric": .string(best.settings.metric),
                "greater_is_better": .bool(best.settings.greaterIsBetter), "value": JSONValue(best.value),
                "batch": JSONValue(best.batch),
            ]
        }
        if let history { object["history"] = .object(history) }
        if let plateau {
            object["plateau"] = [
                "rate": JSONValue(plateau.rate), "best": plateau.best.map { JSONValue($0) } ?? .null,
                "bad_evaluations": JSONValue(plateau.badEvaluations), "cooldown_left": JSONValue(plateau.cooldownLeft),
            ]
        }
        let value = JSONValue.object(object)
        let text = value.text(JSONWritingOptions(layout: .indented(2))) + "\n"
        try TrainingError.translating {
            try AtomicFile.write(Array(text.utf8), to: FilePath.joined(folder, name))
        }
    }

    /// Reads the file.
    ///
    /// - Parameters:
    ///   - folder: The folder of the checkpoint.
    ///   - name: The name of the file.
    /// - Throws: `TrainingError` when it is missing or malformed.
    package init(folder: String, name: String = fileName) throws {
        let path = FilePath.joined(folder, name)
        let file = try TrainingError.translating { try MappedFile(path: path) }
        let value: JSONValue
        do {
            value = try file.withUnsafeBytes { try JSONValue(parsing: $0) }
        } catch {
            throw TrainingError(.malformed, path, found: "is not JSON (\(error))")
        }
        let fields = StateFields(path: path, value: value)
        clock = TrainingClock()
        clock.epoch = try fields.count("clock", "epoch")
        clock.batch = try fields.count("clock", "batch")
        clock.sample = try fields.count("clock", "sample")
        clock.token = try fields.count("clock", "token")
        clock.batchInEpoch = try fields.count("clock", "batch_in_epoch")
        clock.sampleInEpoch = try fields.count("clock", "sample_in_epoch")
        clock.tokenInEpoch = try fields.count("clock", "token_in_epoch")
        clock.seconds = try fields.number("clock", "seconds")
        previousClock = TrainingClock()
        previousClock.epoch = clock.epoch
        previousClock.batch = max(0, clock.batch - 1)
        previousClock.sample = try fields.count("previous", "sample")
        previousClock.token = try fields.count("previous", "token")
        previousClock.seconds = try fields.number("previous", "seconds")
        task = [:]
        for member in value.objectValue ?? [:] where !Self.ownKeys.contains(member.key) {
            task[member.key] = member.value
        }
        let name = try fields.text("optimizer", "name")
        guard let optimizer = OptimizerSettings.Name(rawValue: name) else {
            throw fields.malformed("optimizer", "name", "the name of an optimizer")
        }
        self.optimizer = optimizer
        optimizerSteps = try fields.count("optimizer", "steps")
        learningRate = try fields.number("optimizer", "lr")
        let next = value["optimizer"]?["next_lr"]
        nextRate = next == nil || next == .null ? nil : try fields.number("optimizer", "next_lr")
        baseRate = try fields.number("optimizer", "base_lr")
        referenceRate = try fields.number("optimizer", "reference_lr")
        runIdentity = [:]
        for member in value["facts"]?.objectValue ?? [:] { runIdentity[member.key] = member.value.stringValue }
        evaluation = (value["evaluation"]?.objectValue ?? [:]).map {
            Measurement(key: $0.key, value: $0.value.doubleValue ?? .nan)
        }
        history = value["history"]?.objectValue
        if let stored = value["plateau"] {
            var state = PlateauState(rate: try fields.number("plateau", "rate"))
            state.best = stored["best"]?.isNull == false ? try fields.number("plateau", "best") : nil
            state.badEvaluations = try fields.count("plateau", "bad_evaluations")
            state.cooldownLeft = try fields.count("plateau", "cooldown_left")
            plateau = state
        }
        guard let stored = value["best"] else { return }
        guard let greaterIsBetter = stored["greater_is_better"]?.boolValue else {
            throw fields.malformed("best", "greater_is_better", "true or false")
        }
        best = BestEvaluation(
            BestModelSettings(metric: try fields.text("best", "metric"), greaterIsBetter: greaterIsBetter),
            value: try fields.number("best", "value"),
            batch: try fields.count("best", "batch")
        )
    }
}

/// The best evaluation of a run by one metric.
public struct BestEvaluation: Hashable, Sendable {
    /// By which metric it is the best.
    package let settings: BestModelSettings
    /// The value of the metric.
    public let value: Double
    /// The number of batches after which it was measured.
    public let batch: Int

    /// Describes an evaluation.
    ///
    /// - Parameters:
    ///   - settings: By which metric it is the best.
    ///   - value: The value of the metric.
    ///   - batch: The number of batches after which it was measured.
    package init(_ settings: BestModelSettings, value: Double, batch: Int) {
        (self.settings, self.value, self.batch) = (settings, value, batch)
    }

    /// Whether another value of the metric is better.
    func isSurpassed(by value: Double) -> Bool {
        settings.greaterIsBetter ? value > self.value : value < self.value
    }
}

/// The fields of a state of training, in groups.
package struct StateFields {
    private let path: String
    private let value: JSONValue

    /// Takes the fields of a file.
    package init(path: String, value: JSONValue) { (self.path, self.value) = (path, value) }

    /// The error that says what a field is and what it ought to be.
    package func malformed(_ group: String, _ key: String, _ expected: String) -> TrainingError {
        let found = value[group]?[key].map { "is \($0.text())" } ?? "is missing"
        return TrainingError(.malformed, path, found: "\"\(group).\(key)\" \(found)", expected: expected)
    }

    /// A number of things.
    package func count(_ group: String, _ key: String) throws -> Int {
        guard let count = value[group]?[key]?.intValue, (0...Int.largestCount).contains(count) else {
            throw malformed(group, key, "a count, 0 to \(Int.largestCount)")
        }
        return count
    }

    /// A finite number.
    package func number(_ group: String, _ key: String) throws -> Double {
        guard let number = value[group]?[key]?.doubleValue, number.isFinite else {
            throw malformed(group, key, "a number")
        }
        return number
    }

    /// A text.
    package func text(_ group: String, _ key: String) throws -> String {
        guard let text = value[group]?[key]?.stringValue else { throw malformed(group, key, "a text") }
        return text
    }
}
