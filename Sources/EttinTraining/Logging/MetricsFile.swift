import EttinFiles
import EttinJSON

/// One line of `metrics.jsonl`: what was measured at one point of a run.
package struct MetricsLine: Sendable {
    /// Completed batches.
    package let batch: Int
    /// Tokens of these batches.
    package let token: Int
    /// Seconds of training; nil in files that do not say.
    package let seconds: Double?
    /// The other values; NaN for `null`, which is what JSON can say of one.
    package let values: [String: Double]
    /// Where the next line begins in the file.
    let end: Int
}

/// The file that `JSONLinesLogger` writes.
package enum MetricsFile {
    /// Reads the lines of a file.
    ///
    /// A last line that is not complete is passed over: a run that was killed leaves one, and a run that is writing may
    /// be caught at it.
    ///
    /// - Parameter path: The file.
    /// - Returns: Its lines in order.
    /// - Throws: `TrainingError` for a file that cannot be read and, by number, for a line that is not ours.
    package static func read(_ path: String) throws -> [MetricsLine] {
        let file = try TrainingError.translating { try MappedFile(path: path) }
        return try file.withUnsafeBytes { bytes in
            var lines: [MetricsLine] = []
            var reader = ByteReader(bytes)
            while let line = reader.line() {
                let place = "\(path):\(lines.count + 1)"
                lines.append(try self.line(line, isFirst: lines.isEmpty, end: reader.position, place: place))
            }
            return lines
        }
    }

    /// Reads what a run has logged: `metrics.jsonl`, or else what fine-tuning keeps in `trainer_state.json`.
    ///
    /// - Parameter folder: The folder of the run.
    /// - Returns: The lines; none where there is no such file.
    /// - Throws: `TrainingError` as reading either does.
    package static func lines(ofRun folder: String) throws -> [MetricsLine] {
        let path = FilePath.joined(folder, JSONLinesLogger.fileName)
        if FilePath.kind(of: path) == .file { return try read(path) }
        return try LogHistory.path(inFolder: folder).map(LogHistory.read) ?? []
    }

    private static func line(
        _ bytes: UnsafeRawBufferPointer,
        isFirst: Bool,
        end: Int,
        place: String
    ) throws -> MetricsLine {
        let object: JSONObject
        do {
            object = try JSONLine.object(bytes, isFirst: isFirst, expected: "an object")
        } catch {
            throw TrainingError(.malformed, place, found: error.found, expected: error.expected)
        }
        func count(_ key: String) throws -> Int {
            guard let count = object[key]?.intValue, (0...Int.largestCount).contains(count) else {
                let found = object[key].map { "\"\(key)\" is \($0)" } ?? "has no \"\(key)\""
                throw TrainingError(.malformed, place, found: found, expected: "a count, 0 to \(Int.largestCount)")
            }
            return count
        }
        var values: [String: Double] = [:]
        for member in object where !member.key.hasPrefix("time/") {
            guard let number = member.value.isNull ? .nan : member.value.doubleValue else {
                let found = "\(quoted(member.key)) is a \(member.value.kind.rawValue)"
                throw TrainingError(.malformed, place, found: found, expected: "a number or null")
            }
            values[member.key] = number
        }
        return MetricsLine(
            batch: try count("time/batch"),
            token: try count("time/token"),
            seconds: object[TrainingClock.secondsKey]?.doubleValue,
            values: values,
            end: end
        )
    }
}
