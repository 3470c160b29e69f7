import EttinFiles

/// What the pages of a column are read into, one after the other in all row groups.
///
/// Fresh memory for every page would cost as much as reading it.
final class ParquetBuffers {
    /// A page as it lies in the file.
    fileprivate var stored: [UInt8] = []
    /// A page decompressed; its values may lie here.
    fileprivate var content: [UInt8] = []
    /// The dictionary; the values of all pages of a row group may lie here.
    fileprivate var dictionary: [UInt8] = []
}

/// Walks over the entries of one column in one row group, page by page.
///
/// One page and the dictionary are in memory, and a part of the page is decoded.
final class ParquetColumnReader {
    private let source: ParquetSource
    let leaf: ParquetLeaf
    private let replacesInvalidText: Bool
    private let compression: Compression?
    /// The part of the file that holds the pages not yet read.
    private var rest: Range<Int>
    private var entriesLeft: Int
    private var dictionary: ParquetPageValues?
    private var page = ParquetPage()
    private var levelsLieInContent = true
    private var entry = 0
    private var value = 0
    private let buffers: ParquetBuffers

    /// Page headers grow with the statistics in them.
    private static let longestHeader = 16 << 20

    init(
        _ source: ParquetSource,
        _ leaf: ParquetLeaf,
        _ chunk: ParquetColumnChunk,
        buffers: ParquetBuffers,
        replacesInvalidText: Bool
    ) throws {
        self.buffers = buffers
        self.source = source
        self.leaf = leaf
        self.replacesInvalidText = replacesInvalidText
        guard !chunk.isEncrypted else {
            throw ParquetFailure(.unsupported, "is encrypted", expected: "a column without encryption")
        }
        guard chunk.file == nil || chunk.file == "" else {
            throw ParquetFailure(.unsupported, "lies in another file, \(shown(chunk.file ?? ""))")
        }
        guard chunk.hasMetadata, chunk.type == leaf.type.rawValue, chunk.path == leaf.path, chunk.valueCount >= 0 else {
            throw ParquetFailure("is described differently in the schema and in a row group")
        }
        guard leaf.type != .int96 else {
            throw ParquetFailure(.unsupported, "is of type INT96", expected: "timestamps as INT64")
        }
        compression = try chunk.compression()
        var start = chunk.dataPageOffset
        if let offset = chunk.dictionaryPageOffset, offset > 0 { start = min(start, offset) }
        let end = start.addingReportingOverflow(chunk.compressedSize)
        guard start >= 4, chunk.compressedSize >= 0, !end.overflow, end.partialValue <= source.footerStart else {
            throw ParquetFailure("lies at byte \(start) with \(chunk.compressedSize) bytes, outside the file's content")
        }
        rest = start..<end.partialValue
        entriesLeft = chunk.valueCount
    }

    /// The levels of the entry that is next; nil at the end.
    func peek() throws -> (definition: Int, repetition: Int)? {
        while entry == page.entryCount {
            if page.entriesLeft == 0 { guard try nextPage() else { return nil } }
            try page.decodeNext(levels: levelsLieInContent ? buffers.content : buffers.stored, content: buffers.content)
            entry = 0
            if page.isLookup { value = 0 }
        }
        return (
            page.definitionLevels.isEmpty ? leaf.definitionLevel : Int(page.definitionLevels[entry]),
            page.repetitionLevels.isEmpty ? 0 : Int(page.repetitionLevels[entry])
        )
    }

    /// The value of the entry that is next, which `peek` has shown; nil when it has none.
    func take() throws -> ParquetValue? {
        let isDefined =
            page.definitionLevels.isEmpty || Int(page.definitionLevels[entry]) == leaf.definitionLevel
        entry += 1
        guard isDefined else { return nil }
        defer { value += 1 }
        switch page.values {
        case .booleans(let values): return .bool(values[value])
        case .integers(let values):
            let number = values[value]
            if leaf.annotation == .unsigned, number < 0 { return .unsigned(UInt64(bitPattern: number)) }
            return .integer(number)
        case .doubles(let values): return .double(values[value])
        case .bytes(let values):
            let bytes = values.pool[values.ranges[value]]
            guard leaf.annotation == .text else { return .bytes(Array(bytes)) }
            if let text = String(validating: bytes, as: UTF8.self) { return .string(text) }
            guard replacesInvalidText else { throw ParquetFailure("is not UTF-8", expected: "text") }
            return .string(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Takes the entries of this page that go on with a list, up to the first that is not there.
    ///
    /// It does nothing for anything but integers, and nothing that `peek` and `take` would not do.
    func takeIntegers(repetition: Int, into values: inout [ParquetValue]) {
        guard case .integers(let numbers) = page.values, leaf.annotation != .unsigned else { return }
        let repetitions = page.repetitionLevels
        let definitions = page.definitionLevels
        var count = 0
        while entry + count < repetitions.count, repetitions[entry + count] == repetition,
            definitions.isEmpty || definitions[entry + count] == leaf.definitionLevel
        {
            count += 1
        }
        values.reserveCapacity(values.count + count)
        for number in numbers[value..<value + count] { values.append(.integer(number)) }
        entry += count
        value += count
    }

    // MARK: - Pages

    /// Prepares the next data page; false when there is none.
    private func nextPage() throws -> Bool {
        while true {
            guard entriesLeft > 0 else { return false }
            guard !rest.isEmpty else { throw ParquetFailure("ends \(entriesLeft) values early") }
            let header = try readHeader()
            guard header.compressedSize <= rest.count else {
                throw ParquetFailure("has a page of \(header.compressedSize) bytes where \(rest.count) are left")
            }
            try source.read(rest.lowerBound..<rest.lowerBound + header.compressedSize, into: &buffers.stored)
            rest = rest.lowerBound + header.compressedSize..<rest.upperBound
            // The values of the page before may lie in the buffer for the content, which has one owner while it is filled.
            page = ParquetPage()
            try buffers.stored.withUnsafeBytes { buffer in
                let stored = UnsafeRawBufferPointer(rebasing: buffer[..<header.compressedSize])
                try ParquetPage.verify(header, stored)
                switch header.kind {
                case .index: break
                case .dictionary:
                    guard dictionary == nil else { throw ParquetFailure("has two dictionaries") }
                    dictionary = try ParquetPage.dictionary(
                        header,
                        stored,
                        leaf: leaf,
                        compression: compression,
                        file: source.path,
                        buffer: &buffers.dictionary
                    )
                case .data, .dataV2:
                    guard header.valueCount <= entriesLeft else {
                        throw ParquetFailure("has a page of \(header.valueCount) values where \(entriesLeft) are left")
                    }
                    page = try ParquetPage(
                        header,
                        stored,
                        leaf: leaf,
                        compression: compression,
                        dictionary: dictionary,
                        file: source.path,
                        content: &buffers.content
                    )
                    levelsLieInContent = header.kind == .data
                    entriesLeft -= page.totalCount
                    entry = 0
                    value = 0
                }
            }
            if header.kind == .data || header.kind == .dataV2 { return true }
        }
    }

    private func readHeader() throws -> ParquetPageHeader {
        var size = 1 << 10
        while true {
            let block = try source.read(rest.lowerBound..<min(rest.upperBound, rest.lowerBound + size))
            do {
                let (header, length) = try block.withUnsafeBytes { bytes in
                    var reader = ThriftReader(bytes)
                    return (try ParquetPageHeader(&reader), reader.position)
                }
                rest = rest.lowerBound + length..<rest.upperBound
                return header
            } catch is ThriftReader.EndOfInput {
                guard size < rest.count, size < Self.longestHeader else {
                    throw ParquetFailure("has a page header that is cut off")
                }
                size *= 8
            }
        }
    }
}
