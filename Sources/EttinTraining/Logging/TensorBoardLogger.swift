import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Keeps what a run measures as event files, which TensorBoard opens.
///
/// The step of a value is the number of batches. A run that is resumed writes a new file, which begins by declaring void
/// what earlier files say of later batches: TensorBoard then shows one curve.
public final class TensorBoardLogger: TrainingLogger {
    /// The name of the folder of event files in that of a run.
    package static let folderName = "tensorboard"

    private let file: AppendedFile
    private let now: () -> Double

    /// Begins an event file.
    ///
    /// - Parameters:
    ///   - folder: The folder of event files; it is made where there is none.
    ///   - batch: The batch after which the run is resumed; nil for a new run, which voids all that earlier files in
    ///     the folder say.
    /// - Throws: `TrainingError` when the file cannot be created.
    public convenience init(folder: String, continuingAfterBatch batch: Int?) throws {
        try self.init(folder: folder, continuingAfterBatch: batch, now: Self.secondsSince1970)
    }

    init(folder: String, continuingAfterBatch batch: Int?, now: @escaping () -> Double) throws {
        self.now = now
        let (file, isFirst) = try TrainingError.translating {
            try FilePath.makeFolder(folder)
            let earlier = try FilePath.names(inFolder: folder).compactMap(Self.second)
            // TensorBoard reads files in the order of their names and never goes back to an earlier one.
            let second = max(Int(clamping: now()), (earlier.max() ?? 0) + 1)
            let path = FilePath.joined(folder, "\(Self.prefix)\(second).ettin.\(getpid())")
            return (try AppendedFile(path: path, keptBytes: 0), earlier.isEmpty)
        }
        self.file = file
        try append(.fileVersion, step: 0)
        if !isFirst { try append(.restart, step: batch.map { $0 + 1 } ?? 0) }
    }

    /// Appends an event.
    ///
    /// - Parameters:
    ///   - values: Names with their values.
    ///   - clock: How far the run has come.
    /// - Throws: `TrainingError` when it cannot be written.
    public func log(_ values: [(key: String, value: Double)], at clock: TrainingClock) throws {
        // Batches are the steps already.
        let counters = clock.counters.dropFirst().map { (key: $0.key, value: Double($0.value)) }
        let seconds = (key: TrainingClock.secondsKey, value: clock.seconds)
        try append(.scalars(counters + [seconds] + values), step: clock.batch)
    }

    /// Waits until the disk has the events.
    ///
    /// - Throws: `TrainingError` when the disk fails.
    public func finish() throws {
        try TrainingError.translating { try file.sync() }
    }

    private func append(_ content: EventRecord.Content, step: Int) throws {
        let record = EventRecord(content: content, step: step, wallTime: now())
        try TrainingError.translating { try file.append(record.bytes) }
    }

    private static let prefix = "events.out.tfevents."

    /// The second in the name of an event file; nil for other files.
    private static func second(of name: String) -> Int? {
        guard name.hasPrefix(prefix) else { return nil }
        // A name beyond all seconds is not one of an event file.
        return Int(name.dropFirst(prefix.count).prefix { $0 != "." }).flatMap { $0 < .largestCount ? $0 : nil }
    }

    private static func secondsSince1970() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
