/// Snappy's raw format: the length as a variable-length integer, then literals and copies of earlier bytes.
///
/// > Source: google/snappy, `format_description.txt`.
enum Snappy {
    /// Matches are looked for within blocks of this size, so that every distance fits 16 bits.
    private static let blockSize = 1 << 16

    static func compress(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count / 2 + 16)
        var length = bytes.count
        while length >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: length) | 0x80)
            length >>= 7
        }
        output.append(UInt8(length))
        var table = [Int](repeating: -1, count: 1 << 14)
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + blockSize)
            compressBlock(bytes, start..<end, &table, &output)
            start = end
        }
        return output
    }

    private static func compressBlock(
        _ bytes: UnsafeRawBufferPointer,
        _ range: Range<Int>,
        _ table: inout [Int],
        _ output: inout [UInt8]
    ) {
        var literalStart = range.lowerBound
        var position = range.lowerBound
        while position + 4 <= range.upperBound {
            let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)
            let slot = Int((word &* 0x9E37_79B1) >> 18)
            let candidate = table[slot]
            table[slot] = position
            let isMatch =
                candidate >= range.lowerBound
                && bytes.loadUnaligned(fromByteOffset: candidate, as: UInt32.self) == word
            guard isMatch else {
                // Data that does not repeat is passed over in growing steps.
                position += 1 + (position - literalStart) >> 5
                continue
            }
            var length = 4
            while position + length < range.upperBound, bytes[candidate + length] == bytes[position + length] {
                length += 1
            }
            appendLiteral(UnsafeRawBufferPointer(rebasing: bytes[literalStart..<position]), &output)
            appendCopy(distance: position - candidate, length: length, &output)
            position += length
            literalStart = position
        }
        appendLiteral(UnsafeRawBufferPointer(rebasing: bytes[literalStart..<range.upperBound]), &output)
    }

    private static func appendLiteral(_ literal: UnsafeRawBufferPointer, _ output: inout [UInt8]) {
        guard !literal.isEmpty else { return }
        let last = literal.count - 1
        switch last {
        case ..<60: output.append(UInt8(last) << 2)
        case ..<256: output += [60 << 2, UInt8(last)]
        default: output += [61 << 2, UInt8(truncatingIfNeeded: last), UInt8(last >> 8)]
        }
        output.append(contentsOf: literal)
    }

    private static func appendCopy(distance: Int, length: Int, _ output: inout [UInt8]) {
        var rest = length
        while rest > 0 {
            let count = min(64, rest)
            output += [UInt8(count - 1) << 2 | 2, UInt8(truncatingIfNeeded: distance), UInt8(distance >> 8)]
            rest -= count
        }
    }

    static func decompress(_ bytes: UnsafeRawBufferPointer, byteCount: Int, file: String) throws -> [UInt8] {
        var failure: String?
        let result = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            failure = decompress(bytes, into: buffer)
            count = failure == nil ? byteCount : 0
        }
        if let failure { throw Compression.malformed(file, .snappy, failure, byteCount: byteCount) }
        return result
    }

    /// Fills the whole output, or says why not.
    private static func decompress(
        _ input: UnsafeRawBufferPointer,
        into output: UnsafeMutableBufferPointer<UInt8>
    ) -> String? {
        var position = 0
        var length = 0
        var shift = 0
        repeat {
            guard position < input.count, shift < 35 else { return "the length is cut off" }
            length |= Int(input[position] & 0x7F) << shift
            shift += 7
            position += 1
        } while input[position - 1] & 0x80 != 0
        guard length == output.count else { return "it holds \(length) bytes" }
        var filled = 0
        func number(_ byteCount: Int) -> Int? {
            guard byteCount <= input.count - position else { return nil }
            var value = 0
            for index in 0..<byteCount { value |= Int(input[position + index]) << (8 * index) }
            position += byteCount
            return value
        }
        while position < input.count {
            let tag = Int(input[position])
            position += 1
            if tag & 3 == 0 {
                var count = tag >> 2 + 1
                if tag >> 2 >= 60 {
                    guard let stored = number(tag >> 2 - 59) else { return "a literal is cut off" }
                    count = stored + 1
                }
                guard count <= input.count - position, count <= output.count - filled else {
                    return "a literal of \(count) bytes does not fit"
                }
                for index in 0..<count { output[filled + index] = input[position + index] }
                position += count
                filled += count
                continue
            }
            var count = tag >> 2 + 1
            var distance: Int?
            switch tag & 3 {
            case 1:
                count = (tag >> 2) & 7 + 4
                distance = number(1).map { $0 | (tag >> 5) << 8 }
            case 2: distance = number(2)
            default: distance = number(4)
            }
            guard let distance, distance > 0, distance <= filled, count <= output.count - filled else {
                return "a copy reaches outside"
            }
            for index in 0..<count { output[filled + index] = output[filled + index - distance] }
            filled += count
        }
        return filled == output.count ? nil : "it ends after \(filled) bytes"
    }
}
