import EttinFiles
package import EttinJSON

/// What came of many runs of a reader.
package struct FuzzTally: Sendable {
    package var runs = 0
    package var accepted = 0
    /// How often each class of message was the answer.
    package var refused: [String: Int] = [:]
    /// Runs that broke a promise, with what was wrong.
    package var broken: [(run: Int, reason: String)] = []
    /// The slowest run and the seconds it took.
    package var slowest: (run: Int, seconds: Double) = (0, 0)
    /// The run that made resident memory grow the most, by how many bytes; of a few runs together, the last.
    package var largest: (run: Int, bytes: Int) = (0, 0)

    package init() {}

    package mutating func add(_ other: FuzzTally) {
        runs += other.runs
        accepted += other.accepted
        refused.merge(other.refused, uniquingKeysWith: +)
        broken += other.broken
        if other.slowest.seconds > slowest.seconds { slowest = other.slowest }
        if other.largest.bytes > largest.bytes { largest = other.largest }
    }

    // MARK: - Between processes

    package var json: JSONValue {
        [
            "runs": JSONValue(runs), "accepted": JSONValue(accepted),
            "refused": .object(JSONObject(refused.sorted { $0.key < $1.key }.map { ($0.key, JSONValue($0.value)) })),
            "broken": .array(broken.map { [JSONValue($0.run), .string($0.reason)] }),
            "slowest": [JSONValue(slowest.run), JSONValue(slowest.seconds)],
            "largest": [JSONValue(largest.run), JSONValue(largest.bytes)],
        ]
    }

    package init(_ json: JSONValue) {
        runs = json["runs"]?.intValue ?? 0
        accepted = json["accepted"]?.intValue ?? 0
        for member in json["refused"]?.objectValue ?? [:] { refused[member.key] = member.value.intValue }
        broken = (json["broken"]?.arrayValue ?? []).map { ($0[0]?.intValue ?? 0, $0[1]?.stringValue ?? "") }
        slowest = (json["slowest"]?[0]?.intValue ?? 0, json["slowest"]?[1]?.doubleValue ?? 0)
        largest = (json["largest"]?[0]?.intValue ?? 0, json["largest"]?[1]?.intValue ?? 0)
    }
}

/// Runs of one reader in this process.
package struct FuzzSession {
    package let reader: FuzzReader
    package let seed: UInt64
    /// Where inputs are written; what is there is replaced.
    package let folder: String
    /// The most by which resident memory may grow: so many times the input, and so many bytes more.
    package var memoryFactor: Int
    package var memorySlack = 100_000_000
    /// The most seconds of a run.
    package var longestRun = 10.0

    package init(_ reader: FuzzReader, seed: UInt64, folder: String) {
        (self.reader, self.seed, self.folder) = (reader, seed, folder)
        memoryFactor = reader.memoryFactor
    }

    /// Runs a range of numbers.
    ///
    /// - Parameters:
    ///   - range: The numbers of the runs, from which their inputs follow.
    ///   - begins: Called before each run.
    ///   - ends: Whether to stop early.
    /// - Returns: What came of them.
    /// - Throws: `FileError` when an input cannot be written.
    package func run(_ range: Range<Int>, begins: (Int) -> Void = { _ in }, ends: () -> Bool = { false }) throws
        -> FuzzTally
    {
        var tally = FuzzTally()
        var next = range.lowerBound
        while next < range.upperBound, !ends() {
            // Asking for the peak takes longer than most runs, so several share it; one that grew is looked at alone.
            let batch = next..<min(next + 32, range.upperBound)
            let (before, inputBytes) = (PeakMemory.reset(), try runAll(batch, &tally, begins))
            let growth = PeakMemory.growth(since: before)
            if growth > memorySlack + memoryFactor * inputBytes {
                for number in batch {
                    begins(number)
                    // What making the input takes is not the reader's.
                    let input = try reader.input(seed: seed, run: number)
                    let bytes = input.byteCount
                    let before = PeakMemory.reset()
                    _ = try reader.outcome(of: input, in: folder)
                    let growth = PeakMemory.growth(since: before)
                    if growth > memorySlack + memoryFactor * bytes {
                        tally.broken.append((number, "takes \(growth / 1_000_000) MB for \(bytes) bytes"))
                    }
                    if growth > tally.largest.bytes { tally.largest = (number, growth) }
                }
            } else if growth > tally.largest.bytes {
                tally.largest = (batch.upperBound - 1, growth)
            }
            next = batch.upperBound
        }
        return tally
    }

    /// The bytes of the largest input.
    private func runAll(_ range: Range<Int>, _ tally: inout FuzzTally, _ begins: (Int) -> Void) throws -> Int {
        var largest = 0
        for number in range {
            begins(number)
            let input = try reader.input(seed: seed, run: number)
            largest = max(largest, input.byteCount)
            let clock = ContinuousClock()
            let start = clock.now
            let outcome = try reader.outcome(of: input, in: folder)
            let seconds = (clock.now - start) / .seconds(1)
            if seconds > tally.slowest.seconds { tally.slowest = (number, seconds) }
            if seconds > longestRun { tally.broken.append((number, "takes \(Int(clamping: seconds)) s")) }
            tally.runs += 1
            switch outcome {
            case .accepted: tally.accepted += 1
            case .refused(let message): tally.refused[message, default: 0] += 1
            case .broken(let reason): tally.broken.append((number, reason))
            }
        }
        return largest
    }
}

/// The resident memory of this process at its highest; 0 where the system does not say.
private enum PeakMemory {
    /// Begins anew, and says what is resident now.
    static func reset() -> Int {
        guard let file = try? OpenFile("/proc/self/clear_refs", .update) else { return 0 }
        try? Array("5".utf8).withUnsafeBytes { try file.write($0, at: 0) }
        return value("VmRSS:")
    }

    static func growth(since before: Int) -> Int { before == 0 ? 0 : max(0, value("VmHWM:") - before) }

    private static func value(_ key: String) -> Int {
        guard let bytes = try? OpenFile("/proc/self/status", .read).read(at: 0, count: 4096) else { return 0 }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }),
            let kilobytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
        else { return 0 }
        return kilobytes * 1024
    }
}
