import EttinFiles
import EttinJSON

/// Keeps what a run measures as lines of JSON, one flat object for each point.
///
/// ```
/// {"time/batch":1,"time/token":4096,"time/sample":8,"time/epoch":0,"time/seconds":0.61,"loss/train/total":7.62}
/// ```
/// A line is written at once and whole. NaN and infinities are written as `null`.
public final class JSONLinesLogger: TrainingLogger {
    /// The name of the file in the folder of a run.
    package static let fileName = "metrics.jsonl"

    private let file: AppendedFile

    /// Opens the file of a run.
    ///
    /// - Parameters:
    ///   - path: The file; it is created where there is none.
    ///   - batch: The batch after which the run is resumed: lines of later batches go, and so does a last line that is not
    ///     complete. Nil for a run that begins, which keeps nothing.
    /// - Throws: `TrainingError` when the file cannot be opened, or has a line that is not ours.
    public init(path: String, continuingAfterBatch batch: Int?) throws {
        var keptBytes = 0
        if let batch, FilePath.kind(of: path) != .absent {
            keptBytes = try MetricsFile.read(path).prefix { $0.batch <= batch }.last?.end ?? 0
        }
        file = try TrainingError.translating { try AppendedFile(path: path, keptBytes: keptBytes) }
    }

    /// Appends a line.
    ///
    /// - Parameters:
    ///   - values: Names with their values.
    ///   - clock: How far the run has come.
    /// - Throws: `TrainingError` when it cannot be written.
    public func log(_ values: [(key: String, value: Double)], at clock: TrainingClock) throws {
        var object = JSONObject(clock.counters.map { ($0.key, JSONValue($0.value)) })
        object[TrainingClock.secondsKey] = JSONValue(clock.seconds)
        for (key, value) in values { object[key] = JSONValue(value) }
        let line = JSONValue.object(object).serialized() + [UInt8(ascii: "\n")]
        try TrainingError.translating { try file.append(line) }
    }

    /// Waits until the disk has the lines.
    ///
    /// - Throws: `TrainingError` when the disk fails.
    public func finish() throws {
        try TrainingError.translating { try file.sync() }
    }
}
