import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining

/// What a run's folder says of the run.
struct RunRecord: Sendable {
    /// A checkpoint of a run.
    struct Checkpoint: Sendable, Hashable {
        /// The folder's name, such as `step100`.
        let name: String
        let path: String
        /// The number in the name: the batches of its phase.
        let batch: Int
    }

    let folder: RunFolder
    let name: String
    let kind: ModelKind
    /// Everything that `run.json` says.
    let facts: JSONObject
    let metrics: [MetricsLine]
    /// The checkpoints from the first to the last.
    let checkpoints: [Checkpoint]

    /// Reads a run.
    ///
    /// - Parameter path: The run's folder.
    /// - Throws: `TrainingError` for what is missing or malformed, by file and line.
    init(_ path: String) throws {
        folder = RunFolder(path)
        facts = try Self.facts(folder.description)
        (name, kind) = try Self.identity(facts, folder)
        metrics = try MetricsFile.read(folder.metrics)
        guard !metrics.isEmpty else {
            let expected = "a run that has logged a batch"
            throw TrainingError(.missing, folder.metrics, found: "has no line", expected: expected)
        }
        checkpoints = try Self.checkpoints(path)
    }

    /// The folders of runs that a path stands for: the run itself, or both halves of a pair.
    static func folders(_ path: String) throws -> [String] {
        guard FilePath.kind(of: path) == .folder else {
            throw TrainingError(.missing, path, found: "is not a folder", expected: "the folder of a run or of a pair")
        }
        func isRun(_ path: String) -> Bool { FilePath.kind(of: RunFolder(path).description) == .file }
        if isRun(path) { return [path] }
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

    private static func checkpoints(_ path: String) throws -> [Checkpoint] {
        let names = try TrainingError.translating { try FilePath.names(inFolder: path) }
        // In the order of the phases, as a folder may hold all three.
        return ["step", "ext", "decay"].flatMap { tag in
            names.compactMap { name -> Checkpoint? in
                guard name.hasPrefix(tag), let batch = Int(name.dropFirst(tag.count)), batch >= 0 else { return nil }
                let checkpoint = FilePath.joined(path, name)
                guard FilePath.kind(of: FilePath.joined(checkpoint, "config.json")) == .file else { return nil }
                return Checkpoint(name: name, path: checkpoint, batch: batch)
            }.sorted { $0.batch < $1.batch }
        }
    }
}
