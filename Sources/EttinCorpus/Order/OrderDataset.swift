import EttinFiles

extension ExplicitOrder {
    /// Opens an order data set: a folder of MDS shards or of Parquet files with the columns `input_ids` and `step`, a
    /// Parquet file, or a file of JSON Lines.
    ///
    /// - Parameter path: The folder or file.
    /// - Returns: The order from its first step.
    /// - Throws: `CorpusError` when it cannot be opened.
    public static func opened(_ path: String) throws -> ExplicitOrder {
        ExplicitOrder(name: path, rows: try rows(path))
    }

    /// Opens several order data sets as one, as a phase of the published order lies in a folder for each checkpoint.
    ///
    /// - Parameter paths: The folders or files in the order of their steps; they are opened one after the other.
    /// - Returns: The order from its first step.
    /// - Throws: `CorpusError` when the first cannot be opened.
    public static func opened(_ paths: [String]) throws -> ExplicitOrder {
        var rest = paths[...]
        var current = try rest.popFirst().map { try rows($0) }
        return ExplicitOrder(name: paths.count == 1 ? paths[0] : "\(paths.count) orders") {
            while let rows = current {
                if let row = try rows() { return row }
                current = try rest.popFirst().map { try Self.rows($0) }
            }
            return nil
        }
    }

    private static func rows(_ path: String) throws -> () throws -> OrderRow? {
        if FilePath.kind(of: path) == .folder {
            let isMDS = FilePath.exists(FilePath.joined(path, MDSIndex.fileName))
            let names = isMDS ? [] : try CorpusError.translating { try FilePath.names(inFolder: path) }
            guard names.contains(where: OrderSamples.isFile) else {
                return rows(of: try MDSDataset(folder: path, decompression: .intoMemory, openShardLimit: 1))
            }
        } else if !OrderSamples.isFile(path) {
            let file = try OrderRowFile(path: path)
            return { try file.next() }
        }
        var samples = try OrderSamples(path: path)
        return { try samples.next() }
    }
}

/// Writes an order data set: JSON Lines under a name that ends in `.jsonl`, MDS shards under any other.
///
/// It appears complete under its name, or not at all.
public final class OrderDatasetWriter {
    private enum Target {
        case lines(OrderRowFileWriter)
        case shards(MDSWriter, AtomicFolder, MDSElement)
    }

    private let target: Target
    /// The number of rows so far.
    public private(set) var rowCount = 0
    /// The number of token ids so far.
    public private(set) var tokenCount = 0

    /// Starts an order data set.
    ///
    /// - Parameters:
    ///   - path: The file or folder, which must not exist yet.
    ///   - element: How shards store ids: `uint16` for vocabularies of at most 65 536 tokens, else `uint32`.
    ///   - writing: How shards are written.
    /// - Throws: `CorpusError` when it cannot be made.
    public init(
        path: String,
        element: MDSElement = .uint32,
        writing: MDSWriter.Options = MDSWriter.Options(compression: .zstandard, hashes: [.xxh64])
    ) throws {
        if path.hasSuffix(".jsonl") {
            target = .lines(try OrderRowFileWriter(path: path))
            return
        }
        let folder = try CorpusError.translating { try AtomicFolder(path: path) }
        let writer = try MDSWriter(
            folder: folder.temporaryPath,
            columns: [("input_ids", .array(element: element, shape: nil)), ("step", .integer)],
            options: writing
        )
        target = .shards(writer, folder, element)
    }

    /// Appends a row.
    ///
    /// - Parameter row: The row; steps must not fall.
    /// - Throws: `CorpusError` when an id does not fit or the row cannot be written.
    public func append(_ row: OrderRow) throws {
        switch target {
        case .lines(let writer): try writer.append(row)
        case .shards(let writer, _, let element):
            let ids = try MDSArray(tokenIDs: row.inputIDs, element: element)
            try writer.append(["input_ids": .array(ids), "step": .integer(Int64(row.step))])
        }
        rowCount += 1
        tokenCount += row.inputIDs.count
    }

    /// Makes the data set appear under its name.
    ///
    /// - Throws: `CorpusError` when it cannot be written.
    public func finish() throws {
        switch target {
        case .lines(let writer): try writer.finish()
        case .shards(let writer, let folder, _):
            try writer.finish()
            try CorpusError.translating { try folder.commit() }
        }
    }
}

extension DataPosition {
    /// The position before a step of a run whose batches all have one size.
    ///
    /// - Parameters:
    ///   - step: The number of batches before it.
    ///   - batchSize: The samples of a batch.
    ///   - sampleCount: The samples of an epoch, at least a batch.
    ///   - remainder: What happens to the samples at the end of an epoch that fill no batch.
    public init(step: Int, batchSize: Int, sampleCount: Int, remainder: GlobalBatches.Remainder) {
        precondition(batchSize > 0 && sampleCount > 0, "DataPosition: \(batchSize) of \(sampleCount) samples")
        let whole = sampleCount / batchSize
        let perEpoch = max(1, remainder == .kept && sampleCount % batchSize > 0 ? whole + 1 : whole)
        self.init(epoch: step / perEpoch, position: step % perEpoch * batchSize, step: step)
    }
}
