import EttinFiles
import EttinJSON

/// Writes a data set of MDS shards, byte for byte as mosaicml-streaming writes uncompressed ones.
///
/// ```swift
/// let writer = try MDSWriter(folder: "out", columns: [("id", .string), ("input_ids", .array(element: .uint16, shape: nil))])
/// try writer.append(["id": .string("a"), "input_ids": .array(ids)])
/// try writer.finish()
/// ```
///
/// A shard appears under its name complete and synced, or not at all; the index appears last. Only one thing differs
/// from the Python library: a first sample beyond the size limit does not leave an empty shard in front of it.
public final class MDSWriter {
    /// How shards are written.
    public struct Options: Hashable, Sendable {
        /// The size limit of the Python library, 64 MiB.
        public static let defaultSizeLimit = 1 << 26

        /// How shards are compressed; nil for not at all.
        package var compression: Compression?
        /// The hashes to record in the index.
        package var hashes: [HashAlgorithm]
        /// Maximum size in bytes of a shard; nil for one shard.
        ///
        /// A larger sample gets a shard of its own.
        package var sizeLimit: Int?

        /// Creates options; the defaults are those of the Python library.
        ///
        /// - Parameters:
        ///   - compression: How shards are compressed; nil for not at all.
        ///   - hashes: The hashes to record in the index.
        ///   - sizeLimit: Maximum size of a shard in bytes; nil for a single shard.
        public init(
            compression: Compression? = nil,
            hashes: [HashAlgorithm] = [],
            sizeLimit: Int? = defaultSizeLimit
        ) {
            self.compression = compression
            self.hashes = hashes
            self.sizeLimit = sizeLimit
        }
    }

    /// The folder.
    public let folder: String
    /// The columns in the order in which samples hold them.
    package let schema: MDSSchema
    /// The shards that are complete.
    package private(set) var index: MDSIndex
    private let options: Options
    private let configuration: [UInt8]
    private var samples: [UInt8] = []
    private var ends: [Int] = []
    private var isFinished = false
    /// Why a shard could not be written; its samples are gone, so that nothing may follow.
    private var failure: (any Error)?
    /// Called when a shard is in place.
    private let onShard: ((MDSShardDescription) throws -> Void)?

    /// The number of samples appended so far, those of earlier shards included.
    public var sampleCount: Int { completeSampleCount + ends.count }
    private var completeSampleCount: Int

    /// Starts a data set in a folder, which is made when it does not exist.
    ///
    /// - Parameters:
    ///   - folder: The folder; it must not hold an index.
    ///   - columns: Names and encodings in any order.
    ///   - options: Compression, hashes and size limit.
    /// - Throws: `CorpusError` when the folder holds a data set, cannot be made, or an option is impossible.
    public convenience init(
        folder: String,
        columns: [(name: String, encoding: MDSEncoding)],
        options: Options = Options()
    ) throws {
        try self.init(folder: folder, schema: MDSSchema(columns), options: options)
    }

    /// Continues behind complete shards, which a stopped run has left.
    init(
        folder: String,
        schema: MDSSchema,
        options: Options,
        completeShards: [MDSShardDescription] = [],
        onShard: ((MDSShardDescription) throws -> Void)? = nil
    ) throws {
        if let limit = options.sizeLimit, !(1...MDSShardDescription.largestShardBytes).contains(limit) {
            throw CorpusError(
                .invalidOption,
                file: "size limit",
                found: "is \(limit)",
                expected: "1 to \(MDSShardDescription.largestShardBytes) bytes, because offsets have 32 bits"
            )
        }
        self.folder = folder
        self.schema = schema
        self.options = options
        self.onShard = onShard
        index = MDSIndex(shards: completeShards)
        completeSampleCount = index.sampleCount
        configuration = JSONValue.object(
            MDSShardDescription.configuration(
                schema: schema,
                compression: options.compression?.description,
                hashes: options.sortedHashNames,
                sizeLimit: options.sizeLimitValue
            )
        ).serialized(MDSShardDescription.writingOptions)
        let indexPath = FilePath.joined(folder, MDSIndex.fileName)
        guard !FilePath.exists(indexPath) else {
            throw CorpusError(
                .invalidOption,
                file: folder,
                found: "holds a data set already",
                expected: "a folder without \(MDSIndex.fileName)"
            )
        }
        try CorpusError.translating { try FilePath.makeFolder(folder) }
    }

    // MARK: - Samples

    /// Appends a sample.
    ///
    /// - Parameter sample: A value for each column.
    /// - Throws: `CorpusError` when a value is missing, too many or not one for its encoding, or a full shard cannot be
    ///   written.
    public func append(_ sample: [String: MDSValue]) throws {
        let values = try schema.columns.map { column in
            guard let value = sample[column.name] else {
                throw fault(MDSSampleFault(column: column.name, found: "is missing", expected: "a value"))
            }
            return value
        }
        guard sample.count == values.count else {
            throw fault(MDSSampleFault(column: nil, found: "has \(sample.count) values", expected: "\(values.count)"))
        }
        try append(values)
    }

    /// Appends a sample whose values are in the order of the columns.
    ///
    /// - Parameter values: A value for each column.
    /// - Throws: `CorpusError` when a value is not one for its encoding, or a full shard cannot be written.
    public func append(_ values: [MDSValue]) throws {
        precondition(!isFinished, "MDSWriter.append() after finish()")
        if let failure { throw failure }
        if samples.isEmpty { samples.reserveCapacity(min(options.sizeLimit ?? 0, Options.defaultSizeLimit)) }
        let start = samples.count
        do {
            try schema.encode(values, into: &samples)
        } catch {
            samples.removeLast(samples.count - start)
            throw fault(error)
        }
        // The size that the shard would have: count, offsets, configuration, samples.
        let size = 8 + configuration.count + samples.count + 4 * (ends.count + 1)
        if let limit = options.sizeLimit, size > limit, !ends.isEmpty {
            let sample = Array(samples[start...])
            samples.removeLast(samples.count - start)
            try flush()
            samples += sample
        } else if size > MDSShardDescription.largestShardBytes {
            samples.removeLast(samples.count - start)
            throw CorpusError(
                .unsupported,
                file: folder,
                found: "would get a shard of \(size) bytes",
                expected: "less than 4 GiB; use a size limit"
            )
        }
        ends.append(samples.count)
    }

    /// Writes the last shard and the index.
    ///
    /// - Throws: `CorpusError` when a file cannot be written.
    public func finish() throws {
        precondition(!isFinished, "MDSWriter.finish() twice")
        try flushLast()
        try index.write(toFolder: folder)
        isFinished = true
    }

    /// Writes the shard that is not yet full.
    func flushLast() throws {
        if let failure { throw failure }
        if !ends.isEmpty { try flush() }
    }

    private func fault(_ fault: MDSSampleFault) -> CorpusError {
        let column = fault.column.map { " column \(shown($0))" } ?? ""
        return CorpusError(
            .unsupported,
            file: folder,
            item: "sample \(sampleCount)\(column)",
            found: fault.found,
            expected: fault.expected
        )
    }

    // MARK: - Shards

    private func flush() throws {
        do {
            try writeShard()
        } catch {
            failure = error
            throw error
        }
    }

    private func writeShard() throws {
        let base = 4 + 4 * (ends.count + 1) + configuration.count
        var shard: [UInt8] = []
        shard.reserveCapacity(base + samples.count)
        shard += UInt32(ends.count).littleEndianBytes
        for end in [0] + ends { shard += UInt32(base + end).littleEndianBytes }
        shard += configuration
        shard += samples
        // Given back at once: shard, samples and compressed shard together would be three times the limit.
        samples = []
        let name = Self.shardName(index.shards.count)
        let raw = file(name, shard)
        var zip: MDSShardDescription.File?
        if let compression = options.compression {
            let zipName = "\(name).\(compression.algorithm.rawValue)"
            let path = FilePath.joined(folder, zipName)
            let packed = try shard.withUnsafeBytes { try compression.compress($0, file: path) }
            // What readers would take for a trick is stored as it is.
            if Compression.allowsExpansion(of: packed.count, to: shard.count) {
                zip = file(zipName, packed)
                try CorpusError.translating { try AtomicFile.write(packed, to: path) }
            }
        }
        if zip == nil {
            try CorpusError.translating { try AtomicFile.write(shard, to: FilePath.joined(folder, name)) }
        }
        let description = MDSShardDescription(
            schema: schema,
            compression: zip == nil ? nil : options.compression?.description,
            hashes: options.sortedHashNames,
            raw: raw,
            zip: zip,
            sampleCount: ends.count,
            sizeLimit: options.sizeLimitValue
        )
        index.shards.append(description)
        completeSampleCount += ends.count
        ends.removeAll(keepingCapacity: true)
        try onShard?(description)
    }

    /// The name of a shard by its position.
    static func shardName(_ position: Int) -> String {
        let digits = String(position)
        return "shard.\(String(repeating: "0", count: max(0, 5 - digits.count)))\(digits).mds"
    }

    private func file(_ name: String, _ bytes: [UInt8]) -> MDSShardDescription.File {
        let hashes = options.hashes.map { hash in (hash.rawValue, bytes.withUnsafeBytes { hash.hexadecimal($0) }) }
        return MDSShardDescription.File(
            basename: name,
            byteCount: bytes.count,
            hashes: Dictionary(hashes, uniquingKeysWith: { first, _ in first })
        )
    }
}

extension MDSWriter.Options {
    /// In the order that the Python library demands.
    var sortedHashNames: [String] { Set(hashes.map(\.rawValue)).sorted() }

    var sizeLimitValue: JSONValue { sizeLimit.map { JSONValue($0) } ?? .null }
}
