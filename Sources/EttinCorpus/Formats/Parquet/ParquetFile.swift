import EttinFiles

/// A Parquet file of which flat columns of text and whole numbers are read.
///
/// That is what data sets of documents need. Nested columns are passed over; encodings and compressions that are rare
/// in such files are refused by name.
///
/// > Source: apache/parquet-format, `README.md`, `Encodings.md` and `parquet.thrift`.
final class ParquetFile: Sendable {
    /// The part of a column that lies in one row group.
    struct Chunk: Sendable {
        let valueCount: Int
        let codec: Int
        /// Where its pages lie in the file.
        let range: Range<Int>
    }

    /// A column of values that are not lists.
    struct Column: Sendable {
        let name: String
        let type: ParquetPage.PhysicalType
        let isOptional: Bool
        /// One for each row group.
        let chunks: [Chunk]
    }

    let path: String
    let file: MappedFile
    let rowCount: Int
    /// The number of rows of each row group.
    let groupRowCounts: [Int]
    private let columns: [Column]

    init(path: String) throws {
        self.path = path
        let file = try CorpusError.translating { try MappedFile(path: path) }
        self.file = file
        let footer: Footer
        do throws(ParquetFault) {
            footer = try Footer(file)
        } catch {
            throw CorpusError(.malformed, file: path, found: error.found, expected: error.expected)
        }
        rowCount = footer.groupRowCounts.reduce(0, +)
        groupRowCounts = footer.groupRowCounts
        columns = footer.columns
    }

    /// A column; nil when there is none of that name.
    func column(_ name: String) -> Column? {
        columns.first { ExactName($0.name) == ExactName(name) }
    }

    var columnNames: [String] { columns.map(\.name) }
}

/// What the end of a Parquet file says about the rest.
private struct Footer {
    var groupRowCounts: [Int] = []
    var columns: [ParquetFile.Column] = []

    init(_ file: MappedFile) throws(ParquetFault) {
        let bytes = file.buffer
        // The file object is the caller's and lives on.
        guard bytes.count >= 12, bytes.suffix(4).elementsEqual("PAR1".utf8) else {
            throw ParquetFault("does not end as a Parquet file does", expected: "\"PAR1\"")
        }
        var reader = ByteReader(bytes, at: bytes.count - 8)
        let length = Int(reader.integer(UInt32.self) ?? 0)
        guard length <= bytes.count - 12 else {
            throw ParquetFault("has a footer of \(length) bytes", expected: "at most \(bytes.count - 12)")
        }
        reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)]), at: bytes.count - 8 - length)
        let metadata = try ThriftValue.structure(&reader)
        let flat = try Self.flatColumns(metadata)
        var chunks = [[ParquetFile.Chunk]](repeating: [], count: flat.count)
        for group in metadata[4]?.list ?? [] {
            guard let rows = group[3]?.int, rows >= 0, let parts = group[1]?.list else {
                throw ParquetFault("has a row group without rows or columns")
            }
            groupRowCounts.append(rows)
            for (position, column) in flat.enumerated() {
                guard column.position < parts.count else { throw ParquetFault("lacks columns in a row group") }
                chunks[position].append(try Self.chunk(parts[column.position], column.name, fileSize: bytes.count))
            }
        }
        columns = zip(flat, chunks).map {
            ParquetFile.Column(name: $0.name, type: $0.type, isOptional: $0.isOptional, chunks: $1)
        }
    }

    private struct FlatColumn {
        let name: String
        let type: ParquetPage.PhysicalType
        let isOptional: Bool
        /// The position among all leaves of the schema, which is that in each row group.
        let position: Int
    }

    /// The leaves that lie directly below the root and are not lists.
    private static func flatColumns(_ metadata: ThriftValue) throws(ParquetFault) -> [FlatColumn] {
        guard let elements = metadata[2]?.list, let rootCount = elements.first?[5]?.int else {
            throw ParquetFault("has no schema")
        }
        var flat: [FlatColumn] = []
        var leaf = 0
        var position = 1
        /// Passes over an element with everything below it.
        func skip() throws(ParquetFault) {
            var pending = 1
            while pending > 0 {
                guard position < elements.count else { throw ParquetFault("has a schema that ends too early") }
                let children = max(0, elements[position][5]?.int ?? 0)
                guard children <= elements.count else { throw ParquetFault("has a schema with \(children) children") }
                if children == 0 { leaf += 1 }
                pending += children - 1
                position += 1
            }
        }
        for _ in 0..<min(max(0, rootCount), elements.count) {
            guard position < elements.count else { throw ParquetFault("has a schema that ends too early") }
            let element = elements[position]
            let isLeaf = (element[5]?.int ?? 0) == 0
            let repetition = element[3]?.int ?? 0
            if isLeaf, repetition != 2, let name = element[4]?.text,
                let type = element[1]?.int.flatMap({ ParquetPage.PhysicalType(rawValue: $0) })
            {
                flat.append(FlatColumn(name: name, type: type, isOptional: repetition == 1, position: leaf))
            }
            try skip()
        }
        return flat
    }

    private static func chunk(
        _ value: ThriftValue,
        _ name: String,
        fileSize: Int
    ) throws(ParquetFault) -> ParquetFile.Chunk {
        guard
            let metadata = value[3], let valueCount = metadata[5]?.int, let codec = metadata[4]?.int,
            let size = metadata[7]?.int, let dataOffset = metadata[9]?.int
        else { throw ParquetFault("says nothing about column \(shown(name))") }
        guard value[1] == nil else { throw ParquetFault("keeps column \(shown(name)) in another file") }
        // Writers give an offset of zero for a dictionary that is not there.
        let dictionary = metadata[11]?.int ?? 0
        let start = dictionary > 0 ? min(dictionary, dataOffset) : dataOffset
        guard valueCount >= 0, start >= 4, size >= 0, start <= fileSize, size <= fileSize - start else {
            throw ParquetFault("puts column \(shown(name)) outside the file")
        }
        return ParquetFile.Chunk(valueCount: valueCount, codec: codec, range: start..<start + size)
    }
}
