import EttinFiles

/// Integers of any width from 0 to 64 bits, packed one behind the other.
enum PackedIntegers {
    /// The integer at a bit position, the lowest bits first; the caller has checked that it lies inside.
    @inline(__always)
    static func integer(_ bytes: UnsafeRawBufferPointer, at bit: Int, width: Int) -> UInt64 {
        if width == 0 { return 0 }
        let byte = bit >> 3
        let shift = bit & 7
        var word: UInt64 = 0
        if byte + 8 <= bytes.count {
            word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: byte, as: UInt64.self))
        } else {
            for index in byte..<bytes.count { word |= UInt64(bytes[index]) << UInt64(8 * (index - byte)) }
        }
        word >>= UInt64(shift)
        if shift + width > 64 { word |= UInt64(bytes[byte + 8]) << UInt64(64 - shift) }
        return width == 64 ? word : word & (1 << UInt64(width) - 1)
    }

    /// The bytes that integers take.
    static func byteCount(_ count: Int, width: Int) -> Int { (count * width + 7) >> 3 }
}

/// Reads the encoding that mixes runs of one value with packed integers, some at a time.
///
/// A run promises any number of values in a few bytes, so they are never all in memory.
struct RunLengthReader {
    private let width: Int
    private let count: Int
    /// The values that were not read yet.
    private(set) var left: Int
    /// Where the next run begins, and where the last one ends.
    private var position: Int
    private let end: Int
    /// The values of the current run that were not read yet.
    private var runLeft = 0
    /// What the current run repeats; nil for packed integers.
    private var repeated: UInt32?
    private var packedBit = 0

    /// Prepares reading `count` integers of `width` bits from a part of a buffer.
    init(_ range: Range<Int>, width: Int, count: Int) throws {
        guard width <= 32 else { throw ParquetFailure("packs integers of \(width) bits", expected: "32 or fewer") }
        self.width = width
        self.count = count
        left = count
        (position, end) = (range.lowerBound, range.upperBound)
    }

    /// Reads the next integers and passes each on, with how often it repeats.
    mutating func next(
        _ wanted: Int,
        in buffer: UnsafeRawBufferPointer,
        _ body: (_ value: UInt32, _ repeats: Int) throws -> Void
    ) throws {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<end])
        var wanted = min(wanted, left)
        while wanted > 0 {
            if runLeft == 0 { try beginRun(bytes) }
            let taken = min(wanted, runLeft)
            if let repeated {
                try body(repeated, taken)
            } else {
                for index in 0..<taken {
                    let value = PackedIntegers.integer(bytes, at: packedBit + index * width, width: width)
                    try body(UInt32(truncatingIfNeeded: value), 1)
                }
                packedBit += taken * width
            }
            runLeft -= taken
            left -= taken
            wanted -= taken
        }
    }

    private mutating func beginRun(_ bytes: UnsafeRawBufferPointer) throws {
        var reader = ByteReader(bytes, at: position)
        guard let header = try reader.varint() else {
            throw ParquetFailure("has \(count - left) of \(count) levels or indices")
        }
        guard let length = Int(exactly: header >> 1), length > 0, length <= Int(Int32.max) else {
            throw ParquetFailure("has a run of \(header >> 1) values")
        }
        if header & 1 == 0 {
            guard let bytes = reader.take((width + 7) >> 3) else { throw ParquetFailure("is cut off in a run") }
            var value: UInt32 = 0
            for (index, byte) in bytes.enumerated() { value |= UInt32(byte) << UInt32(8 * index) }
            repeated = value
            runLeft = min(left, length)
        } else {
            let used = min(left, length * 8)
            packedBit = reader.position * 8
            // Some writers leave out the end of the last group.
            guard let bytes = reader.take(min(length * width, reader.remaining)),
                bytes.count >= PackedIntegers.byteCount(used, width: width)
            else { throw ParquetFailure("is cut off in packed integers") }
            repeated = nil
            runLeft = used
        }
        position = reader.position
    }
}

/// The encodings of differences.
enum DeltaEncoding {
    /// Reads integers; there must be `expected` of them, if that is known.
    static func integers(_ reader: inout ByteReader, count expected: Int) throws -> [Int64] {
        func varint() throws -> UInt64 {
            guard let value = try reader.varint() else { throw ParquetFailure("is cut off in differences") }
            return value
        }
        let blockSize = try varint()
        let miniblockCount = try varint()
        let total = try varint()
        var value = zigzag(try varint())
        guard
            blockSize > 0, blockSize <= 1 << 20, blockSize % 128 == 0, miniblockCount > 0, miniblockCount <= blockSize,
            blockSize % miniblockCount == 0, (blockSize / miniblockCount) % 32 == 0
        else { throw ParquetFailure("has differences in blocks of \(blockSize) in \(miniblockCount) parts") }
        guard total == UInt64(expected) else {
            throw ParquetFailure("has a page of \(total) differences", expected: "\(expected)")
        }
        // Blocks of differences that are all the same take next to nothing; writers make blocks of 128 to 2048.
        let limit = 1 << 20 + 256 * reader.remaining
        guard expected <= limit else {
            throw ParquetFailure(
                .unsupported,
                "has a page of \(expected) differences in \(reader.remaining) bytes",
                expected: "\(limit) or fewer"
            )
        }
        var values: [Int64] = []
        guard expected > 0 else { return values }
        values.append(value)
        let size = Int(blockSize / miniblockCount)
        while values.count < expected {
            let smallest = zigzag(try varint())
            guard let widths = reader.take(Int(miniblockCount)) else {
                throw ParquetFailure("is cut off in differences")
            }
            for width in widths where values.count < expected {
                guard width <= 64 else {
                    throw ParquetFailure("packs integers of \(width) bits", expected: "at most 64")
                }
                let width = Int(width)
                let used = min(size, expected - values.count)
                guard let bytes = reader.take(min(size * width / 8, reader.remaining)),
                    bytes.count >= PackedIntegers.byteCount(used, width: width)
                else { throw ParquetFailure("is cut off in differences") }
                for index in 0..<used {
                    let packed = PackedIntegers.integer(bytes, at: index * width, width: width)
                    // Differences wrap around, by the format's definition.
                    value = value &+ smallest &+ Int64(bitPattern: packed)
                    values.append(value)
                }
            }
        }
        return values
    }

    /// Reads texts whose lengths stand in front of all of them.
    static func byteArrays(_ reader: inout ByteReader, count: Int) throws -> ParquetBytes {
        let lengths = try integers(&reader, count: count)
        var result = ParquetBytes(capacity: reader.remaining)
        for length in lengths {
            guard let value = reader.take(Int(length)) else {
                throw ParquetFailure("has a value of \(length) bytes where \(reader.remaining) are left")
            }
            try result.append(value)
        }
        return result
    }

    /// Reads texts that each begin with a part of the text before.
    static func prefixedByteArrays(_ reader: inout ByteReader, count: Int) throws -> ParquetBytes {
        let prefixes = try integers(&reader, count: count)
        let suffixes = try byteArrays(&reader, count: count)
        var result = ParquetBytes(capacity: suffixes.pool.count)
        for (prefix, suffix) in zip(prefixes, suffixes.ranges) {
            let previous = result.ranges.last ?? 0..<0
            guard prefix >= 0, prefix <= previous.count else {
                throw ParquetFailure("shares \(prefix) bytes with a value of \(previous.count)")
            }
            try result.append(
                previous.lowerBound..<previous.lowerBound + Int(prefix),
                then: suffixes.pool[suffix]
            )
        }
        return result
    }
}

/// Byte strings in one buffer.
struct ParquetBytes {
    /// The most bytes that the values of a page may have; prefixes that repeat could ask for any number.
    private let limit: Int

    var pool: [UInt8] = []
    var ranges: [Range<Int>] = []

    init(capacity: Int = 0) {
        limit = min(1 << 30, max(Compression.alwaysAllowedBytes, capacity * Compression.largestExpansion))
        pool.reserveCapacity(capacity)
    }

    /// Finds values in a part of a pool where the length of each stands in front of it.
    init(plain pool: [UInt8], in range: Range<Int>, count: Int) throws {
        self.init()
        self.pool = pool
        ranges.reserveCapacity(min(count, range.count / 4))
        try pool.withUnsafeBytes { bytes in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<range.upperBound]), at: range.lowerBound)
            for _ in 0..<count {
                guard let length: UInt32 = reader.integer(), reader.take(Int(length)) != nil else {
                    throw ParquetFailure("has \(ranges.count) of \(count) values")
                }
                ranges.append(reader.position - Int(length)..<reader.position)
            }
        }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        try append(0..<0, then: bytes)
    }

    /// Appends a value that begins with bytes which are already there.
    mutating func append(_ prefix: Range<Int>, then bytes: some Collection<UInt8>) throws {
        let start = pool.count
        guard start + prefix.count + bytes.count <= limit else {
            throw ParquetFailure(.unsupported, "has a page of more than \(limit) bytes", expected: "smaller pages")
        }
        if !prefix.isEmpty { pool.append(contentsOf: Array(pool[prefix])) }
        pool.append(contentsOf: bytes)
        ranges.append(start..<pool.count)
    }
}
