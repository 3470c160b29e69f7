import EttinFiles

/// Writes arrays as `numpy.save` does: version 1.0, C order, little-endian.
///
/// > Source: numpy 2.4, `numpy.lib.format`.
package enum NumPyFile {
    /// Writes a float32 array to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - values: The values in row-major order, as many as the shape says.
    ///   - shape: The dimensions.
    ///   - path: The file to create or replace.
    /// - Throws: `CheckpointError` when there are more or fewer values and when the file cannot be written.
    package static func write(_ values: [Float], shape: [Int], to path: String) throws {
        try write(values, type: "<f4", shape: shape, to: path)
    }

    /// Writes an array of bytes to a file, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - bytes: The values in row-major order, as many as the shape says; signed ones in two's complement.
    ///   - isSigned: Whether they are int8, not uint8.
    ///   - shape: The dimensions.
    ///   - path: The file to create or replace.
    /// - Throws: As ``write(_:shape:to:)``.
    package static func write(_ bytes: [UInt8], isSigned: Bool, shape: [Int], to path: String) throws {
        try write(bytes, type: isSigned ? "|i1" : "|u1", shape: shape, to: path)
    }

    private static func write<Value: BitwiseCopyable>(
        _ values: [Value],
        type: String,
        shape: [Int],
        to path: String
    ) throws {
        guard elementCount(shape) == values.count else {
            let found = "was given \(values.count) values"
            throw CheckpointError(.malformed, file: path, found: found, expected: "those of shape \(spelled(shape))")
        }
        try CheckpointError.translating {
            let file = try AtomicFile(path: path)
            try file.write(header(shape, type: type))
            try values.withUnsafeBytes { try file.write($0) }
            try file.commit()
        }
    }

    /// Magic number, version, length and the description as a Python literal, byte for byte as numpy writes them.
    private static func header(_ shape: [Int], type: String) -> [UInt8] {
        let dimensions = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(dimensions)), }"
        // numpy leaves room for the first dimension to grow to 21 digits in place.
        if let first = shape.first { text += String(repeating: " ", count: max(0, 21 - String(first).count)) }
        let prefixCount = 10
        let alignment = 64
        text += String(repeating: " ", count: alignment - (prefixCount + text.utf8.count + 1) % alignment) + "\n"
        let count = UInt16(text.utf8.count)
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(count & 0xFF), UInt8(count >> 8)] + Array(text.utf8)
    }
}
