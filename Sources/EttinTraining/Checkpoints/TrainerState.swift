public import EttinCorpus
import EttinFiles
import EttinJSON

/// What a run needs besides weights and moments to go on; `trainer_state.json` of a checkpoint.
///
/// There is no state of random generators: everything random is a function of seed, step and sample.
public struct TrainerState: Hashable, Sendable {
    /// The name of the file.
    public static let fileName = "trainer_state.json"

    /// A figure of an evaluation.
    public struct Measurement: Hashable, Sendable {
        /// The name of the metric.
        public let key: String
        /// Its value.
        public let value: Double

        /// Creates a figure.
        ///
        /// - Parameters:
        ///   - key: The name of the metric.
        ///   - value: Its value.
        public init(key: String, value: Double) {
            self.key = key
            self.value = value
        }
    }

    /// How far the run has come.
    public var clock: TrainingClock
    /// How far it had come a batch before, in samples, tokens and seconds alone.
    public var previousClock: TrainingClock
    /// Where it stands in its data.
    public var position: DataPosition
    /// The number of entries of its ledger.
    public var ledgerSteps: Int
    /// The last link of the ledger's chain, in hexadecimal digits.
    public var ledgerHead: String
    /// The name of the optimizer.
    public var optimizer: OptimizerSettings.Name
    /// The number of updates the optimizer has made.
    public var optimizerSteps: Int
    /// The rate of the last step.
    public var learningRate: Double
    /// The rate of the next step, where it was determined with the last one.
    public var nextRate: Double?
    /// The rate that the schedule multiplies.
    public var baseRate: Double
    /// The rate that decoupled weight decay refers to.
    public var referenceRate: Double
    /// Facts that a run which goes on must share, by the keys of its recipe.
    public var facts: [String: String]
    /// What was last measured on held-out data, for the model cards of later checkpoints.
    public var evaluation: [Measurement]

    /// Creates a state.
    ///
    /// - Parameters:
    ///   - clock: How far the run has come.
    ///   - previousClock: How far it had come a batch before.
    ///   - position: Where it stands in its data.
    ///   - ledgerSteps: The number of entries of its ledger.
    ///   - ledgerHead: The last link of the ledger's chain.
    ///   - optimizer: The name of the optimizer.
    ///   - optimizerSteps: The number of updates the optimizer has made.
    ///   - learningRate: The rate of the last step.
    ///   - nextRate: The rate of the next step, where it was determined with the last one.
    ///   - baseRate: The rate that the schedule multiplies.
    ///   - referenceRate: The rate that decoupled weight decay refers to.
    ///   - facts: Facts that a run which goes on must share.
    ///   - evaluation: What was last measured on held-out data.
    public init(
        clock: TrainingClock,
        previousClock: TrainingClock,
        position: DataPosition,
        ledgerSteps: Int,
        ledgerHead: String,
        optimizer: OptimizerSettings.Name,
        optimizerSteps: Int,
        learningRate: Double,
        nextRate: Double?,
        baseRate: Double,
        referenceRate: Double,
        facts: [String: String],
        evaluation: [Measurement] = []
    ) {
        self.clock = clock
        self.previousClock = previousClock
        self.position = position
        self.ledgerSteps = ledgerSteps
        self.ledgerHead = ledgerHead
        self.optimizer = optimizer
        self.optimizerSteps = optimizerSteps
        self.learningRate = learningRate
        self.nextRate = nextRate
        self.baseRate = baseRate
        self.referenceRate = referenceRate
        self.facts = facts
        self.evaluation = evaluation
    }

    /// Writes the file.
    ///
    /// - Parameter folder: The folder of the checkpoint.
    /// - Throws: `TrainingError` when it cannot be written.
    public func write(toFolder folder: String) throws {
        let value: JSONValue = [
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
            "data": [
                "epoch": JSONValue(position.epoch), "position": JSONValue(position.position),
                "step": JSONValue(position.step), "tokens": JSONValue(position.tokens),
            ],
            "ledger": ["steps": JSONValue(ledgerSteps), "chain": .string(ledgerHead)],
            "optimizer": [
                "name": .string(optimizer.rawValue), "steps": JSONValue(optimizerSteps), "lr": JSONValue(learningRate),
                "next_lr": nextRate.map { JSONValue($0) } ?? .null, "base_lr": JSONValue(baseRate),
                "reference_lr": JSONValue(referenceRate),
            ],
            "facts": .object(JSONObject(facts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            "evaluation": .object(JSONObject(evaluation.map { ($0.key, JSONValue($0.value)) })),
        ]
        let text = value.text(JSONWritingOptions(layout: .indented(2))) + "\n"
        try TrainingError.translating {
            try AtomicFile.write(Array(text.utf8), to: FilePath.joined(folder, Self.fileName))
        }
    }

    /// Reads the file.
    ///
    /// - Parameter folder: The folder of the checkpoint.
    /// - Throws: `TrainingError` when it is missing or malformed.
    public init(folder: String) throws {
        let path = FilePath.joined(folder, Self.fileName)
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
        position = DataPosition(
            epoch: try fields.count("data", "epoch"),
            position: try fields.count("data", "position"),
            step: try fields.count("data", "step"),
            tokens: try fields.count("data", "tokens")
        )
        ledgerSteps = try fields.count("ledger", "steps")
        ledgerHead = try fields.text("ledger", "chain")
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
        facts = [:]
        for member in value["facts"]?.objectValue ?? [:] { facts[member.key] = member.value.stringValue }
        evaluation = (value["evaluation"]?.objectValue ?? [:]).map {
            Measurement(key: $0.key, value: $0.value.doubleValue ?? .nan)
        }
    }
}

private struct StateFields {
    let path: String
    let value: JSONValue

    func malformed(_ group: String, _ key: String, _ expected: String) -> TrainingError {
        let found = value[group]?[key].map { "is \($0.text())" } ?? "is missing"
        return TrainingError(.malformed, path, found: "\"\(group).\(key)\" \(found)", expected: expected)
    }

    func count(_ group: String, _ key: String) throws -> Int {
        guard let count = value[group]?[key]?.intValue, count >= 0 else { throw malformed(group, key, "a count") }
        return count
    }

    func number(_ group: String, _ key: String) throws -> Double {
        guard let number = value[group]?[key]?.doubleValue, number.isFinite else {
            throw malformed(group, key, "a number")
        }
        return number
    }

    func text(_ group: String, _ key: String) throws -> String {
        guard let text = value[group]?[key]?.stringValue else { throw malformed(group, key, "a text") }
        return text
    }
}
