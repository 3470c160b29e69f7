import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One file or data set to read documents from.
public struct CorpusInput: Hashable, Sendable {
    /// How documents lie in an input.
    public enum Format: String, Hashable, Sendable, CaseIterable {
        /// Plain text.
        case text
        /// One JSON object per line.
        case jsonLines = "jsonl"
        /// A folder of MDS shards.
        case mds
        /// A Parquet file, with a document per row.
        case parquet
    }

    /// Compressions that are read as a stream.
    enum Packing: Hashable, Sendable {
        case none
        case gzip
        case zstandard
    }

    /// The file, or the folder of a data set.
    package let path: String
    /// How documents lie in it.
    package let format: Format
    /// The size of the file, or of all of a data set's shards, in bytes.
    package let byteCount: Int
    let packing: Packing

    /// Whether parts of a job get shares of the records, not of the bytes.
    var isDividedByRecords: Bool { format == .mds || format == .parquet }

    /// The one MDS data set that a path names.
    static func mdsDataset(_ path: String) throws -> CorpusInput {
        let found = try find([path])
        guard found.count == 1, found[0].format == .mds else {
            throw CorpusError(
                .unsupported,
                file: path,
                found: "is no MDS data set",
                expected: "a folder with an index"
            )
        }
        return found[0]
    }

    /// Finds all inputs that paths, folders and patterns name, in the order in which they are read.
    ///
    /// A folder with an `index.json` is an MDS data set; any other folder stands for all files below it, in the order of
    /// their paths, hidden ones left out. `*`, `?` and `[…]` are patterns for whatever is there. The format follows from
    /// the name: `.jsonl`, `.ndjson` and `.json` are JSON Lines, `.parquet` is Parquet, anything else is text; `.gz`,
    /// `.zst` and `.zstd` behind the names of text are decompressed.
    ///
    /// - Parameters:
    ///   - paths: Files, folders and patterns.
    ///   - format: The format of all files, whatever their names say; nil to go by the names.
    /// - Returns: The inputs; each file once, where it is first named.
    /// - Throws: `CorpusError` when something is not there, cannot be examined, or has a format that is not read.
    package static func find(_ paths: [String], format: Format? = nil) throws -> [CorpusInput] {
        var found: [CorpusInput] = []
        var seen: Set<ExactName> = []
        for path in paths {
            let matches = matches(path)
            guard !matches.isEmpty else {
                let isPattern = path.utf8.contains { "*?[".utf8.contains($0) }
                throw CorpusError(
                    .missing,
                    file: path,
                    found: isPattern ? "matches nothing" : "is not there",
                    expected: "a file, a folder or a pattern that matches some"
                )
            }
            for match in matches where seen.insert(ExactName(match)).inserted {
                found += try inputs(at: match, format: format)
            }
        }
        return found
    }

    /// The path itself where it is there, otherwise what it matches as a pattern, sorted by bytes.
    package static func matches(_ path: String) -> [String] {
        if FilePath.exists(path) { return [path] }
        var matches = glob_t()
        defer { globfree(&matches) }
        // Matches come in the order of the locale, which programs do not share.
        guard glob(path, GLOB_NOSORT, nil, &matches) == 0 else { return [] }
        let names = (0..<Int(matches.gl_pathc)).compactMap { matches.gl_pathv[$0].map { String(cString: $0) } }
        return names.sorted { ExactName($0) < ExactName($1) }
    }

    private static func inputs(at path: String, format: Format?) throws -> [CorpusInput] {
        switch FilePath.kind(of: path) {
        case .absent: throw CorpusError(.missing, file: path, found: "is not there or cannot be examined")
        case .file: return [try file(path, format: format)]
        case .folder:
            if FilePath.exists(FilePath.joined(path, MDSIndex.fileName)) {
                let index = try MDSIndex(folder: path)
                let size = index.shards.reduce(0) { $0 + $1.raw.byteCount }
                return [CorpusInput(path: path, format: .mds, byteCount: size, packing: .none)]
            }
            let names = try CorpusError.translating { try FilePath.names(inFolder: path) }
            return try names.filter { !$0.hasPrefix(".") }.flatMap {
                try inputs(at: FilePath.joined(path, $0), format: format)
            }
        }
    }

    private static func file(_ path: String, format: Format?) throws -> CorpusInput {
        var name = FilePath.lastComponent(of: path).lowercased()
        var packing = Packing.none
        for (suffix, kind) in [(".gz", Packing.gzip), (".zst", .zstandard), (".zstd", .zstandard)]
        where name.hasSuffix(suffix) {
            packing = kind
            name.removeLast(suffix.count)
        }
        let isParquet = name.hasSuffix(".parquet") && format == nil || format == .parquet
        let isRefused = [".bz2", ".br", ".xz", ".zip", ".parquet", ".arrow", ".mds"].first { name.hasSuffix($0) }
        if let suffix = isParquet && packing != .none ? "compressed Parquet" : isParquet ? nil : isRefused {
            throw CorpusError(
                .unsupported,
                file: path,
                found: "is a \(suffix) file",
                expected:
                    "text or JSON Lines, plain or compressed as .gz or .zst; Parquet; the folder of an MDS data set"
            )
        }
        guard format != .mds else {
            throw CorpusError(.unsupported, file: path, found: "is a file", expected: "the folder of an MDS data set")
        }
        let isJSON = [".jsonl", ".ndjson", ".json"].contains { name.hasSuffix($0) }
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw CorpusError(.inputOutput, file: path, found: "cannot be examined")
        }
        return CorpusInput(
            path: path,
            format: isParquet ? .parquet : format ?? (isJSON ? .jsonLines : .text),
            byteCount: Int(status.st_size),
            packing: packing
        )
    }
}
