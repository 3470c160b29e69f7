import EttinFiles
import Synchronization

/// A folder of shards with its `index.json`, read at random from any number of threads.
///
/// ```swift
/// let dataset = try MDSDataset(folder: "data/train")
/// let ids = try dataset.tokenIDs(at: 12_345, column: "input_ids")
/// ```
///
/// Shards are mapped into memory when a sample of theirs is first asked for. Shards of different schemas may lie in one
/// data set; a column is looked up by name in each.
public final class MDSDataset: Sendable {
    /// Where a shard goes that is there only in its compressed form.
    public enum Decompression: Hashable, Sendable {
        /// Into a file beside the compressed one, once, as mosaicml-streaming does.
        case intoFile
        /// Into memory, anew whenever the shard is opened; for folders that are read through once.
        case intoMemory
    }

    /// The folder.
    public let folder: String
    /// The list of shards.
    package let index: MDSIndex
    /// The number of samples.
    public let sampleCount: Int
    /// Position of each shard's first sample, and the number of samples at the end.
    private let starts: [Int]
    private let decompression: Decompression
    private let openShardLimit: Int
    private let open: Mutex<OpenShards>

    private struct OpenShards {
        var shards: [Int: MDSShard] = [:]
        /// In the order of opening, to close the oldest.
        var order: [Int] = []
    }

    /// Opens a data set; shards are opened later.
    ///
    /// - Parameters:
    ///   - folder: The folder of the index.
    ///   - split: A sub-folder such as `train`.
    ///   - decompression: Where compressed shards go.
    ///   - openShardLimit: How many shards may be open at once; the one opened first is closed for the next.
    /// - Throws: `CorpusError` when there is no index or it is malformed.
    public convenience init(
        folder: String,
        split: String? = nil,
        decompression: Decompression = .intoFile,
        openShardLimit: Int = 4096
    ) throws {
        let path = split.map { FilePath.joined(folder, $0) } ?? folder
        self.init(
            folder: path,
            index: try MDSIndex(folder: path),
            decompression: decompression,
            openShardLimit: openShardLimit
        )
    }

    init(folder: String, index: MDSIndex, decompression: Decompression, openShardLimit: Int = 4096) {
        self.folder = folder
        self.index = index
        self.decompression = decompression
        self.openShardLimit = max(1, openShardLimit)
        var starts = [0]
        for shard in index.shards { starts.append(starts[starts.count - 1] + shard.sampleCount) }
        self.starts = starts
        sampleCount = starts[starts.count - 1]
        open = Mutex(OpenShards())
    }

    // MARK: - Samples

    /// The number of samples of each shard, from which a ``StreamingOrder`` is made.
    public var shardSizes: [Int] { index.shards.map(\.sampleCount) }

    /// The shard of a sample and the position there.
    ///
    /// - Parameter sample: The position in the data set.
    /// - Returns: The position of the shard and of the sample in it.
    /// - Complexity: O(log shards).
    package func location(of sample: Int) -> (shard: Int, sample: Int) {
        precondition((0..<sampleCount).contains(sample), "sample \(sample) of \(sampleCount)")
        var low = 0
        var high = starts.count - 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= sample { low = middle } else { high = middle }
        }
        return (low, sample - starts[low])
    }

    /// The position of a shard's first sample in the data set.
    ///
    /// - Parameter shard: The position of the shard.
    /// - Returns: The number of the sample.
    package func firstSample(ofShard shard: Int) -> Int { starts[shard] }

    /// The values of a sample by column name.
    ///
    /// - Parameter sample: The position in the data set.
    /// - Returns: One value per column.
    /// - Throws: `CorpusError` when the shard or the sample is malformed.
    public func values(at sample: Int) throws -> [String: MDSValue] {
        let (position, local) = location(of: sample)
        let shard = try shard(position)
        let values = try shard.values(sample: local)
        return Dictionary(uniqueKeysWithValues: zip(shard.schema.columns.map(\.name), values))
    }

    /// The token ids of a sample.
    ///
    /// - Parameters:
    ///   - sample: The position in the data set.
    ///   - column: The name of a column of whole numbers.
    /// - Returns: The ids.
    /// - Throws: `CorpusError` when the shard or the sample is malformed or has no such column.
    public func tokenIDs(at sample: Int, column: String = "input_ids") throws -> [Int32] {
        let (position, local) = location(of: sample)
        let shard = try shard(position)
        return try shard.tokenIDs(sample: local, column: shard.column(column))
    }

    // MARK: - Shards

    /// A shard, opened when it is first asked for.
    ///
    /// - Parameter position: The position in the index.
    /// - Returns: The shard.
    /// - Throws: `CorpusError` when its file is missing, damaged or contradicts the index.
    package func shard(_ position: Int) throws -> MDSShard {
        try open.withLock { open in
            if let shard = open.shards[position] { return shard }
            // First, so that no more shards than the limit are in memory.
            if open.order.count >= openShardLimit { open.shards[open.order.removeFirst()] = nil }
            let shard = try opened(position)
            open.shards[position] = shard
            open.order.append(position)
            return shard
        }
    }

    /// Checks that every shard is there, with the size that the index gives; no shard is opened.
    ///
    /// For callers that allot memory by the number of samples before they read any.
    ///
    /// - Throws: `CorpusError` for the first shard that is not.
    package func checkFiles() throws {
        for shard in index.shards {
            let path = FilePath.joined(folder, shard.raw.basename)
            let isRaw = FilePath.exists(path)
            guard let file = isRaw ? shard.raw : shard.zip else { throw Self.missing(path) }
            let filePath = FilePath.joined(folder, file.basename)
            guard let size = FilePath.fileSize(filePath) else { throw Self.missing(path) }
            guard size == file.byteCount else { throw Self.wrongSize(filePath, size, file.byteCount) }
        }
    }

    private static func missing(_ path: String) -> CorpusError {
        CorpusError(.missing, file: path, found: "is not there, compressed or not")
    }

    private static func wrongSize(_ path: String, _ found: Int, _ expected: Int) -> CorpusError {
        CorpusError(
            .malformed,
            file: path,
            found: "has \(found) bytes",
            expected: "the \(expected) that the index gives"
        )
    }

    private func opened(_ position: Int) throws -> MDSShard {
        let description = index.shards[position]
        let path = FilePath.joined(folder, description.raw.basename)
        if FilePath.exists(path) { return try MDSShard(path: path, description: description) }
        guard let bytes = try decompressed(position) else { throw Self.missing(path) }
        switch decompression {
        case .intoMemory: return try MDSShard(path: path, bytes: bytes, description: description)
        case .intoFile:
            try CorpusError.translating { try AtomicFile.write(bytes, to: path) }
            return try MDSShard(path: path, description: description)
        }
    }

    /// The decompressed content of a shard's compressed file; nil when there is none.
    func decompressed(_ position: Int) throws -> [UInt8]? {
        let description = index.shards[position]
        guard let zip = description.zip else { return nil }
        let path = FilePath.joined(folder, zip.basename)
        guard FilePath.exists(path) else { return nil }
        guard let name = description.compression else {
            throw CorpusError(
                .malformed,
                file: path,
                found: "is compressed, but the index does not say how",
                expected: "a name in \"compression\""
            )
        }
        let compression = try Compression(name: name, file: path)
        let file = try CorpusError.translating { try MappedFile(path: path) }
        guard file.count == zip.byteCount else { throw Self.wrongSize(path, file.count, zip.byteCount) }
        return try file.withUnsafeBytes {
            try compression.decompress($0, byteCount: description.raw.byteCount, file: path)
        }
    }
}

extension MDSShard {
    /// The position of a column.
    func column(_ name: String) throws -> Int {
        guard let position = schema.position(of: name) else {
            throw CorpusError(
                .missing,
                file: path,
                item: "column \(shown(name))",
                found: "is not there",
                expected: "one of \(schema.columns.map { shown($0.name) }.joined(separator: ", "))"
            )
        }
        return position
    }
}
