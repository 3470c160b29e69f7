import EttinFiles
import EttinJSON

/// The `log_history` of a `trainer_state.json`, ours or one that transformers wrote.
package enum LogHistory {
    /// The name of the file.
    package static let fileName = "trainer_state.json"

    /// Finds the file of a fine-tuning run: that of its end, or else of its newest checkpoint.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Returns: The path; nil where there is none.
    /// - Throws: `TrainingError` when the folder cannot be read.
    package static func path(inFolder folder: String) throws -> String? {
        let own = FilePath.joined(folder, fileName)
        if FilePath.kind(of: own) == .file { return own }
        let store = CheckpointStore(folder: folder, tag: "checkpoint-")
        return try store.newest().map { FilePath.joined($0.path, fileName) }
    }

    /// Reads the entries as lines of `metrics.jsonl`, each value under the name it has there.
    ///
    /// - Parameter path: The file.
    /// - Returns: The entries in order, without tokens and, but for the last, without seconds.
    /// - Throws: `TrainingError` for a file that cannot be read or is not ours.
    package static func read(_ path: String) throws -> [MetricsLine] {
        let value: JSONValue
        do {
            let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
            // Python writes losses that are not numbers as words.
            value = try JSONValue(parsing: bytes, options: JSONParsingOptions(allowsNonFiniteNumbers: true))
        } catch let error as JSONError {
            throw TrainingError(.malformed, path, found: "is not JSON: \(error)")
        }
        guard let entries = value["log_history"]?.arrayValue else {
            throw TrainingError(.malformed, path, found: "has no list \"log_history\"", expected: "a trainer's state")
        }
        return try entries.enumerated().map { place, entry in
            guard let object = entry.objectValue, let step = object["step"]?.intValue,
                (0...Int.largestCount).contains(step)
            else {
                throw TrainingError(
                    .malformed,
                    path,
                    found: "entry \(place + 1) of \"log_history\" has no \"step\"",
                    expected: "a count, 0 to \(Int.largestCount)"
                )
            }
            var values: [String: Double] = [:]
            for member in object where member.key != "step" {
                // Entries of other trainers may hold texts, which are no measurements.
                if let number = member.value.isNull ? .nan : member.value.doubleValue { values[member.key] = number }
            }
            let seconds = object["train_runtime"]?.doubleValue
            return MetricsLine(batch: step, token: 0, seconds: seconds, values: values, end: 0)
        }
    }
}
