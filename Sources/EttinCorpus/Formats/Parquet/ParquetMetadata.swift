/// The physical types; raw values are those of the format.
enum ParquetPhysicalType: Int, Sendable {
    case boolean = 0
    case int32 = 1
    case int64 = 2
    case int96 = 3
    case float = 4
    case double = 5
    case byteArray = 6
    case fixedLengthByteArray = 7

    /// The name in the format's definition.
    var name: String {
        switch self {
        case .boolean: "BOOLEAN"
        case .int32: "INT32"
        case .int64: "INT64"
        case .int96: "INT96"
        case .float: "FLOAT"
        case .double: "DOUBLE"
        case .byteArray: "BYTE_ARRAY"
        case .fixedLengthByteArray: "FIXED_LEN_BYTE_ARRAY"
        }
    }
}

/// The encodings; raw values are those of the format.
enum ParquetEncoding: Int {
    case plain = 0
    case plainDictionary = 2
    case runLength = 3
    case bitPacked = 4
    case deltaBinaryPacked = 5
    case deltaLengthByteArray = 6
    case deltaByteArray = 7
    case runLengthDictionary = 8
    case byteStreamSplit = 9

    init(_ raw: Int) throws {
        guard let encoding = ParquetEncoding(rawValue: raw) else {
            throw ParquetFailure(.unsupported, "has the unknown encoding \(raw)", expected: "an encoding from 0 to 9")
        }
        self = encoding
    }
}

/// What the footer says about one column of one row group.
struct ParquetColumnChunk: Sendable {
    var file: String?
    var isEncrypted = false
    var hasMetadata = false
    var type = -1
    var path: [String] = []
    var codec = -1
    var valueCount = -1
    var compressedSize = -1
    var dataPageOffset = -1
    var dictionaryPageOffset: Int?

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws {
        try reader.structure(kind) { reader, field, kind in
            switch field {
            case 1: file = try reader.text(kind)
            case 3:
                hasMetadata = true
                try readMetadata(&reader, kind)
            case 8, 9:
                isEncrypted = true
                return false
            default: return false
            }
            return true
        }
        // Here, because elements without content would be many in few bytes.
        guard hasMetadata || isEncrypted else { throw ParquetFailure("has a column without metadata in a row group") }
    }

    private mutating func readMetadata(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws {
        try reader.structure(kind) { reader, field, kind in
            switch field {
            case 1: type = try reader.integer32(kind)
            case 3: try reader.list(kind) { path.append(try $0.text($1)) }
            case 4: codec = try reader.integer32(kind)
            case 5: valueCount = try reader.integer64(kind)
            case 7: compressedSize = try reader.integer64(kind)
            case 9: dataPageOffset = try reader.integer64(kind)
            case 11: dictionaryPageOffset = try reader.integer64(kind)
            default: return false
            }
            return true
        }
    }

    /// How pages are compressed; nil for not at all.
    func compression() throws -> Compression? {
        let name: String
        switch codec {
        case 0: return nil
        case 1: name = "snappy"
        case 2: name = "gz"
        case 4: name = "br"
        case 6: name = "zstd"
        default:
            let names = [3: "LZO", 5: "LZ4", 7: "LZ4_RAW"]
            throw ParquetFailure(
                .unsupported,
                "is compressed with the codec \(names[codec] ?? String(codec))",
                expected: "UNCOMPRESSED, SNAPPY, GZIP, BROTLI or ZSTD"
            )
        }
        return try Compression(name: name)
    }
}

/// Rows that lie together in a file.
struct ParquetRowGroup: Sendable {
    var columns: [ParquetColumnChunk] = []
    var rowCount = -1

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws {
        try reader.structure(kind) { reader, field, kind in
            switch field {
            case 1: try reader.list(kind) { columns.append(try ParquetColumnChunk(&$0, $1)) }
            case 3: rowCount = try reader.integer64(kind)
            default: return false
            }
            return true
        }
    }
}

/// One element of the flattened schema.
struct ParquetSchemaElement {
    var type: Int?
    var typeLength: Int?
    var repetition = 0
    var name = ""
    var childCount: Int?
    var annotation = Annotation.none
    private var isNamed = false

    /// What an element stands for, as far as it changes how values are shown.
    enum Annotation: Sendable {
        case none
        case text
        case list
        case map
        case unsigned
    }

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws {
        try reader.structure(kind) { reader, field, kind in
            switch field {
            case 1: type = try reader.integer32(kind)
            case 2: typeLength = try reader.integer32(kind)
            case 3: repetition = try reader.integer32(kind)
            case 4:
                name = try reader.text(kind)
                isNamed = true
            case 5: childCount = try reader.integer32(kind)
            case 6:
                switch try reader.integer32(kind) {
                // UTF8, ENUM and JSON are text, MAP_KEY_VALUE is an old name for a map.
                case 0, 4, 19: annotation = .text
                case 1, 2: annotation = .map
                case 3: annotation = .list
                case 11...14: annotation = .unsigned
                default: break
                }
            case 10: try readLogicalType(&reader, kind)
            default: return false
            }
            return true
        }
        guard isNamed else { throw ParquetFailure("has a schema with an element without a name") }
    }

    private mutating func readLogicalType(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws {
        try reader.structure(kind) { reader, field, kind in
            switch field {
            case 1, 4, 12: annotation = .text
            case 2: annotation = .map
            case 3: annotation = .list
            case 10:
                try reader.structure(kind) { reader, field, kind in
                    guard field == 2 else { return false }
                    annotation = try reader.boolean(kind) ? .none : .unsigned
                    return true
                }
                return true
            default: break
            }
            return false
        }
    }
}

/// The footer of a file.
struct ParquetMetadata {
    var schema: [ParquetSchemaElement] = []
    var rowCount = -1
    var rowGroups: [ParquetRowGroup] = []
    var isEncrypted = false

    init(_ bytes: UnsafeRawBufferPointer) throws {
        var reader = ThriftReader(bytes)
        do {
            try reader.structure { reader, field, kind in
                switch field {
                case 2: try reader.list(kind) { schema.append(try ParquetSchemaElement(&$0, $1)) }
                case 3: rowCount = try reader.integer64(kind)
                case 4: try reader.list(kind) { rowGroups.append(try ParquetRowGroup(&$0, $1)) }
                case 8:
                    isEncrypted = true
                    return false
                default: return false
                }
                return true
            }
        } catch is ThriftReader.EndOfInput {
            throw ParquetFailure("is cut off")
        }
        // The sum may be too large for a number.
        let total = rowGroups.reduce(Int128(0)) { $0 + Int128($1.rowCount) }
        guard rowGroups.allSatisfy({ $0.rowCount >= 0 }), total == Int128(rowCount) else {
            throw ParquetFailure("promises \(rowCount) rows and has \(total)")
        }
    }
}

/// What stands in front of a page.
struct ParquetPageHeader {
    enum Kind: Int {
        case data = 0
        case index = 1
        case dictionary = 2
        case dataV2 = 3
    }

    var kind = Kind.data
    var uncompressedSize = -1
    var compressedSize = -1
    var checksum: UInt32?
    var valueCount = -1
    var encoding = -1
    var definitionEncoding = ParquetEncoding.runLength.rawValue
    var repetitionEncoding = ParquetEncoding.runLength.rawValue
    var definitionSize = 0
    var repetitionSize = 0
    var isCompressed = true

    init(_ reader: inout ThriftReader) throws {
        var rawKind = -1
        try reader.structure { reader, field, kind in
            switch field {
            case 1: rawKind = try reader.integer32(kind)
            case 2: uncompressedSize = try reader.integer32(kind)
            case 3: compressedSize = try reader.integer32(kind)
            case 4: checksum = UInt32(truncatingIfNeeded: try reader.integer32(kind))
            case 5, 7, 8: try readDetails(&reader, kind, of: field)
            default: return false
            }
            return true
        }
        guard let known = Kind(rawValue: rawKind) else {
            throw ParquetFailure(.unsupported, "has a page of the unknown type \(rawKind)", expected: "0 to 3")
        }
        kind = known
        guard uncompressedSize >= 0, compressedSize >= 0 else {
            throw ParquetFailure("has a page of \(compressedSize) bytes that hold \(uncompressedSize)")
        }
        guard kind == .index || valueCount >= 0 else { throw ParquetFailure("has a page of \(valueCount) values") }
    }

    private mutating func readDetails(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind, of page: Int) throws {
        try reader.structure(kind) { reader, field, kind in
            switch (page, field) {
            case (_, 1): valueCount = try reader.integer32(kind)
            case (5, 2), (7, 2), (8, 4): encoding = try reader.integer32(kind)
            case (5, 3): definitionEncoding = try reader.integer32(kind)
            case (5, 4): repetitionEncoding = try reader.integer32(kind)
            case (8, 5): definitionSize = try reader.integer32(kind)
            case (8, 6): repetitionSize = try reader.integer32(kind)
            case (8, 7): isCompressed = try reader.boolean(kind)
            default: return false
            }
            return true
        }
    }
}
