import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining

/// What a run's folder says of the run, one of pretraining or of fine-tuning.
struct RunRecord: Sendable {
    /// A checkpoint of a run.
    struct Checkpoint: Sendable, Hashable {
        /// The folder's name, such as `step100`.
        let name: String
        let path: String
        /// The number in the name: the batches of its phase.
        let batch: Int
    }

    /// The names under which a run has logged what every report shows.
    struct Names: Sendable, Hashable {
        var trainingLoss = MetricName.trainingLoss
        var evaluationLoss = MetricName.evaluationLoss
        var gradientNorm = MetricName.gradientNorm
        var learningRatePrefix = MetricName.learningRatePrefix
    }

    let folder: RunFolder
    let name: String
    let kind: ModelKind
    /// Whether the run fine-tuned a model, which has its own evaluations and no ledger.
    let isFineTuning: Bool
    /// Everything that `run.json` says.
    let facts: JSONObject
    let metrics: [MetricsLine]
    let names: Names
    /// The checkpoints from the first to the last.
    let checkpoints: [Checkpoint]

    /// Reads a run.
    ///
    /// - Parameter path: The run's folder.
    /// - Throws: `TrainingError` for what is missing or malformed, by file and line.
    init(_ path: String) throws {
        folder = RunFolder(path)
        let described = FilePath.kind(of: folder.description) == .file ? try Self.facts(folder.description) : nil
        isFineTuning = try Self.isFineTuning(path, described)
        guard isFineTuning else {
            facts = try described ?? Self.facts(folder.description)
            (name, kind) = try Self.identity(facts, folder)
            metrics = try Self.checked(MetricsFile.read(folder.metrics), of: folder)
            names = Names()
            checkpoints = try Self.checkpoints(path, ["step", "ext", "decay"])
            return
        }
        metrics = try Self.checked(MetricsFile.lines(ofRun: path), of: folder)
        checkpoints = try Self.checkpoints(path, [Self.fineTuningTag])
        name = described?["name"]?.stringValue ?? FilePath.lastComponent(of: path)
        kind = try Self.kind(of: checkpoints.map(\.path) + [FilePath.joined(path, "final")])
        facts = described ?? ["kind": .string(kind == .encoder ? "encoder" : "decoder"), "objective": "fine-tuning"]
        var names = Names()
        names.evaluationLoss = "eval_loss"
        if FilePath.kind(of: folder.metrics) != .file {
            // The names of `log_history`, where that is all there is.
            (names.trainingLoss, names.gradientNorm, names.learningRatePrefix) = ("loss", "grad_norm", "learning_rate")
        }
        self.names = names
    }

    private static func checked(_ metrics: [MetricsLine], of folder: RunFolder) throws -> [MetricsLine] {
        guard metrics.isEmpty else { return metrics }
        let expected = "a run that has logged a batch"
        throw TrainingError(.missing, folder.metrics, found: "has no line", expected: expected)
    }

    /// The metrics of the run's evaluations besides the loss, in alphabetical order.
    var evaluationKeys: [String] {
        let keys = Set(metrics.flatMap(\.values.keys)).filter { $0.hasPrefix("eval_") && $0 != names.evaluationLoss }
        return keys.filter { key in Self.timingKeys.allSatisfy { !key.hasSuffix($0) } }.sorted()
    }

    private static let timingKeys = ["_runtime", "_samples_per_second", "_steps_per_second"]

    /// What the names of fine-tuning's checkpoints begin with.
    private static let fineTuningTag = "checkpoint-"

    /// Whether a folder holds a run of fine-tuning: a description of one, or a history without a description.
    private static func isFineTuning(_ path: String, _ described: JSONObject?) throws -> Bool {
        if let described { return described["phase"]?.stringValue == fineTuningTag }
        return try LogHistory.path(inFolder: path) != nil
    }

    /// The kind of the first model that is there; encoders are what is fine-tuned most.
    private static func kind(of folders: [String]) throws -> ModelKind {
        let folder = folders.first { FilePath.kind(of: FilePath.joined($0, "config.json")) == .file }
        guard let folder else { return .encoder }
        let text = try Self.facts(FilePath.joined(folder, "config.json"))["model_type"]?.stringValue
        return text.flatMap { ModelKind(rawValue: $0) } ?? .encoder
    }

    /// The folders of runs that a path stands for: the run itself, or both halves of a pair.
    static func folders(_ path: String) throws -> [String] {
        guard FilePath.kind(of: path) == .folder else {
            throw TrainingError(.missing, path, found: "is not a folder", expected: "the folder of a run or of a pair")
        }
        func isRun(_ path: String) -> Bool { FilePath.kind(of: RunFolder(path).description) == .file }
        if try isRun(path) || isFineTuning(path, nil) { return [path] }
        let halves = ["encoder", "decoder"].map { FilePath.joined(path, $0) }
        guard halves.allSatisfy(isRun) else {
            throw TrainingError(
                .missing,
                path,
                found: "has no run.json",
                expected: "the folder of a run, or of a pair with encoder/run.json and decoder/run.json"
            )
        }
        return halves
    }

    /// A whole number of `run.json`.
    func count(_ key: String) -> Int? { facts[key]?.intValue }

    /// A text of `run.json`.
    func text(_ key: String) -> String? { facts[key]?.stringValue }

    private static func facts(_ path: String) throws -> JSONObject {
        let value: JSONValue
        do {
            let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
            value = try JSONValue(parsing: bytes)
        } catch let error as JSONError {
            throw TrainingError(.malformed, path, found: "is not JSON: \(error)")
        }
        guard let object = value.objectValue else {
            throw TrainingError(.malformed, path, found: "is a JSON \(value.kind.rawValue)", expected: "an object")
        }
        return object
    }

    private static func identity(_ facts: JSONObject, _ folder: RunFolder) throws -> (String, ModelKind) {
        func text(_ key: String, expected: String) throws -> String {
            if let text = facts[key]?.stringValue { return text }
            let found = facts[key].map { "\"\(key)\" is \($0)" } ?? "has no \"\(key)\""
            throw TrainingError(.malformed, folder.description, found: found, expected: expected)
        }
        let name = try text("name", expected: "a text")
        switch try text("kind", expected: "\"encoder\" or \"decoder\"") {
        case "encoder": return (name, .encoder)
        case "decoder": return (name, .decoder)
        case let other:
            let found = "\"kind\" is \(quoted(other))"
            throw TrainingError(.malformed, folder.description, found: found, expected: "\"encoder\" or \"decoder\"")
        }
    }

    private static func checkpoints(_ path: String, _ tags: [String]) throws -> [Checkpoint] {
        let names = try TrainingError.translating { try FilePath.names(inFolder: path) }
        // In the order of the phases, as a folder may hold all three.
        return tags.flatMap { tag in
            names.compactMap { name -> Checkpoint? in
                guard name.hasPrefix(tag), let batch = Int(name.dropFirst(tag.count)), batch >= 0 else { return nil }
                let checkpoint = FilePath.joined(path, name)
                guard FilePath.kind(of: FilePath.joined(checkpoint, "config.json")) == .file else { return nil }
                return Checkpoint(name: name, path: checkpoint, batch: batch)
            }.sorted { $0.batch < $1.batch }
        }
    }
}
