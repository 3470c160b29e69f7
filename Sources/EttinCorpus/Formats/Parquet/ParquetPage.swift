import Czlib
import EttinFiles

/// A data page, whose entries are decoded some at a time: their levels, and the values of those that have one.
struct ParquetPage {
    /// Maximum number of entries of a page; runs could promise any number of them in a few bytes.
    static let entryLimit = 1 << 26
    /// How many entries are decoded at a time.
    private static let windowSize = 1 << 16

    /// The entries that are decoded.
    private(set) var entryCount = 0
    /// How deep each of them is defined; empty when all are defined to the end.
    private(set) var definitionLevels: [UInt8] = []
    /// The list that each of them continues; empty when there are no lists.
    private(set) var repetitionLevels: [UInt8] = []
    /// The values; those of the decoded entries alone when they come from a dictionary, else all of the page.
    private(set) var values = ParquetPageValues.booleans([])
    /// All entries of the page.
    private(set) var totalCount = 0
    /// The entries that are not decoded yet.
    private(set) var entriesLeft = 0

    private var repetition = Levels.none
    private var definition = Levels.none
    private var highestDefinition = 0
    private var lookup: (dictionary: ParquetPageValues, places: RunLengthReader)?

    /// Whether `values` begins anew with each part of the page that is decoded.
    var isLookup: Bool { lookup != nil }

    /// Where the levels of entries come from.
    private enum Levels {
        case none
        case runs(RunLengthReader, highest: Int)
        case stored([UInt8])
    }

    /// A page without entries.
    init() {}

    /// Prepares a page as it lies in the file; its values may lie in `content`, which takes its content.
    init(
        _ header: ParquetPageHeader,
        _ stored: UnsafeRawBufferPointer,
        leaf: ParquetLeaf,
        compression: Compression?,
        dictionary: ParquetPageValues?,
        file: String,
        content: inout [UInt8]
    ) throws {
        totalCount = header.valueCount
        entriesLeft = totalCount
        highestDefinition = leaf.definitionLevel
        guard totalCount <= Self.entryLimit else {
            throw ParquetFailure(
                .unsupported,
                "has a page of \(totalCount) values",
                expected: "\(Self.entryLimit) or fewer"
            )
        }
        let valueRange: Range<Int>
        if header.kind == .dataV2 {
            guard header.repetitionSize >= 0, header.definitionSize >= 0,
                header.repetitionSize + header.definitionSize <= stored.count
            else { throw ParquetFailure("has levels beyond the end of the page") }
            let levelSize = header.repetitionSize + header.definitionSize
            guard levelSize <= header.uncompressedSize else {
                throw ParquetFailure("has \(levelSize) bytes of levels in a page of \(header.uncompressedSize)")
            }
            repetition = try Self.runs(0..<header.repetitionSize, leaf.repetitionLevel, totalCount)
            definition = try Self.runs(header.repetitionSize..<levelSize, leaf.definitionLevel, totalCount)
            valueRange = 0..<header.uncompressedSize - levelSize
            try Self.readContent(
                UnsafeRawBufferPointer(rebasing: stored[levelSize...]),
                byteCount: valueRange.upperBound,
                header.isCompressed ? compression : nil,
                file,
                into: &content
            )
        } else {
            let byteCount = header.uncompressedSize
            try Self.readContent(stored, byteCount: byteCount, compression, file, into: &content)
            let position = try content.withUnsafeBytes { bytes in
                var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
                let encodings = (header.repetitionEncoding, header.definitionEncoding)
                repetition = try Self.levels(&reader, encodings.0, leaf.repetitionLevel, totalCount)
                definition = try Self.levels(&reader, encodings.1, leaf.definitionLevel, totalCount)
                return reader.position
            }
            valueRange = position..<byteCount
        }
        let levels = header.kind == .dataV2 ? stored : nil
        try prepareValues(header, content, valueRange, leaf, dictionary, levels: levels)
    }

    private mutating func prepareValues(
        _ header: ParquetPageHeader,
        _ content: [UInt8],
        _ range: Range<Int>,
        _ leaf: ParquetLeaf,
        _ dictionary: ParquetPageValues?,
        levels: UnsafeRawBufferPointer?
    ) throws {
        let count = try content.withUnsafeBytes { try valueCount(levels ?? $0) }
        let encoding = try ParquetEncoding(header.encoding)
        guard encoding == .plainDictionary || encoding == .runLengthDictionary else {
            // Nothing stands for no values, not even a header.
            values =
                count == 0
                ? .booleans([]) : try ParquetPageValues.decode(content, range, encoding, count: count, leaf: leaf)
            return
        }
        guard let dictionary else { throw ParquetFailure("refers to a dictionary that is not there") }
        var places = try RunLengthReader(range.lowerBound..<range.lowerBound, width: 0, count: 0)
        if count > 0 {
            guard !range.isEmpty else { throw ParquetFailure("has a page of indices without their width") }
            let width = Int(content[range.lowerBound])
            places = try RunLengthReader(range.dropFirst(), width: width, count: count)
        }
        lookup = (dictionary, places)
    }

    /// How many entries have a value.
    private func valueCount(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        switch definition {
        case .none: return totalCount
        case .stored(let levels): return levels.count { Int($0) == highestDefinition }
        case .runs(var reader, let highest):
            var count = 0
            try reader.next(totalCount, in: bytes) { value, repeats in
                if value == highest { count += repeats }
            }
            return count
        }
    }

    /// Decodes the next entries.
    ///
    /// - Parameters:
    ///   - levels: What the levels lie in: the page as it was stored in version 2, else its content.
    ///   - content: The content of the page.
    /// - Throws: `ParquetFailure` for levels or places that are cut off or impossible.
    mutating func decodeNext(levels: [UInt8], content: [UInt8]) throws {
        let count = min(entriesLeft, Self.windowSize)
        let passed = totalCount - entriesLeft
        try levels.withUnsafeBytes { bytes in
            repetitionLevels = try Self.next(&repetition, passed, count, bytes)
            definitionLevels = try Self.next(&definition, passed, count, bytes)
        }
        entriesLeft -= count
        entryCount = count
        guard let dictionary = lookup?.dictionary, var places = lookup?.places else { return }
        let valueCount =
            definitionLevels.isEmpty ? count : definitionLevels.count { Int($0) == highestDefinition }
        values = try content.withUnsafeBytes { try dictionary.lookedUp(&places, count: valueCount, in: $0) }
        lookup = (dictionary, places)
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

    private static func runs(_ range: Range<Int>, _ highest: Int, _ count: Int) throws -> Levels {
        guard highest > 0 else { return .none }
        let width = Int.bitWidth - highest.leadingZeroBitCount
        return .runs(try RunLengthReader(range, width: width, count: count), highest: highest)
    }

    /// The next levels.
    private static func next(
        _ levels: inout Levels,
        _ passed: Int,
        _ count: Int,
        _ bytes: UnsafeRawBufferPointer
    ) throws -> [UInt8] {
        switch levels {
        case .none: return []
        case .stored(let all): return Array(all[passed..<passed + count])
        case .runs(var reader, let highest):
            var found: [UInt8] = []
            found.reserveCapacity(count)
            try reader.next(count, in: bytes) { value, repeats in
                guard value <= highest else { throw tooHigh(Int(value), highest) }
                found.append(contentsOf: repeatElement(UInt8(value), count: repeats))
            }
            levels = .runs(reader, highest: highest)
            return found
        }
    }

    private static func tooHigh(_ level: Int, _ highest: Int) -> ParquetFailure {
        ParquetFailure("has the level \(level)", expected: "\(highest) or less")
    }

    private static func levels(
        _ reader: inout ByteReader,
        _ rawEncoding: Int,
        _ highest: Int,
        _ count: Int
    ) throws -> Levels {
        guard highest > 0 else { return .none }
        switch try ParquetEncoding(rawEncoding) {
        case .runLength:
            guard let size: UInt32 = reader.integer(), reader.take(Int(size)) != nil else {
                throw ParquetFailure("is cut off in its levels")
            }
            return try runs(reader.position - Int(size)..<reader.position, highest, count)
        case .bitPacked:
            // This old form alone packs from the highest bit on.
            let width = Int.bitWidth - highest.leadingZeroBitCount
            guard let bytes = reader.take(PackedIntegers.byteCount(count, width: width)) else {
                throw ParquetFailure("is cut off in its levels")
            }
            return .stored(
                try (0..<count).map { index in
                    var level = 0
                    for bit in index * width..<(index + 1) * width {
                        level = level << 1 | Int(bytes[bit >> 3] >> UInt8(7 - bit & 7) & 1)
                    }
                    guard level <= highest else { throw tooHigh(level, highest) }
                    return UInt8(level)
                }
            )
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
