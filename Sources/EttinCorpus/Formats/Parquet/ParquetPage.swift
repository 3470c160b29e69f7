import Czlib
import EttinFiles

/// A decoded data page: for each entry its levels, and the values of the entries that have one.
struct ParquetPage {
    /// The most entries of a page; runs could promise any number of them in a few bytes.
    static let entryLimit = 1 << 26

    var entryCount = 0
    /// How deep each entry is defined; empty when all are defined to the end.
    var definitionLevels: [UInt8] = []
    /// The list that each entry continues; empty when there are no lists.
    var repetitionLevels: [UInt8] = []
    var values = ParquetPageValues.booleans([])

    /// A page without entries.
    init() {}

    /// Decodes a page as it lies in the file; its values may lie in `buffer`, which takes its content.
    init(
        _ header: ParquetPageHeader,
        _ stored: UnsafeRawBufferPointer,
        leaf: ParquetLeaf,
        compression: Compression?,
        dictionary: ParquetPageValues?,
        file: String,
        buffer: inout [UInt8]
    ) throws {
        entryCount = header.valueCount
        guard entryCount <= Self.entryLimit else {
            throw ParquetFailure(
                .unsupported,
                "has a page of \(entryCount) values",
                expected: "\(Self.entryLimit) or fewer"
            )
        }
        if header.kind == .dataV2 {
            var reader = ByteReader(stored)
            guard let repetition = reader.take(header.repetitionSize),
                let definition = reader.take(header.definitionSize)
            else { throw ParquetFailure("has levels beyond the end of the page") }
            repetitionLevels = try Self.runLengthLevels(repetition, leaf.repetitionLevel, entryCount)
            definitionLevels = try Self.runLengthLevels(definition, leaf.definitionLevel, entryCount)
            let levelSize = header.repetitionSize + header.definitionSize
            let byteCount = header.uncompressedSize - levelSize
            try Self.readContent(
                UnsafeRawBufferPointer(rebasing: stored[levelSize...]),
                byteCount: byteCount,
                header.isCompressed ? compression : nil,
                file,
                into: &buffer
            )
            try readValues(header, buffer, 0..<byteCount, leaf, dictionary)
        } else {
            let byteCount = header.uncompressedSize
            try Self.readContent(stored, byteCount: byteCount, compression, file, into: &buffer)
            let position = try buffer.withUnsafeBytes { bytes in
                var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
                repetitionLevels = try Self.levels(
                    &reader,
                    header.repetitionEncoding,
                    leaf.repetitionLevel,
                    entryCount
                )
                definitionLevels = try Self.levels(
                    &reader,
                    header.definitionEncoding,
                    leaf.definitionLevel,
                    entryCount
                )
                return reader.position
            }
            try readValues(header, buffer, position..<byteCount, leaf, dictionary)
        }
    }

    /// Decodes a dictionary.
    static func dictionary(
        _ header: ParquetPageHeader,
        _ stored: UnsafeRawBufferPointer,
        leaf: ParquetLeaf,
        compression: Compression?,
        file: String,
        buffer: inout [UInt8]
    ) throws -> ParquetPageValues {
        let encoding = try ParquetEncoding(header.encoding)
        guard encoding == .plain || encoding == .plainDictionary else {
            throw ParquetFailure(.unsupported, "has a dictionary in the encoding \(encoding)", expected: "plain")
        }
        try readContent(stored, byteCount: header.uncompressedSize, compression, file, into: &buffer)
        let range = 0..<header.uncompressedSize
        return try ParquetPageValues.decode(buffer, range, .plain, count: header.valueCount, leaf: leaf)
    }

    private mutating func readValues(
        _ header: ParquetPageHeader,
        _ content: [UInt8],
        _ range: Range<Int>,
        _ leaf: ParquetLeaf,
        _ dictionary: ParquetPageValues?
    ) throws {
        let count =
            leaf.definitionLevel == 0
            ? entryCount : definitionLevels.count { $0 == UInt8(truncatingIfNeeded: leaf.definitionLevel) }
        let encoding = try ParquetEncoding(header.encoding)
        // Nothing stands for no values, not even a header.
        let isLookup = encoding == .plainDictionary || encoding == .runLengthDictionary
        guard isLookup else {
            values =
                count == 0
                ? .booleans([]) : try ParquetPageValues.decode(content, range, encoding, count: count, leaf: leaf)
            return
        }
        guard let dictionary else { throw ParquetFailure("refers to a dictionary that is not there") }
        values = try content.withUnsafeBytes { bytes in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[range]))
            return try dictionary.looked(up: &reader, count: count)
        }
    }

    // MARK: - Bytes and levels

    /// Puts the content of a page at the front of a buffer.
    private static func readContent(
        _ stored: UnsafeRawBufferPointer,
        byteCount: Int,
        _ compression: Compression?,
        _ file: String,
        into buffer: inout [UInt8]
    ) throws {
        guard byteCount >= 0 else { throw ParquetFailure("has levels beyond the end of the page") }
        if byteCount == 0 { return }
        guard let compression else {
            guard stored.count == byteCount else {
                throw ParquetFailure("has a page of \(stored.count) bytes", expected: "\(byteCount)")
            }
            if buffer.count < byteCount {
                buffer = Array(stored)
            } else {
                buffer.withUnsafeMutableBytes { $0.copyMemory(from: stored) }
            }
            return
        }
        try compression.decompress(stored, byteCount: byteCount, into: &buffer, file: file)
    }

    private static func runLengthLevels(_ bytes: UnsafeRawBufferPointer, _ highest: Int, _ count: Int) throws -> [UInt8]
    {
        guard highest > 0 else { return [] }
        var levels: [UInt8] = []
        var reader = ByteReader(bytes)
        let width = Int.bitWidth - highest.leadingZeroBitCount
        try RunLengthHybrid.decode(&reader, width: width, count: count) { value, repeats in
            guard value <= highest else {
                throw ParquetFailure("has the level \(value)", expected: "\(highest) or less")
            }
            levels.append(contentsOf: repeatElement(UInt8(value), count: repeats))
        }
        return levels
    }

    private static func levels(
        _ reader: inout ByteReader,
        _ rawEncoding: Int,
        _ highest: Int,
        _ count: Int
    ) throws -> [UInt8] {
        guard highest > 0 else { return [] }
        switch try ParquetEncoding(rawEncoding) {
        case .runLength:
            guard let size: UInt32 = reader.integer(), let bytes = reader.take(Int(size)) else {
                throw ParquetFailure("is cut off in its levels")
            }
            return try runLengthLevels(bytes, highest, count)
        case .bitPacked:
            // This old form alone packs from the highest bit on.
            let width = Int.bitWidth - highest.leadingZeroBitCount
            guard let bytes = reader.take(PackedIntegers.byteCount(count, width: width)) else {
                throw ParquetFailure("is cut off in its levels")
            }
            return try (0..<count).map { index in
                var level = 0
                for bit in index * width..<(index + 1) * width {
                    level = level << 1 | Int(bytes[bit >> 3] >> UInt8(7 - bit & 7) & 1)
                }
                guard level <= highest else {
                    throw ParquetFailure("has the level \(level)", expected: "\(highest) or less")
                }
                return UInt8(level)
            }
        case let encoding:
            throw ParquetFailure(
                .unsupported,
                "has levels in the encoding \(encoding)",
                expected: "runLength or bitPacked"
            )
        }
    }

    /// Compares the bytes of a page with the checksum in front of them, if there is one.
    static func verify(_ header: ParquetPageHeader, _ stored: UnsafeRawBufferPointer) throws {
        guard let expected = header.checksum else { return }
        let start = stored.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let found = UInt32(truncatingIfNeeded: crc32_z(0, start, stored.count))
        // An empty page has no address, for which zlib answers the checksum of nothing, zero.
        guard found == expected else {
            throw ParquetFailure("has a page with the CRC-32 \(found)", expected: "\(expected)")
        }
    }
}
