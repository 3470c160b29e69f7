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
        guard let manifest = try StageManifest.finished(path, output: folder, header: header) else { return nil }
        try StageManifest.removeJournal(FilePath.joined(folder, StageJournal.fileName))
        return manifest
    }

    /// Removes the temporary files that a killed run has left in a folder.
    static func removeUnfinishedFiles(_ folder: String) throws {
        for name in try FilePath.names(inFolder: folder) where name.hasPrefix(".") && name.hasSuffix(".tmp") {
            try FilePath.remove(FilePath.joined(folder, name))
        }
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
        let journalPath = FilePath.joined(folder, StageJournal.fileName)
        guard !hasIndex || FilePath.exists(journalPath) else {
            throw CorpusError(
                .invalidOption,
                file: folder,
                found: "holds a data set already",
                expected: "another folder"
            )
        }
        var shards: [MDSShardDescription] = []
        let journal = try StageJournal(path: journalPath, output: folder, header: .object(header)) { entry, line in
            let shard = try MDSShardDescription(entry["shard"] ?? .null, file: journalPath, item: line)
            let file = shard.zip ?? shard.raw
            guard FilePath.fileSize(FilePath.joined(folder, file.basename)) == file.byteCount else { return false }
            shards.append(shard)
            return true
        }
        self.journal = journal
        try CorpusError.translating {
            if hasIndex { try FilePath.remove(indexPath) }
            try Self.removeUnfinishedFiles(folder)
        }
        resumedState = journal.entries.last.map { $0["state"] ?? .null }
        writer = try MDSWriter(
            folder: folder,
            schema: schema,
            options: options,
            completeShards: shards
        ) { shard in
            try journal.append(["shard": shard.json, "state": state()])
        }
    }

    var sampleCount: Int { writer.sampleCount }

    func append(_ values: [MDSValue]) throws {
        try writer.append(values)
    }

    /// Everything written, the last shard included; nothing may be appended any more.
    func complete() throws -> MDSDataset {
        try writer.flushLast()
        return MDSDataset(folder: folder, index: writer.index, decompression: .intoMemory, openShardLimit: 1)
    }

    /// Writes the last shard, the stage's own files, index and manifest; returns the manifest.
    ///
    /// `tokenizer` is that of the inputs, where it is none of the parameters.
    func finish(
        files: [(name: String, content: JSONValue)],
        results: JSONObject,
        tokenizer: TokenizerFingerprint? = nil
    ) throws -> JSONValue {
        try writer.flushLast()
        for file in files {
            let bytes = file.content.serialized(JSONWritingOptions(layout: .singleLine))
            try CorpusError.translating { try AtomicFile.write(bytes, to: FilePath.joined(folder, file.name)) }
        }
        try writer.finish()
        let path = FilePath.joined(folder, Self.manifestName)
        return try StageManifest.write(
            path,
            header: header,
            results: results,
            tokenizer: tokenizer,
            journal: journal
        )
    }
}
