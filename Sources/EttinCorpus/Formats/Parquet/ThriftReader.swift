import EttinFiles

/// Reads structures of Thrift's compact protocol from bytes that nobody has vouched for.
///
/// > Source: apache/thrift, `doc/specs/thrift-compact-protocol.md`.
struct ThriftReader {
    /// The kinds of value; raw values are those of structure fields.
    enum Kind: UInt8 {
        case yes = 1
        case no = 2
        case byte = 3
        case integer16 = 4
        case integer32 = 5
        case integer64 = 6
        case double = 7
        case binary = 8
        case list = 9
        case set = 10
        case map = 11
        case structure = 12
        case uuid = 13
    }

    /// Ran out of bytes; more of them may help.
    struct EndOfInput: Error {}

    private static let deepest = 48

    private var reader: ByteReader
    private var depth = 0

    init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    /// The position behind what was read.
    var position: Int { reader.position }

    // MARK: - Structures

    /// Calls `body` for each field; what it returns false for is passed over.
    mutating func structure(_ body: (inout ThriftReader, Int, Kind) throws -> Bool) throws {
        try enter()
        defer { depth -= 1 }
        var field = 0
        while true {
            let header = try next()
            guard header != 0 else { return }
            let kind = try kind(header & 15)
            field = header >> 4 == 0 ? try Int(truncatingIfNeeded: signedVarint()) : field + Int(header >> 4)
            guard (0...Int(Int16.max)).contains(field) else { throw ParquetFailure("has a field numbered \(field)") }
            if try !body(&self, field, kind) { try skip(kind) }
        }
    }

    /// Reads a structure that is the value of a field.
    mutating func structure(_ kind: Kind, _ body: (inout ThriftReader, Int, Kind) throws -> Bool) throws {
        try expect(.structure, kind)
        try structure(body)
    }

    /// Calls `body` once for each element.
    mutating func list(_ kind: Kind, _ body: (inout ThriftReader, Kind) throws -> Void) throws {
        try expect(.list, kind)
        let (count, element) = try listHeader()
        for _ in 0..<count { try body(&self, element) }
    }

    // MARK: - Values

    mutating func integer32(_ kind: Kind) throws -> Int {
        try expect(.integer32, kind)
        let value = try signedVarint()
        guard Int32(exactly: value) != nil else { throw ParquetFailure("has \(value) where 32 bits are stored") }
        return Int(value)
    }

    mutating func integer64(_ kind: Kind) throws -> Int {
        try expect(.integer64, kind)
        return try Int(signedVarint())
    }

    mutating func byte(_ kind: Kind) throws -> UInt8 {
        try expect(.byte, kind)
        return try next()
    }

    func boolean(_ kind: Kind) throws -> Bool {
        guard kind == .yes || kind == .no else { throw mismatch("a Boolean", kind) }
        return kind == .yes
    }

    mutating func text(_ kind: Kind) throws -> String {
        try expect(.binary, kind)
        let bytes = try take(try count(.max))
        guard let text = validatedText(bytes) else { throw ParquetFailure("has a name that is not UTF-8") }
        return text
    }

    // MARK: - Parts

    private mutating func skip(_ kind: Kind) throws {
        switch kind {
        case .yes, .no: break
        case .byte: _ = try next()
        case .integer16, .integer32, .integer64: _ = try varint()
        case .double: _ = try take(8)
        case .uuid: _ = try take(16)
        case .binary: _ = try take(try count(.max))
        case .structure: try structure { _, _, _ in false }
        case .list, .set:
            try enter()
            defer { depth -= 1 }
            let (count, element) = try listHeader()
            for _ in 0..<count { try skipElement(element) }
        case .map:
            try enter()
            defer { depth -= 1 }
            let count = try count(reader.remaining)
            guard count > 0 else { return }
            let kinds = try next()
            let (key, value) = (try self.kind(kinds >> 4), try self.kind(kinds & 15))
            for _ in 0..<count {
                try skipElement(key)
                try skipElement(value)
            }
        }
    }

    /// Elements of collections differ from fields in that Booleans take a byte.
    private mutating func skipElement(_ kind: Kind) throws {
        if kind == .yes || kind == .no { _ = try next() } else { try skip(kind) }
    }

    private mutating func listHeader() throws -> (count: Int, element: Kind) {
        let header = try next()
        let element = try kind(header & 15)
        // Every element takes a byte or more.
        let count = header >> 4 == 15 ? try count(reader.remaining) : Int(header >> 4)
        guard count <= reader.remaining else { throw EndOfInput() }
        return (count, element)
    }

    private mutating func count(_ limit: Int) throws -> Int {
        let value = try varint()
        guard let count = Int(exactly: value), count <= Int(Int32.max) else {
            throw ParquetFailure("has something of \(value) parts")
        }
        guard count <= limit else { throw EndOfInput() }
        return count
    }

    private mutating func signedVarint() throws -> Int64 { zigzag(try varint()) }

    private mutating func varint() throws -> UInt64 {
        guard let value = try reader.varint() else { throw EndOfInput() }
        return value
    }

    private mutating func next() throws -> UInt8 {
        guard let byte = reader.byte() else { throw EndOfInput() }
        return byte
    }

    private mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard let bytes = reader.take(count) else { throw EndOfInput() }
        return bytes
    }

    private mutating func enter() throws {
        depth += 1
        guard depth <= Self.deepest else {
            throw ParquetFailure("is nested more than \(Self.deepest) structures deep")
        }
    }

    private func kind(_ raw: UInt8) throws -> Kind {
        guard let kind = Kind(rawValue: raw) else { throw ParquetFailure("has a value of the unknown kind \(raw)") }
        return kind
    }

    private func expect(_ expected: Kind, _ kind: Kind) throws {
        if kind != expected { throw mismatch("\(expected)", kind) }
    }

    private func mismatch(_ expected: String, _ kind: Kind) -> ParquetFailure {
        ParquetFailure("has a value of kind \(kind)", expected: "\(expected)")
    }
}

/// The signed number that a variable-length integer stands for.
func zigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }

extension ByteReader {
    /// A variable-length integer of at most 64 bits; nil when it is cut off.
    mutating func varint() throws -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 70, by: 7) {
            guard let byte = byte() else { return nil }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte & 0x80 == 0 { return value }
        }
        throw ParquetFailure("has an integer of more than 64 bits")
    }
}
