import EttinFiles

/// Reads the values of a column one after the other, holding one page at a time.
struct ParquetCursor {
    private let file: ParquetFile
    private let column: ParquetFile.Column
    private var group: Int
    private var page = ParquetPage()
    private var position = 0
    private var dictionary: ParquetPage?
    /// Where the next page of the current row group begins.
    private var offset = 0
    /// The values of the current row group that are not yet in a page.
    private var remaining = 0

    /// The largest page that is believed; writers make pages of about a megabyte.
    private static let largestPage = 1 << 30
    /// The most values of a page that is believed; a few bytes can claim any number of equal ones.
    private static let largestValueCount = 1 << 24

    /// Starts at the first row of a row group.
    init(_ file: ParquetFile, _ column: ParquetFile.Column, group: Int) {
        self.file = file
        self.column = column
        self.group = group - 1
    }

    /// Calls `body` with the next value as text, nil for a missing one.
    mutating func next<Result>(_ body: (ArraySlice<UInt8>?) throws -> Result) throws -> Result {
        while position == page.ranges.count {
            do throws(ParquetFault) {
                try nextPage()
            } catch {
                throw CorpusError(
                    .malformed,
                    file: file.path,
                    item: "column \(shown(column.name)) row group \(group)",
                    found: error.found,
                    expected: error.expected
                )
            }
        }
        defer { position += 1 }
        return try body(page.ranges[position].map { page.text[$0] })
    }

    private mutating func nextPage() throws(ParquetFault) {
        position = 0
        page = ParquetPage()
        while remaining == 0 {
            group += 1
            guard group < column.chunks.count else { throw ParquetFault("has fewer values than rows") }
            remaining = column.chunks[group].valueCount
            offset = column.chunks[group].range.lowerBound
            dictionary = nil
        }
        let chunk = column.chunks[group]
        let bytes = file.file.buffer
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<chunk.range.upperBound]), at: offset)
        let header = try ThriftValue.structure(&reader)
        guard
            let type = header[1]?.int, let size = header[2]?.int, let packedSize = header[3]?.int,
            (0...Self.largestPage).contains(size), let packed = reader.take(packedSize)
        else { throw ParquetFault("has a page that lies outside its column") }
        offset = reader.position
        switch type {
        case 0: try readPage(header[5], packed, size, chunk)
        case 2:
            guard let count = header[7]?[1]?.int, count >= 0 else {
                throw ParquetFault("has a dictionary without a size")
            }
            try requirePlain(header[7]?[2]?.int)
            let content = try unpacked(packed, size, chunk.codec)
            dictionary = try withBytes(content) { bytes throws(ParquetFault) in
                try ParquetPage.plain(bytes, count: count, type: column.type)
            }
        case 3: try readPageVersion2(header[8], packed, size, chunk)
        default: break
        }
        withExtendedLifetime(file) {}
    }

    // MARK: - Pages

    private mutating func readPage(
        _ header: ThriftValue?,
        _ packed: UnsafeRawBufferPointer,
        _ size: Int,
        _ chunk: ParquetFile.Chunk
    ) throws(ParquetFault) {
        let count = try valueCount(header)
        let content = try unpacked(packed, size, chunk.codec)
        page = try withBytes(content) { bytes throws(ParquetFault) in
            var values = bytes
            var isPresent: [Int]?
            if column.isOptional {
                var reader = ByteReader(bytes)
                guard let length = reader.integer(UInt32.self), let levels = reader.take(Int(length)) else {
                    throw ParquetFault("ends within the marks of missing values")
                }
                isPresent = try ParquetPage.levels(levels, bitWidth: 1, count: count)
                values = UnsafeRawBufferPointer(rebasing: bytes[reader.position...])
            }
            return try decoded(values, encoding: header?[2]?.int, count: count, isPresent)
        }
        remaining -= count
    }

    private mutating func readPageVersion2(
        _ header: ThriftValue?,
        _ packed: UnsafeRawBufferPointer,
        _ size: Int,
        _ chunk: ParquetFile.Chunk
    ) throws(ParquetFault) {
        let count = try valueCount(header)
        let levelSize = header?[5]?.int ?? 0
        let repetitionSize = header?[6]?.int ?? 0
        guard levelSize >= 0, repetitionSize == 0, levelSize <= packed.count, levelSize <= size else {
            throw ParquetFault("has marks of missing values that lie outside the page")
        }
        let levels = UnsafeRawBufferPointer(rebasing: packed[..<levelSize])
        let isPresent = column.isOptional ? try ParquetPage.levels(levels, bitWidth: 1, count: count) : nil
        let body = UnsafeRawBufferPointer(rebasing: packed[levelSize...])
        var codec = chunk.codec
        if case .bool(false)? = header?[7] { codec = 0 }
        let content = try unpacked(body, size - levelSize, codec)
        page = try withBytes(content) { bytes throws(ParquetFault) in
            try decoded(bytes, encoding: header?[4]?.int, count: count, isPresent)
        }
        remaining -= count
    }

    private func valueCount(_ header: ThriftValue?) throws(ParquetFault) -> Int {
        guard let count = header?[1]?.int, (0...remaining).contains(count), count <= Self.largestValueCount else {
            throw ParquetFault("has a page with more values than its column, or than \(Self.largestValueCount)")
        }
        return count
    }

    private func decoded(
        _ bytes: UnsafeRawBufferPointer,
        encoding: Int?,
        count: Int,
        _ isPresent: [Int]?
    ) throws(ParquetFault) -> ParquetPage {
        let presentCount = isPresent?.reduce(0, +) ?? count
        var page: ParquetPage
        switch encoding {
        case 0: page = try .plain(bytes, count: presentCount, type: column.type)
        case 2, 8:
            guard let dictionary else { throw ParquetFault("points into a dictionary that is not there") }
            page = try .indexed(bytes, count: presentCount, dictionary: dictionary)
        default:
            try requirePlain(encoding)
            return ParquetPage()
        }
        guard let isPresent, presentCount < count else { return page }
        var values = page.ranges.makeIterator()
        page.ranges = isPresent.map { $0 == 1 ? values.next() ?? nil : nil }
        return page
    }

    private func requirePlain(_ encoding: Int?) throws(ParquetFault) {
        // Dictionaries are plain under two names.
        guard encoding != 0, encoding != 2 else { return }
        let names = [
            3: "RLE", 4: "BIT_PACKED", 5: "DELTA_BINARY_PACKED", 6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY",
            9: "BYTE_STREAM_SPLIT",
        ]
        let name = encoding.map { names[$0] ?? "number \($0)" } ?? "none"
        throw ParquetFault("has the encoding \(name), which is not read", expected: "PLAIN or a dictionary")
    }

    private func unpacked(
        _ packed: UnsafeRawBufferPointer,
        _ size: Int,
        _ codec: Int
    ) throws(ParquetFault) -> [UInt8] {
        let names: [Int: String] = [1: "snappy", 2: "gz", 4: "br", 6: "zstd"]
        do {
            if codec == 0 {
                guard packed.count == size else { throw ParquetFault("has \(packed.count) bytes", expected: "\(size)") }
                return Array(packed)
            }
            guard let name = names[codec] else {
                let known = [3: "LZO", 5: "LZ4", 7: "LZ4_RAW"][codec] ?? "number \(codec)"
                throw ParquetFault("is compressed as \(known)", expected: "snappy, gzip, brotli or zstd")
            }
            return try Compression(name: name).decompress(packed, byteCount: size, file: "page")
        } catch let fault as ParquetFault {
            throw fault
        } catch {
            throw ParquetFault("has a damaged page: \(error)")
        }
    }

    private func withBytes(
        _ content: [UInt8],
        _ body: (UnsafeRawBufferPointer) throws(ParquetFault) -> ParquetPage
    ) throws(ParquetFault) -> ParquetPage {
        let result = content.withUnsafeBytes { bytes in
            Result { () throws(ParquetFault) -> ParquetPage in try body(bytes) }
        }
        return try result.get()
    }
}
