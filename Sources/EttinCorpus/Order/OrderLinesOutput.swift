import EttinFiles
import EttinJSON

/// The file of JSON Lines that a stage writes, which a killed run continues with the same bytes.
///
/// Rows go to a hidden file beside it. After every block it is synced, and the journal gets its length; what lies behind
/// the last such length is cut off by the run that resumes. The file, then its manifest, appear when all rows are there.
final class OrderLinesOutput {
    /// Rows are handed to the system in pieces of about so many bytes.
    private static let bufferSize = 1 << 20

    private let path: String
    private let header: JSONObject
    private let journal: StageJournal
    private let file: AppendedFile
    private let blockLimit: Int?
    private let state: () -> JSONValue
    private var pending: [UInt8] = []
    private var blockBytes = 0
    private var completeBytes: Int
    /// The state at the end of the last complete block of an earlier run, with the rows up to there; nil for a new run.
    let resumed: (state: ResumedState, rows: ResumedRows)?

    static func manifestPath(_ path: String) -> String { path + "." + StageOutput.manifestName }

    private static func hidden(_ path: String, _ suffix: String) -> String {
        FilePath.joined(FilePath.folder(of: path), ".\(FilePath.lastComponent(of: path))\(suffix)")
    }

    private static func journalPath(_ path: String) -> String { hidden(path, StageJournal.fileName) }

    /// The manifest of a finished run of the same job; nil when there is none, or its file has gone.
    static func finishedManifest(_ path: String, header: JSONObject) throws -> JSONValue? {
        let manifestPath = manifestPath(path)
        guard FilePath.exists(path),
            let manifest = try StageManifest.finished(manifestPath, output: path, header: header)
        else { return nil }
        let size = FilePath.fileSize(path)
        guard let recorded = manifest["results"]?["bytes"]?.intValue, recorded == size else {
            throw CorpusError(
                .malformed,
                file: path,
                found: size.map { "has \($0) bytes" } ?? "is not a file",
                expected: "the \(manifest["results"]?["bytes"]?.text() ?? "file") that \(manifestPath) gives"
            )
        }
        try StageManifest.removeJournal(journalPath(path))
        return manifest
    }

    /// Opens a new or unfinished file.
    ///
    /// `header` says what the run is; `state` is asked for the state of the stage whenever a block is complete, before
    /// the row that did not fit any more counts as written.
    init(path: String, header: JSONObject, blockLimit: Int?, state: @escaping () -> JSONValue) throws {
        guard FilePath.isPlainName(FilePath.lastComponent(of: path)) else {
            throw CorpusError(.invalidOption, file: path, found: "is not a valid output file name")
        }
        self.path = path
        self.header = header
        self.blockLimit = blockLimit
        self.state = state
        let part = Self.hidden(path, ".part")
        let journalPath = Self.journalPath(path)
        let isThere = CorpusError(.invalidOption, file: path, found: "already exists", expected: "another name")
        guard !FilePath.exists(path) || FilePath.exists(journalPath) && !FilePath.exists(part) else { throw isThere }
        try CorpusError.translating { try FilePath.makeFolder(FilePath.folder(of: path)) }
        // A run that was killed after its last block has put the file in place and not yet written the manifest.
        let written = FilePath.fileSize(part) ?? FilePath.fileSize(path) ?? 0
        journal = try StageJournal(path: journalPath, output: path, header: .object(header)) { entry, line in
            guard let bytes = entry["bytes"]?.intValue, bytes >= 0 else {
                throw CorpusError(.malformed, file: journalPath, item: line, found: "has no number of bytes")
            }
            return bytes <= written
        }
        let kept = journal.entries.last?["bytes"]?.intValue ?? 0
        completeBytes = kept
        let source = FilePath.exists(part) ? part : path
        let journal = journal
        resumed = try journal.state.map { ($0, try Self.rows(source, kept, journal)) }
        guard !FilePath.exists(path) || FilePath.fileSize(path) == kept else { throw isThere }
        file = try CorpusError.translating {
            if FilePath.exists(path) { try FilePath.putInPlace(path, as: part) }
            // That of an earlier run whose file has gone.
            let manifest = Self.manifestPath(path)
            if FilePath.exists(manifest) { try FilePath.remove(manifest) }
            return try AppendedFile(path: part, keptBytes: kept)
        }
    }

    /// The rows in the front of a file, which must end with a line.
    private static func rows(_ path: String, _ bytes: Int, _ journal: StageJournal) throws -> ResumedRows {
        let file = try OrderRowFile(path: path)
        var rows = ResumedRows()
        while file.offset < bytes, let row = try file.next() { rows.add(step: row.step, tokens: row.inputIDs.count) }
        guard file.offset == bytes else {
            throw CorpusError(
                .malformed,
                file: journal.path,
                item: "line \(journal.entries.count + 1) \"bytes\"",
                found: "is \(bytes)",
                expected: "the end of a line of \(path), such as \(file.offset); delete both to start over"
            )
        }
        return rows
    }

    /// Appends a line.
    func append(_ line: [UInt8]) throws {
        if let blockLimit, blockBytes > 0, blockBytes + line.count > blockLimit { try completeBlock() }
        pending += line
        blockBytes += line.count
        if pending.count >= Self.bufferSize { try flush() }
    }

    /// Puts file and manifest in place; returns the manifest.
    ///
    /// `tokenizer` is that of the inputs, where it is none of the parameters.
    func finish(results: JSONObject, tokenizer: TokenizerFingerprint?) throws -> JSONValue {
        if blockBytes > 0 { try completeBlock() }
        try CorpusError.translating {
            try file.sync()
            try FilePath.putInPlace(file.path, as: path)
        }
        var results = results
        results["bytes"] = JSONValue(completeBytes)
        return try StageManifest.write(
            Self.manifestPath(path),
            header: header,
            results: results,
            tokenizer: tokenizer,
            journal: journal
        )
    }

    private func completeBlock() throws {
        try flush()
        try CorpusError.translating { try file.sync() }
        completeBytes += blockBytes
        blockBytes = 0
        try journal.append(["bytes": JSONValue(completeBytes), "state": state()])
    }

    private func flush() throws {
        try CorpusError.translating { try file.append(pending) }
        pending.removeAll(keepingCapacity: true)
    }
}
