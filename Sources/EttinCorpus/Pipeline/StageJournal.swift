import EttinFiles
import EttinJSON

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a running stage has put in place: one line per complete piece, each synced before the next piece begins.
///
/// The first line says what the run is; every other describes a piece and holds the stage's state at its end. A run that
/// was killed goes on behind the last complete line, whose state is compared with the pieces. The file is locked while a
/// stage runs.
final class StageJournal {
    static let fileName = ".progress.jsonl"

    let path: String
    private let descriptor: Int32
    /// What an earlier run has completed.
    let entries: [JSONValue]

    /// Opens or begins the journal of an output; `header` must equal that of the run it continues.
    ///
    /// `isInPlace` says whether the piece of an entry is there; those behind one that is not are forgotten.
    init(
        path: String,
        output: String,
        header: JSONValue,
        isInPlace: (_ entry: JSONValue, _ line: String) throws -> Bool
    ) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0o666)
        guard descriptor >= 0 else { throw CorpusError(FileError.system(path, "cannot be opened")) }
        do {
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw CorpusError(
                    .inputOutput,
                    file: output,
                    found: "is being written by another process",
                    expected: "one process per output"
                )
            }
            let (lines, length) = try Self.completeLines(path)
            let entries = try Self.entries(lines, header, output: output, path: path, isInPlace)
            // A line that was cut off by a kill, and those whose piece is not in place, are written anew.
            let kept = lines.prefix(lines.isEmpty ? 0 : entries.count + 1).reduce(0) { $0 + $1.count + 1 }
            if kept < length, ftruncate(descriptor, off_t(kept)) != 0 {
                throw CorpusError(FileError.system(path, "cannot be shortened"))
            }
            if lines.isEmpty { try Self.append(header, to: descriptor, path) }
            self.entries = entries
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    private static func completeLines(_ path: String) throws -> (lines: [[UInt8]], length: Int) {
        let file = try CorpusError.translating { try MappedFile(path: path) }
        return file.withUnsafeBytes { bytes in
            var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map { Array($0) }
            // Behind the last line feed lies nothing, or a line that is not complete.
            if !lines.isEmpty { lines.removeLast() }
            return (lines, bytes.count)
        }
    }

    private static func entries(
        _ lines: [[UInt8]],
        _ header: JSONValue,
        output: String,
        path: String,
        _ isInPlace: (JSONValue, String) throws -> Bool
    ) throws -> [JSONValue] {
        guard let first = lines.first else { return [] }
        func parsed(_ line: [UInt8], _ number: Int) throws -> JSONValue {
            do {
                return .object(
                    try line.withUnsafeBytes { try JSONLine.object($0, isFirst: number == 1, expected: "an object") }
                )
            } catch let fault as JSONLine.Fault {
                let (found, expected) = (fault.found, fault.expected)
                throw CorpusError(.malformed, file: path, item: "line \(number)", found: found, expected: expected)
            }
        }
        let found = try parsed(first, 1)
        guard found == header else {
            let keys = header.objectValue?.keys ?? []
            let key = keys.first { found[$0] != header[$0] } ?? "stage"
            throw CorpusError(
                .invalidOption,
                file: output,
                found: "holds an unfinished run whose \(shown(key)) differ from this one's",
                expected: "the same, or another output"
            )
        }
        var entries: [JSONValue] = []
        for (index, line) in lines.dropFirst().enumerated() {
            let entry = try parsed(line, index + 2)
            guard try isInPlace(entry, "line \(index + 2)") else { break }
            entries.append(entry)
        }
        return entries
    }

    /// The state at the end of the last complete piece; nil when there is none.
    var state: ResumedState? {
        // The first line is the header.
        entries.last.map { ResumedState($0["state"] ?? .null, journal: path, line: "line \(entries.count + 1)") }
    }

    func append(_ entry: JSONValue) throws { try Self.append(entry, to: descriptor, path) }

    private static func append(_ value: JSONValue, to descriptor: Int32, _ path: String) throws {
        let line = value.serialized() + [0x0A]
        try CorpusError.translating { try line.withUnsafeBytes { try writeAll($0, to: descriptor, path) } }
        guard fsync(descriptor) == 0 else { throw CorpusError(FileError.system(path, "cannot be synced to the disk")) }
    }
}
