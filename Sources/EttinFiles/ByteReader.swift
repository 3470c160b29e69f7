/// Bounds-checked little-endian reads from bytes that nobody has vouched for.
package struct ByteReader {
    package let bytes: UnsafeRawBufferPointer
    /// The next byte to read; never beyond the end.
    package private(set) var position: Int

    package init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
        self.bytes = bytes
        self.position = min(max(0, position), bytes.count)
    }

    package var remaining: Int { bytes.count - position }

    /// The next byte, or nil at the end.
    package mutating func byte() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    /// The next `count` bytes, or nil when fewer are left.
    package mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, count <= remaining else { return nil }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    /// The next little-endian integer, or nil when too few bytes are left.
    package mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value? {
        guard let slice = take(MemoryLayout<Value>.size) else { return nil }
        return Value(littleEndian: slice.loadUnaligned(as: Value.self))
    }

    /// The bytes up to the next line feed, which is consumed but not returned; nil without one.
    package mutating func line() -> UnsafeRawBufferPointer? {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let slice = UnsafeRawBufferPointer(rebasing: bytes[position..<end])
        position = end + 1
        return slice
    }
}

/// Text from bytes, or nil when they are not UTF-8.
package func validatedText(_ bytes: UnsafeRawBufferPointer) -> String? {
    String(validating: bytes, as: UTF8.self)
}
