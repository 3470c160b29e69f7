import EttinFiles

/// Decoded values of one page or dictionary.
enum ParquetPageValues {
    case booleans([Bool])
    case integers([Int64])
    case doubles([Double])
    case bytes(ParquetBytes)

    var count: Int {
        switch self {
        case .booleans(let values): values.count
        case .integers(let values): values.count
        case .doubles(let values): values.count
        case .bytes(let values): values.ranges.count
        }
    }

    // MARK: - Encodings

    /// Decodes values in any encoding but those that need a dictionary, from a part of a buffer.
    static func decode(
        _ content: [UInt8],
        _ range: Range<Int>,
        _ encoding: ParquetEncoding,
        count: Int,
        leaf: ParquetLeaf
    ) throws -> ParquetPageValues {
        // These may be long and stay where they are.
        if encoding == .plain, leaf.type == .byteArray {
            return .bytes(try ParquetBytes(plain: content, in: range, count: count))
        }
        return try content.withUnsafeBytes { bytes in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[range]))
            return try decode(&reader, encoding, count: count, leaf: leaf)
        }
    }

    private static func decode(
        _ reader: inout ByteReader,
        _ encoding: ParquetEncoding,
        count: Int,
        leaf: ParquetLeaf
    ) throws -> ParquetPageValues {
        switch (encoding, leaf.type) {
        case (.plain, _): return try plain(&reader, count, leaf)
        case (.runLength, .boolean):
            guard let size: UInt32 = reader.integer(), let bytes = reader.take(Int(size)) else {
                throw ParquetFailure("is cut off in Booleans")
            }
            var values: [Bool] = []
            var runs = try RunLengthReader(0..<bytes.count, width: 1, count: count)
            try runs.next(count, in: bytes) { value, repeats in
                values.append(contentsOf: repeatElement(value & 1 == 1, count: repeats))
            }
            return .booleans(values)
        case (.deltaBinaryPacked, .int32):
            let values = try DeltaEncoding.integers(&reader, count: count)
            return .integers(values.map { integer32($0, leaf) })
        case (.deltaBinaryPacked, .int64): return .integers(try DeltaEncoding.integers(&reader, count: count))
        case (.deltaLengthByteArray, .byteArray):
            return .bytes(try DeltaEncoding.byteArrays(&reader, count: count))
        case (.deltaByteArray, .byteArray), (.deltaByteArray, .fixedLengthByteArray):
            let values = try DeltaEncoding.prefixedByteArrays(&reader, count: count)
            if leaf.type == .fixedLengthByteArray,
                let wrong = values.ranges.first(where: { $0.count != leaf.typeLength })
            {
                throw ParquetFailure("has a value of \(wrong.count) bytes", expected: "\(leaf.typeLength)")
            }
            return .bytes(values)
        case (.byteStreamSplit, .int32), (.byteStreamSplit, .float):
            return try split(&reader, count, width: 4, leaf)
        case (.byteStreamSplit, .int64), (.byteStreamSplit, .double):
            return try split(&reader, count, width: 8, leaf)
        case (.byteStreamSplit, .fixedLengthByteArray):
            return try split(&reader, count, width: leaf.typeLength, leaf)
        default:
            throw ParquetFailure(.unsupported, "has values of type \(leaf.type.name) in the encoding \(encoding)")
        }
    }

    private static func plain(_ reader: inout ByteReader, _ count: Int, _ leaf: ParquetLeaf) throws -> ParquetPageValues
    {
        func take(_ width: Int) throws -> UnsafeRawBufferPointer {
            guard let bytes = reader.take(count * width) else {
                throw ParquetFailure("has \(reader.remaining) bytes for \(count) values of \(width)")
            }
            return bytes
        }
        switch leaf.type {
        case .boolean:
            guard let bytes = reader.take((count + 7) >> 3) else { throw ParquetFailure("is cut off in Booleans") }
            return .booleans((0..<count).map { bytes[$0 >> 3] >> UInt8($0 & 7) & 1 == 1 })
        case .int32:
            let bytes = try take(4)
            return .integers(
                (0..<count).map {
                    integer32(
                        Int64(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self))),
                        leaf
                    )
                }
            )
        case .int64:
            let bytes = try take(8)
            return .integers(
                (0..<count).map { Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
            )
        case .float:
            let bytes = try take(4)
            return .doubles(
                (0..<count).map {
                    let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))
                    return Double(Float(bitPattern: bits))
                }
            )
        case .double:
            let bytes = try take(8)
            return .doubles(
                (0..<count).map {
                    let bits = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))
                    return Double(bitPattern: bits)
                }
            )
        case .byteArray:
            preconditionFailure("ParquetPageValues: byte strings are decoded in place")
        case .fixedLengthByteArray:
            let bytes = try take(leaf.typeLength)
            var values = ParquetBytes()
            values.pool = Array(bytes)
            values.ranges = (0..<count).map { $0 * leaf.typeLength..<($0 + 1) * leaf.typeLength }
            return .bytes(values)
        case .int96:
            throw ParquetFailure(.unsupported, "is of type INT96", expected: "timestamps as INT64")
        }
    }

    /// Puts bytes that are stored by their place in the value back together.
    private static func split(
        _ reader: inout ByteReader,
        _ count: Int,
        width: Int,
        _ leaf: ParquetLeaf
    ) throws -> ParquetPageValues {
        guard let bytes = reader.take(count * width) else {
            throw ParquetFailure("has \(reader.remaining) bytes for \(count) values of \(width)")
        }
        var joined = [UInt8](repeating: 0, count: bytes.count)
        for place in 0..<width {
            for index in 0..<count { joined[index * width + place] = bytes[place * count + index] }
        }
        return try joined.withUnsafeBytes {
            var inner = ByteReader($0)
            return try plain(&inner, count, leaf)
        }
    }

    private static func integer32(_ value: Int64, _ leaf: ParquetLeaf) -> Int64 {
        leaf.annotation == .unsigned
            ? Int64(UInt32(truncatingIfNeeded: value)) : Int64(Int32(truncatingIfNeeded: value))
    }

    /// The values at the next places in this dictionary.
    func lookedUp(
        _ reader: inout RunLengthReader,
        count: Int,
        in bytes: UnsafeRawBufferPointer
    ) throws -> ParquetPageValues {
        let size = self.count
        var places: [Int] = []
        places.reserveCapacity(count)
        try reader.next(count, in: bytes) { value, repeats in
            guard value < size else { throw ParquetFailure("asks for entry \(value) of a dictionary of \(size)") }
            // Most come one by one.
            if repeats == 1 {
                places.append(Int(value))
            } else {
                places.append(contentsOf: repeatElement(Int(value), count: repeats))
            }
        }
        return picked(places)
    }

    private func picked(_ places: [Int]) -> ParquetPageValues {
        switch self {
        case .booleans(let values): return .booleans(places.map { values[$0] })
        case .integers(let values): return .integers(places.map { values[$0] })
        case .doubles(let values): return .doubles(places.map { values[$0] })
        case .bytes(var values):
            // The pool is shared with the dictionary, so that a long entry is not repeated.
            let ranges = values.ranges
            values.ranges = places.map { ranges[$0] }
            return .bytes(values)
        }
    }
}
