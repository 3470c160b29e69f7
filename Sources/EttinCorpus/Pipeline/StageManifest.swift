import EttinFiles
import EttinJSON

/// The file that says what a finished run has written, from which inputs and with which parameters.
enum StageManifest {
    /// The manifest of a finished run of the same job; nil when there is none.
    static func finished(_ path: String, output: String, header: JSONObject) throws -> JSONValue? {
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
                file: output,
                found: "holds a finished run whose \(shown(member.key)) differ from this one's",
                expected: "the same, or another output"
            )
        }
        return manifest
    }

    /// Removes the journal that a run has left which was killed as its very last act.
    static func removeJournal(_ path: String) throws {
        if FilePath.exists(path) { try CorpusError.translating { try FilePath.remove(path) } }
    }

    /// Writes the manifest, then removes the journal; returns the manifest.
    ///
    /// `tokenizer` is that of the inputs, where it is none of the parameters.
    static func write(
        _ path: String,
        header: JSONObject,
        results: JSONObject,
        tokenizer: TokenizerFingerprint?,
        journal: StageJournal
    ) throws -> JSONValue {
        var manifest = header
        // Not part of what the run is: earlier manifests of the same job, which lack it, are still its own.
        if let tokenizer { manifest["tokenizer"] = tokenizer.json }
        manifest["results"] = .object(results)
        let bytes = JSONValue.object(manifest).serialized(JSONWritingOptions(layout: .indented(2)))
        try CorpusError.translating {
            try AtomicFile.write(bytes, to: path)
            try FilePath.remove(journal.path)
        }
        return .object(manifest)
    }
}
