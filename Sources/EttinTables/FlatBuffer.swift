import EttinFiles

/// What is wrong with bytes of an Arrow stream, before anybody says which file they belong to.
struct ArrowFailure: Error {
    let kind: TableError.Kind
    let found: String
    let expected: String?

    init(_ found: String, expected: String? = nil) { self.init(.malformed, found, expected: expected) }

    init(_ kind: TableError.Kind, _ found: String, expected: String? = nil) {
        self.kind = kind
        self.found = found
        self.expected = expected
    }
}

/// A table of a FlatBuffers message, as far as Arrow's metadata needs it; every offset is checked.
///
/// > Source: FlatBuffers, "Internals"; Arrow, `format/Message.fbs` and `format/Schema.fbs`.
struct FlatTable {
    private let bytes: UnsafeRawBufferPointer
    private let position: Int
    private let virtualTable: Int
    private let virtualTableSize: Int

    /// The outermost table of a message.
    init(root bytes: UnsafeRawBufferPointer) throws {
        try self.init(bytes, at: Int(try Self.load(bytes, 0, as: UInt32.self)))
    }

    private init(_ bytes: UnsafeRawBufferPointer, at position: Int) throws {
        self.bytes = bytes
        self.position = position
        virtualTable = position - Int(try Self.load(bytes, position, as: Int32.self))
        virtualTableSize = Int(try Self.load(bytes, virtualTable, as: UInt16.self))
        guard virtualTableSize >= 4 else { throw ArrowFailure("has broken metadata") }
    }

    private static func load<Value: FixedWidthInteger>(
        _ bytes: UnsafeRawBufferPointer,
        _ position: Int,
        as type: Value.Type
    ) throws -> Value {
        guard position >= 0, position <= bytes.count - MemoryLayout<Value>.size else {
            throw ArrowFailure("has metadata that points outside itself")
        }
        return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    /// The place of a field; nil for one that is not there.
    private func place(_ field: Int) throws -> Int? {
        let entry = 4 + 2 * field
        guard entry + 2 <= virtualTableSize else { return nil }
        let offset = Int(try Self.load(bytes, virtualTable + entry, as: UInt16.self))
        return offset == 0 ? nil : position + offset
    }

    /// A number; the default where the field is not there.
    func integer<Value: FixedWidthInteger>(_ field: Int, default value: Value) throws -> Value {
        guard let place = try place(field) else { return value }
        return try Self.load(bytes, place, as: Value.self)
    }

    /// Whether a field is there.
    func has(_ field: Int) throws -> Bool { try place(field) != nil }

    /// A table; nil for one that is not there.
    func table(_ field: Int) throws -> FlatTable? {
        guard let place = try place(field) else { return nil }
        return try FlatTable(bytes, at: place + Int(try Self.load(bytes, place, as: UInt32.self)))
    }

    /// The place of a vector's first element and how many it has; elements have a fixed size.
    private func vector(_ field: Int, elementSize: Int) throws -> (start: Int, count: Int)? {
        guard let place = try place(field) else { return nil }
        let start = place + Int(try Self.load(bytes, place, as: UInt32.self))
        let count = Int(try Self.load(bytes, start, as: UInt32.self))
        guard count <= (bytes.count - start - 4) / elementSize else {
            throw ArrowFailure("has metadata with \(count) elements, more than it has room for")
        }
        return (start + 4, count)
    }

    /// A text; nil for one that is not there.
    func text(_ field: Int) throws -> String? {
        guard let (start, count) = try vector(field, elementSize: 1) else { return nil }
        guard let text = validatedText(UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])) else {
            throw ArrowFailure("has a name that is not UTF-8")
        }
        return text
    }

    /// The tables of a vector.
    func tables(_ field: Int) throws -> [FlatTable] {
        guard let (start, count) = try vector(field, elementSize: 4) else { return [] }
        return try (0..<count).map { index in
            let place = start + 4 * index
            return try FlatTable(bytes, at: place + Int(try Self.load(bytes, place, as: UInt32.self)))
        }
    }

    /// The structures of a vector, of two numbers each.
    func pairs(_ field: Int) throws -> [(first: Int, second: Int)] {
        guard let (start, count) = try vector(field, elementSize: 16) else { return [] }
        return try (0..<count).map { index in
            let place = start + 16 * index
            return (
                Int(try Self.load(bytes, place, as: Int64.self)), Int(try Self.load(bytes, place + 8, as: Int64.self))
            )
        }
    }
}
