import EttinFiles
import EttinJSON

/// The data set that a stage of the pipeline writes, which a killed run continues with the same bytes.
///
/// Shards appear one by one, each complete; the index, then the manifest, appear when all are there. A folder with a
/// manifest is finished and is not written again.
final class StageOutput {
    static let manifestName = "manifest.json"

    let folder: String
    private let header: JSONObject
    private let journal: StageJournal
    private let writer: MDSWriter
    /// The state at the end of the last complete shard of an earlier run; nil for a new run.
    let resumedState: JSONValue?

    /// The manifest of a finished run of the same job; nil when there is none.
    static func finishedManifest(folder: String, header: JSONObject) throws -> JSONValue? {
        let path = FilePath.joined(folder, manifestName)
        guard FilePath.exists(path) else { return nil }
        let file = try CorpusError.translating { try MappedFile(path: path) }
        let manifest: JSONValue
        do {
            manifest = try file.withUnsafeBytes { try JSONValue(parsing: $0) }
        } catch {
            throw CorpusError(.malformed, file: path, found: "is not JSON: \(error)")
        }
        for member in header where manifest[member.key] != member.value {
            throw CorpusError(
                .invalidOption,
                file: folder,
                found: "holds a finished run whose \(shown(member.key)) differ from this one's",
                expected: "the same, or another folder"
            )
        }
        // Left behind by a run that was killed as its very last act.
        let journal = FilePath.joined(folder, StageJournal.fileName)
        if FilePath.exists(journal) { try CorpusError.translating { try FilePath.remove(journal) } }
        return manifest
    }

    /// Opens a new or unfinished folder.
    ///
    /// `header` says what the run is; `state` is asked for the state of the stage whenever a shard is in place, before
    /// the sample that did not fit any more counts as written.
    init(
        folder: String,
        header: JSONObject,
        schema: MDSSchema,
        options: MDSWriter.Options,
        state: @escaping () -> JSONValue
    ) throws {
        self.folder = folder
        self.header = header
        try CorpusError.translating { try FilePath.makeFolder(folder) }
        // An index without a journal is a data set that no stage has begun here.
        let indexPath = FilePath.joined(folder, MDSIndex.fileName)
        let hasIndex = FilePath.exists(indexPath)
        guard !hasIndex || FilePath.exists(FilePath.joined(folder, StageJournal.fileName)) else {
            throw CorpusError(
                .invalidOption,
                file: folder,
                found: "holds a data set already",
                expected: "another folder"
            )
        }
        let journal = try StageJournal(folder: folder, header: .object(header))
        self.journal = journal
        try CorpusError.translating {
            if hasIndex { try FilePath.remove(indexPath) }
            for name in try FilePath.names(inFolder: folder) where name.hasPrefix(".") && name.hasSuffix(".tmp") {
                try FilePath.remove(FilePath.joined(folder, name))
            }
        }
        resumedState = journal.entries.last?.state
        writer = try MDSWriter(
            folder: folder,
            schema: schema,
            options: options,
            completeShards: journal.entries.map(\.shard)
        ) { shard in
            try journal.append(shard: shard, state: state())
        }
    }

    var sampleCount: Int { writer.sampleCount }

    func append(_ values: [MDSValue]) throws {
        try writer.append(values)
    }

    /// Writes the last shard, the stage's own files, index and manifest; returns the manifest.
    func finish(files: [(name: String, content: JSONValue)], results: JSONObject) throws -> JSONValue {
        try writer.flushLast()
        for file in files {
            let bytes = file.content.serialized(JSONWritingOptions(layout: .singleLine))
            try CorpusError.translating { try AtomicFile.write(bytes, to: FilePath.joined(folder, file.name)) }
        }
        try writer.finish()
        var manifest = header
        manifest["results"] = .object(results)
        let bytes = JSONValue.object(manifest).serialized(JSONWritingOptions(layout: .indented(2)))
        try CorpusError.translating {
            try AtomicFile.write(bytes, to: FilePath.joined(folder, Self.manifestName))
            try FilePath.remove(journal.path)
        }
        return .object(manifest)
    }
}
