import EttinFiles
import EttinJSON
import EttinTraining

/// The parts of the loss since the last entry of the log.
///
/// > Source: sentence-transformers 6.2, `BaseTrainer.track_loss_components` and `BaseTrainer.log`.
struct ComponentSums {
    private var sums: [(key: String, value: Double)] = []
    /// The microbatches that were added.
    private var count = 0

    /// Takes what a checkpoint holds.
    ///
    /// - Parameters:
    ///   - json: What ``json`` was; nil for nothing.
    ///   - folder: The folder of the checkpoint, for messages.
    /// - Throws: `TrainingError` for a value that is malformed.
    init(_ json: JSONValue?, folder: String) throws {
        guard let json else { return }
        let count = json["count"]?.intValue
        let sums = json["sums"]?.objectValue?.map { (key: $0.key, value: $0.value.doubleValue) }
        guard let count, count > 0, let sums, sums.allSatisfy({ $0.value != nil }) else {
            throw TrainingError(
                .malformed,
                FilePath.joined(folder, TrainerState.strategiesFileName),
                found: "\"loss_components\" has \(json.text())",
                expected: "a count and sums"
            )
        }
        (self.count, self.sums) = (count, sums.map { ($0.key, $0.value ?? 0) })
    }

    /// Adds the parts of a microbatch's loss.
    mutating func add(_ parts: [(key: String, value: Double)]) {
        guard !parts.isEmpty else { return }
        count += 1
        for (key, value) in parts {
            if let place = sums.firstIndex(where: { $0.key == key }) {
                sums[place].value += value
            } else {
                sums.append((key, value))
            }
        }
    }

    /// Takes the parts, so that the next entry begins anew.
    ///
    /// - Parameter places: The decimal places that are kept; nil for all.
    /// - Returns: The mean of each part over the microbatches.
    mutating func take(places: Int?) -> [(key: String, value: Double)] {
        defer { self = ComponentSums() }
        return sums.map { part in
            let mean = part.value / Double(max(1, count))
            return (part.key, places.map { mean.rounded(places: $0) } ?? mean)
        }
    }

    /// What a checkpoint keeps; nil for nothing.
    var json: JSONValue? {
        guard count > 0 else { return nil }
        return [
            "count": JSONValue(count), "sums": .object(JSONObject(sums.map { ($0.key, JSONValue($0.value)) })),
        ]
    }

    private init() {}
}
