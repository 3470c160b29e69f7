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
        let bytes = try TrainingError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
        var lines: [MetricsLine] = []
        var start = 0
        while start < bytes.count, let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(try line(Array(bytes[start..<end]), end: end + 1, place: "\(path):\(lines.count + 1)"))
            start = end + 1
        }
        return lines
    }

    private static func line(_ bytes: [UInt8], end: Int, place: String) throws -> MetricsLine {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, options: JSONParsingOptions(allowsNonFiniteNumbers: true))
        } catch {
            throw TrainingError(.malformed, place, found: "is not JSON: \(error.reason)", expected: "an object")
        }
        guard let object = value.objectValue else {
            throw TrainingError(.malformed, place, found: "is a JSON \(value.kind.rawValue)", expected: "an object")
        }
        func count(_ key: String) throws -> Int {
            guard let count = object[key]?.intValue, count >= 0 else {
                let found = object[key].map { "\"\(key)\" is \($0)" } ?? "has no \"\(key)\""
                throw TrainingError(.malformed, place, found: found, expected: "a count")
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
