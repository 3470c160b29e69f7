import EttinFiles

/// What is wrong with the bytes of a Parquet file; the caller adds the file.
struct ParquetFault: Error {
    let found: String
    let expected: String?

    init(_ found: String, expected: String? = nil) {
        self.found = found
        self.expected = expected
    }
}

/// A value of Thrift's compact protocol, in which Parquet writes its headers.
///
/// > Source: apache/thrift, `doc/specs/thrift-compact-protocol.md`.
indirect enum ThriftValue {
    case bool(Bool)
    case integer(Int64)
    case double
    case binary([UInt8])
    case list([ThriftValue])
    case structure([Int: ThriftValue])

    /// A field of a structure.
    subscript(field: Int) -> ThriftValue? {
        if case .structure(let fields) = self { fields[field] } else { nil }
    }

    var int: Int? {
        if case .integer(let value) = self { Int(exactly: value) } else { nil }
    }

    var list: [ThriftValue]? {
        if case .list(let elements) = self { elements } else { nil }
    }

    var text: String? {
        if case .binary(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil }
    }

    /// Reads a structure and moves the reader behind it.
    static func structure(_ reader: inout ByteReader, depth: Int = 0) throws(ParquetFault) -> ThriftValue {
        guard depth < 16 else { throw ParquetFault("nests its headers more than 16 deep") }
        var fields: [Int: ThriftValue] = [:]
        var field = 0
        while true {
            guard let header = reader.byte() else { throw ParquetFault("ends within a header") }
            if header == 0 { return .structure(fields) }
            if header >> 4 == 0 {
                field = Int(try zigzag(&reader))
            } else {
                field += Int(header >> 4)
            }
            fields[field] = try value(&reader, type: header & 15, inList: false, depth: depth)
        }
    }

    private static func value(
        _ reader: inout ByteReader,
        type: UInt8,
        inList: Bool,
        depth: Int
    ) throws(ParquetFault) -> ThriftValue {
        switch type {
        case 1, 2:
            // A field's type says its value; an element of a list has a byte for it.
            guard inList else { return .bool(type == 1) }
            guard let byte = reader.byte() else { throw ParquetFault("ends within a header") }
            return .bool(byte == 1)
        case 3:
            guard let byte = reader.byte() else { throw ParquetFault("ends within a header") }
            return .integer(Int64(Int8(bitPattern: byte)))
        case 4, 5, 6: return .integer(try zigzag(&reader))
        case 7:
            guard reader.take(8) != nil else { throw ParquetFault("ends within a header") }
            return .double
        case 8:
            let count = try unsigned(&reader)
            guard count <= UInt64(reader.remaining), let bytes = reader.take(Int(count)) else {
                throw ParquetFault("ends within a text of \(count) bytes")
            }
            return .binary(Array(bytes))
        case 9, 10: return try list(&reader, depth: depth)
        case 12: return try structure(&reader, depth: depth + 1)
        default: throw ParquetFault("has a header field of the unknown type \(type)")
        }
    }

    private static func list(_ reader: inout ByteReader, depth: Int) throws(ParquetFault) -> ThriftValue {
        guard depth < 16, let header = reader.byte() else { throw ParquetFault("ends within a header") }
        let count = header >> 4 == 15 ? try unsigned(&reader) : UInt64(header >> 4)
        // Every element has a byte at least, which bounds the memory.
        guard count <= UInt64(reader.remaining) else { throw ParquetFault("ends within a list of \(count)") }
        var elements: [ThriftValue] = []
        for _ in 0..<count {
            elements.append(try value(&reader, type: header & 15, inList: true, depth: depth + 1))
        }
        return .list(elements)
    }

    private static func unsigned(_ reader: inout ByteReader) throws(ParquetFault) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = reader.byte() else { throw ParquetFault("ends within a number") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw ParquetFault("has a number of more than ten bytes")
    }

    private static func zigzag(_ reader: inout ByteReader) throws(ParquetFault) -> Int64 {
        let value = try unsigned(&reader)
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
}
