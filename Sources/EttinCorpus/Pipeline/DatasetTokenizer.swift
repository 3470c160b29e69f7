import EttinFiles
import EttinJSON
package import EttinTokenizer

/// Which tokenizer made a data set, as the manifests of the pipeline record it.
package struct DatasetTokenizer: Hashable, Sendable {
    /// The manifest that says it.
    package let manifest: String
    /// The tokenizer.
    package let fingerprint: TokenizerFingerprint

    /// Finds the record of a data set or an order.
    ///
    /// A folder without a manifest of its own may hold data sets that were merged, whose manifests must agree then.
    ///
    /// - Parameter path: The folder of the index, or an order of JSON Lines.
    /// - Returns: Nil when no manifest names a tokenizer.
    /// - Throws: `CorpusError` when a manifest is not JSON, or merged data sets have different tokenizers.
    package static func recorded(of path: String) throws -> DatasetTokenizer? {
        let manifest = OrderOutput.manifestPath(path)
        if FilePath.exists(manifest) { return try read(manifest) }
        guard !OrderOutput.isLines(path), FilePath.exists(FilePath.joined(path, MDSIndex.fileName)) else { return nil }
        var folders: [String] = []
        for shard in try MDSIndex(folder: path).shards where shard.raw.basename.utf8.contains(0x2F) {
            let folder = FilePath.folder(of: shard.raw.basename)
            if folders.last != folder { folders.append(folder) }
        }
        return try common(of: Set(folders).sorted().map { FilePath.joined(path, $0) })
    }

    /// What data sets that become one have in common.
    ///
    /// - Parameter paths: Folders or orders; those without a record say nothing.
    /// - Returns: The first record; nil when there is none.
    /// - Throws: `CorpusError` naming the first two that differ.
    package static func common(of paths: [String]) throws -> DatasetTokenizer? {
        var first: (path: String, record: DatasetTokenizer)?
        for path in paths {
            guard let record = try recorded(of: path) else { continue }
            guard let known = first else {
                first = (path, record)
                continue
            }
            guard known.record.fingerprint.contradicts(record.fingerprint) else { continue }
            throw CorpusError(
                .invalidOption,
                file: path,
                found: "was made with another tokenizer (\(record.fingerprint), in \(record.manifest)) than "
                    + "\(known.path) (\(known.record.fingerprint), in \(known.record.manifest))",
                expected: "data sets of one tokenizer; run \"ettin data tokenize\" on one of them again"
            )
        }
        return first?.record
    }

    private static func read(_ path: String) throws -> DatasetTokenizer? {
        let file = try CorpusError.translating { try MappedFile(path: path) }
        let manifest: JSONValue
        do {
            manifest = try file.withUnsafeBytes { try JSONValue(parsing: $0) }
        } catch {
            throw CorpusError(.malformed, file: path, found: "is not JSON: \(error)")
        }
        let recorded = manifest["parameters"]?["tokenizer"] ?? .null
        let fingerprint = TokenizerFingerprint(recorded.isNull ? manifest["tokenizer"] : recorded)
        return fingerprint.map { DatasetTokenizer(manifest: path, fingerprint: $0) }
    }

    /// Compares a data set with the tokenizer that is to be used with it.
    ///
    /// - Parameters:
    ///   - path: The data set or order.
    ///   - tokenizer: The tokenizer.
    ///   - name: Where the tokenizer comes from.
    ///   - expected: What to do when the two do not agree.
    /// - Returns: What could not be compared, for standard error; nil when the two agree.
    /// - Throws: `CorpusError` when the data set was made with another tokenizer.
    package static func check(
        _ path: String,
        against tokenizer: Tokenizer,
        from name: String,
        expected: String = "--tokenizer with the folder of the tokenizer that made the data"
    ) throws -> String? {
        guard let record = try recorded(of: path) else {
            return "\(path) has no manifest.json that names its tokenizer, so it is not compared with \(name)"
        }
        guard record.fingerprint.hasIDs(of: tokenizer) else {
            throw CorpusError(
                .invalidOption,
                file: path,
                found: "was made with another tokenizer: \(record.manifest) has the fingerprint "
                    + "\(record.fingerprint), and \(name) has \(TokenizerFingerprint(tokenizer))",
                expected: expected
            )
        }
        let more = tokenizer.vocabularySize - record.fingerprint.vocabularySize
        return more == 0 ? nil : "\(name) has \(more) tokens more than the tokenizer that made \(path)"
    }
}

extension TokenizerFingerprint {
    /// Whether two data sets cannot be of one tokenizer; with and without a space in front of texts nothing can be said.
    fileprivate func contradicts(_ other: TokenizerFingerprint) -> Bool {
        vocabularySize != other.vocabularySize
            || (addsPrefixSpace == other.addsPrefixSpace && probeHash != other.probeHash)
    }
}
