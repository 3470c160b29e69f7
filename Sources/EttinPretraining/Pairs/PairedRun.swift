import EttinFiles
import EttinJSON
import EttinTraining

/// What `run.json` says about a run that its ledger cannot: whether the two halves of a pair were trained alike.
struct PairedRun: Hashable, Sendable {
    let kind: String
    let objective: String
    let vocabularySize: Int
    /// The name of the data set: its folder's, as the same data may lie at different places, and the split's.
    let dataset: String
    /// The longest sequence, where the recipe says it.
    let maxSequenceLength: Int?
    /// The seed of the order of the samples, where the recipe says it.
    let shuffleSeed: Int?
    /// The seed of weights, masks and dropout, where the recipe says it.
    let seed: Int?
    /// The order data set whose batches are taken as they are; nil for an order that is computed.
    let orderPath: String?

    /// Reads `run.json`.
    init(_ run: RunFolder) throws {
        let path = run.description
        let file = try TrainingError.translating { try MappedFile(path: path) }
        let object: JSONValue
        do {
            object = try file.withUnsafeBytes { try JSONValue(parsing: $0) }
        } catch {
            throw TrainingError(.malformed, path, found: "is not JSON: \(error)")
        }
        func text(_ key: String) throws -> String {
            guard let text = object[key]?.stringValue, !text.isEmpty else {
                throw TrainingError(
                    .malformed,
                    path,
                    found: "has no text \"\(key)\"",
                    expected: "the run.json of a run"
                )
            }
            return text
        }
        func optional(_ keys: String...) throws -> Int? {
            var value = object["recipe"]
            for key in keys { value = value?[key] }
            guard let value, !value.isNull else { return nil }
            guard let number = value.intValue else {
                let key = (["recipe"] + keys).joined(separator: ".")
                throw TrainingError(.malformed, path, found: "has \"\(key)\" \(value)", expected: "a whole number")
            }
            return number
        }
        guard let vocabularySize = object["vocab_size"]?.intValue else {
            throw TrainingError(
                .malformed,
                path,
                found: "has no integer \"vocab_size\"",
                expected: "the run.json of a run"
            )
        }
        self.vocabularySize = vocabularySize
        kind = try text("kind")
        objective = try text("objective")
        let stored = object["recipe"]?["train_loader"]?["dataset"]
        let folder = FilePath.lastComponent(of: try stored?["local"]?.stringValue ?? text("data"))
        dataset = stored?["split"]?.stringValue.map { FilePath.joined(folder, $0) } ?? folder
        orderPath = stored?["order_path"]?.stringValue
        maxSequenceLength = try optional("max_seq_len")
        shuffleSeed = try optional("train_loader", "dataset", "shuffle_seed")
        seed = try optional("seed")
    }
}
