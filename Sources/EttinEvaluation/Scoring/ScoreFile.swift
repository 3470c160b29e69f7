import EttinFiles
package import EttinJSON

/// A file of JSON Lines that a killed run continues behind its last whole line.
///
/// Lines go to a hidden file beside it, `.NAME.part`; what the run is stands in `.NAME.part.json`. Once all rows are there,
/// the file gets its name, and the record is `.NAME.json`, by which a later call knows that nothing is left to do.
package final class ScoreFile {
    package let path: String
    /// The number of rows that earlier runs have written.
    package let keptRows: Int
    /// What the run is, until the file is complete.
    private let sidecar: String
    /// What the run was, once it is.
    private let record: String
    /// Nil where the file is complete.
    private let file: AppendedFile?

    /// Opens a new or an unfinished file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - header: What the lines depend on, by key.
    ///   - rowCount: The number of rows of the whole file.
    ///   - resumes: Whether an unfinished file is continued; otherwise it is an error.
    /// - Throws: ``EvaluationError`` for an unfinished file that is not to be continued, one of another run, one that
    ///   another process is writing, and when the system refuses.
    package init(path: String, header: JSONObject, rowCount: Int, resumes: Bool) throws {
        let part = Self.hidden(path, ".part")
        let (sidecar, complete) = (Self.hidden(path, ".part.json"), Self.hidden(path, ".json"))
        self.path = path
        (self.sidecar, record) = (sidecar, complete)
        let isBegun = FilePath.exists(sidecar) && FilePath.exists(part)
        if isBegun {
            guard resumes else {
                throw EvaluationError(
                    .invalidOption,
                    file: path,
                    found: "has an unfinished run, \(part)",
                    expected: "--resume to continue it, or another --output; delete \(part) to start over"
                )
            }
            try Self.check(header, sidecar, "the unfinished run", "delete \(part) to start over")
        }
        let isComplete = resumes && !FilePath.exists(part) && FilePath.exists(path)
        if isComplete {
            // A kill between the two renames leaves the record under its first name.
            let record = FilePath.exists(sidecar) ? sidecar : complete
            guard FilePath.exists(record) else {
                throw EvaluationError(
                    .invalidOption,
                    file: path,
                    found: "is there without \(record), the record of the run that wrote it",
                    expected: "another --output, or no --resume to replace it"
                )
            }
            try Self.check(header, record, "the run that wrote it", "without --resume it is replaced")
        }
        let (rows, bytes) = try isComplete || isBegun ? Self.wholeLines(isComplete ? path : part) : (0, 0)
        guard isComplete ? rows == rowCount : rows <= rowCount else {
            throw EvaluationError(
                .malformed,
                file: isComplete ? path : part,
                found: "has \(rows) rows",
                expected: isComplete
                    ? "\(rowCount), as the data have; without --resume it is replaced"
                    : "at most \(rowCount), as the data have; delete it to start over"
            )
        }
        keptRows = rows
        guard !isComplete else {
            file = nil
            try keepRecord()
            return
        }
        file = try EvaluationError.translating {
            let file = try AppendedFile(path: part, keptBytes: bytes, isLocked: true)
            // After the file, so that no line of another run stands under this header.
            if !isBegun {
                try AtomicFile.write(
                    JSONValue.object(header).serialized(JSONWritingOptions(layout: .indented(2))),
                    to: sidecar
                )
            }
            return file
        }
    }

    /// Whether there is nothing left to do.
    package var isComplete: Bool { file == nil }

    /// Appends lines.
    ///
    /// - Parameter lines: Whole lines.
    /// - Throws: ``EvaluationError`` when they cannot be written.
    package func append(_ lines: [UInt8]) throws {
        try EvaluationError.translating { try file?.append(lines) }
    }

    /// Gives the file its name.
    ///
    /// - Throws: ``EvaluationError`` when the system refuses.
    package func finish() throws {
        guard let file else { return }
        try EvaluationError.translating {
            try file.sync()
            try FilePath.putInPlace(file.path, as: path)
        }
        try keepRecord()
    }

    /// Removes what was begun, unless lines were written that a later run may go on from.
    package func removeUnlessBegun() {
        guard let file, FilePath.fileSize(file.path) == 0 else { return }
        // The failure that led here is what is reported.
        try? FilePath.remove(file.path)
        try? FilePath.remove(sidecar)
    }

    private func keepRecord() throws {
        guard FilePath.exists(sidecar) else { return }
        try EvaluationError.translating { try FilePath.putInPlace(sidecar, as: record) }
    }

    private static func hidden(_ path: String, _ suffix: String) -> String {
        FilePath.joined(FilePath.folder(of: path), ".\(FilePath.lastComponent(of: path))\(suffix)")
    }

    /// Refuses to continue what another model, other data or other options began.
    private static func check(_ header: JSONObject, _ file: String, _ run: String, _ help: String) throws {
        let bytes = try EvaluationError.translating { try OpenFile.contents(of: file) }
        guard let found = try? JSONValue(parsing: bytes) else {
            throw EvaluationError(
                .malformed,
                file: file,
                found: "is not JSON",
                expected: "the record of a run; \(help)"
            )
        }
        for (key, value) in header.map({ ($0.key, $0.value) }) where found[key] != value {
            throw EvaluationError(
                .invalidOption,
                file: file,
                item: quoted(key),
                found: "of \(run) is \(found[key]?.text() ?? "not there")",
                expected: "\(value.text()), as this run has it; \(help)"
            )
        }
    }

    /// The number of lines that end, and where the last of them does.
    private static func wholeLines(_ path: String) throws -> (rows: Int, bytes: Int) {
        let file = try EvaluationError.translating { try MappedFile(path: path) }
        return file.withUnsafeBytes { bytes in
            let count = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            return (bytes[..<count].count { $0 == 0x0A }, count)
        }
    }
}
