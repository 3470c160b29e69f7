import EttinFiles
import EttinJSON

/// The list of shards of a data set: `index.json`.
public struct MDSIndex: Hashable, Sendable {
    /// The name of the file.
    package static let fileName = "index.json"

    /// The shards in order.
    package var shards: [MDSShardDescription]

    /// Creates an index.
    ///
    /// - Parameter shards: The shards in order.
    package init(shards: [MDSShardDescription] = []) {
        self.shards = shards
    }

    /// Reads the index of a folder.
    ///
    /// - Parameter folder: The data set or one of its splits.
    /// - Throws: `CorpusError` when there is no index or it is malformed.
    public init(folder: String) throws {
        let path = FilePath.joined(folder, Self.fileName)
        let file = try CorpusError.translating { try MappedFile(path: path) }
        try self.init(
            file.withUnsafeBytes { bytes in
                do {
                    return try JSONValue(parsing: bytes)
                } catch {
                    throw CorpusError(.malformed, file: path, found: "is not JSON: \(error)")
                }
            },
            file: path
        )
    }

    init(_ value: JSONValue, file: String) throws {
        guard value["version"]?.intValue == 2 else {
            let found = value["version"].map { "is \(shown($0.text()))" } ?? "is not there"
            throw CorpusError(.unsupported, file: file, item: "\"version\"", found: found, expected: "2")
        }
        guard let entries = value["shards"]?.arrayValue else {
            throw CorpusError(.malformed, file: file, found: "has no list \"shards\"")
        }
        shards = try entries.enumerated().map { position, entry in
            try MDSShardDescription(entry, file: file, item: "shard \(position)")
        }
        // Data sets may be joined, and what their samples and bytes are multiplied by is small beside this.
        let counts = [(shards.map(\.sampleCount), "samples"), (shards.map(\.raw.byteCount), "bytes")]
        for (counts, unit) in counts where counts.checkedSum().map({ $0 > Self.largestTotal }) ?? true {
            throw CorpusError(
                .unsupported,
                file: file,
                found: "has shards of more than \(Self.largestTotal) \(unit) together",
                expected: "a smaller data set"
            )
        }
    }

    /// The most samples, and bytes, of a data set.
    private static let largestTotal = 1 << 53

    /// The number of samples of all shards.
    public var sampleCount: Int { shards.reduce(0) { $0 + $1.sampleCount } }

    /// Writes the index of a folder, byte for byte as mosaicml-streaming writes it.
    ///
    /// - Parameter folder: The folder, which must exist.
    /// - Throws: `CorpusError` when the file cannot be written.
    package func write(toFolder folder: String) throws {
        let value: JSONValue = ["shards": .array(shards.map(\.json)), "version": 2]
        let bytes = value.serialized(MDSShardDescription.writingOptions)
        try CorpusError.translating { try AtomicFile.write(bytes, to: FilePath.joined(folder, Self.fileName)) }
    }

    /// Joins the data sets in the sub-folders of a folder to one, by writing an index for all of their shards.
    ///
    /// Shards stay where they are. Sub-folders are taken in the order of their names, by number where all are numbers, as
    /// those of the parts of a job are; deeper trees are merged from the bottom up.
    ///
    /// - Parameters:
    ///   - folder: The folder that holds the data sets and receives the index.
    ///   - names: The sub-folders in order; nil for all that have an index.
    /// - Returns: The index that was written.
    /// - Throws: `CorpusError` when a sub-folder has no index, none is found, the folder itself holds shards, which its
    ///   new index would not list, data sets were made with different tokenizers, or the index cannot be written.
    @discardableResult
    public static func merge(folder: String, subfolders names: [String]? = nil) throws -> MDSIndex {
        let found =
            try names
            ?? numbered(
                CorpusError.translating { try FilePath.names(inFolder: folder) }.filter {
                    FilePath.exists(FilePath.joined(FilePath.joined(folder, $0), Self.fileName))
                }
            )
        guard !found.isEmpty else {
            throw CorpusError(
                .missing,
                file: folder,
                found: "has no sub-folder with an index",
                expected: "at least one folder that holds \(Self.fileName)"
            )
        }
        if FilePath.exists(FilePath.joined(folder, Self.fileName)),
            let own = try MDSIndex(folder: folder).shards.first(where: { !$0.raw.basename.utf8.contains(0x2F) })
        {
            throw CorpusError(
                .invalidOption,
                file: folder,
                found: "holds shards itself, such as \(shown(own.raw.basename))",
                expected: "a folder that holds only data sets in sub-folders"
            )
        }
        var merged = MDSIndex()
        for name in found where !FilePath.isPlainName(name) {
            throw CorpusError(.invalidOption, file: "sub-folders", found: "hold \(shown(name))", expected: "names")
        }
        _ = try DatasetTokenizer.common(of: found.map { FilePath.joined(folder, $0) })
        for name in found {
            merged.shards += try MDSIndex(folder: FilePath.joined(folder, name)).shards.map { $0.inside(name) }
        }
        try merged.write(toFolder: folder)
        return merged
    }

    /// Names in the order of their numbers, where all are numbers: 10 comes behind 9.
    private static func numbered(_ names: [String]) -> [String] {
        let numbers = names.map { name in name.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? Int(name) : nil }
        guard !numbers.contains(nil) else { return names }
        return zip(numbers, names).sorted { ($0.0 ?? 0, ExactName($0.1)) < ($1.0 ?? 0, ExactName($1.1)) }.map(\.1)
    }
}
