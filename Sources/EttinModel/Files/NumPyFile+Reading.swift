import EttinFiles

extension NumPyFile {
    /// Reads a float32 array that `numpy.save` wrote, or ``write(_:shape:to:)``.
    ///
    /// - Parameter path: A `.npy` file of float32 in C order, little-endian.
    /// - Returns: The values in row-major order, and the shape.
    /// - Throws: `CheckpointError` for another type or order, and for a file that contradicts itself.
    package static func readFloats(_ path: String) throws -> (values: [Float], shape: [Int]) {
        let file = try CheckpointError.translating { try MappedFile(path: path) }
        return try file.withUnsafeBytes { bytes in
            let (shape, start) = try header(bytes, path)
            let size = MemoryLayout<Float>.stride
            guard let count = elementCount(shape), let byteCount = count.multiplied(checked: size),
                byteCount == bytes.count - start
            else {
                throw CheckpointError(
                    .malformed,
                    file: path,
                    found: "has \(bytes.count - start) bytes of values",
                    expected: "those of float32 of shape \(spelled(shape))"
                )
            }
            let values = [Float](unsafeUninitializedCapacity: count) { buffer, filled in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[start...])
                )
                filled = count
            }
            return (values, shape)
        }
    }

    /// The shape of an array of float32, and where its values begin.
    private static func header(_ bytes: UnsafeRawBufferPointer, _ path: String) throws -> (shape: [Int], start: Int) {
        func malformed(_ found: String, _ expected: String) -> CheckpointError {
            CheckpointError(.malformed, file: path, found: found, expected: expected)
        }
        guard bytes.count >= 12, bytes.prefix(6).elementsEqual([0x93] + Array("NUMPY".utf8)) else {
            throw malformed("is not a .npy file", "what numpy.save writes")
        }
        // Version 1 has two bytes for the length of the description, versions 2 and 3 have four.
        let isFirst = bytes[6] == 1
        let length =
            isFirst
            ? Int(bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self).littleEndian)
            : Int(bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self).littleEndian)
        let first = isFirst ? 10 : 12
        guard (1...3).contains(bytes[6]), length <= bytes.count - first else {
            throw malformed("has a header of version \(bytes[6]) and \(length) bytes", "version 1, 2 or 3, and its end")
        }
        let text = String(decoding: bytes[first..<first + length], as: UTF8.self)
        guard text.contains("'descr': '<f4'"), text.contains("'fortran_order': False") else {
            throw malformed("holds \(quoted(text))", "little-endian float32 ('<f4') in C order")
        }
        guard let open = text.firstIndex(of: "("), let close = text[open...].firstIndex(of: ")") else {
            throw malformed("has no shape", "what numpy.save writes")
        }
        let shape = try text[text.index(after: open)..<close].split(separator: ",").compactMap { part -> Int? in
            let digits = part.filter { $0 != " " }
            if digits.isEmpty { return nil }
            guard let size = Int(digits), size >= 0 else {
                throw malformed("has a dimension \(quoted(String(part)))", "a whole number")
            }
            return size
        }
        return (shape, first + length)
    }
}
