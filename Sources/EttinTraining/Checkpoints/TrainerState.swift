public import EttinCorpus
import EttinFiles
import EttinJSON

/// What a run needs besides weights and moments to go on; `trainer_state.json` of a checkpoint.
///
/// There is no state of random generators: everything random is a function of seed, step and sample.
public struct TrainerState: Hashable, Sendable {
    /// The name of the file.
    public static let fileName = "trainer_state.json"

    /// How far the run has come.
    public var clock: TrainingClock
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

    /// Creates a state.
    ///
    /// - Parameters:
    ///   - clock: How far the run has come.
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
    public init(
        clock: TrainingClock,
        position: DataPosition,
        ledgerSteps: Int,
        ledgerHead: String,
        optimizer: OptimizerSettings.Name,
        optimizerSteps: Int,
        learningRate: Double,
        nextRate: Double?,
        baseRate: Double,
        referenceRate: Double,
        facts: [String: String]
    ) {
        self.clock = clock
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
            "data": [
                "epoch": JSONValue(position.epoch), "position": JSONValue(position.position),
                "step": JSONValue(position.step), "tokens": JSONValue(position.tokens),
            ],
            "ledger": ["steps": JSONValue(ledgerSteps), "chain": .string(ledgerHead)],
            "optimizer": [
                "name": .string(optimizer.rawValue), "steps": JSONValue(optimizerSteps), "lr": JSONValue(learningRate),
                "next_lr": nextRate.map { JSONValue($0) } ?? .null, "base_lr": JSONValue(baseRate), "reference_lr": JSONValue(referenceRate),
            ],
            "facts": .object(JSONObject(facts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
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
