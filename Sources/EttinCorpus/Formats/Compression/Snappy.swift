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
            let output = UnsafeMutableRawBufferPointer(buffer)
            failure = decompress(bytes, into: UnsafeMutableRawBufferPointer(rebasing: output[..<byteCount]))
            count = failure == nil ? byteCount : 0
        }
        if let failure { throw Compression.malformed(file, .snappy, failure, byteCount: byteCount) }
        return result
    }

    /// Fills the whole output, or says why not.
    static func decompress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> String? {
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
        guard let source = input.baseAddress, let target = output.baseAddress else {
            return position == input.count ? nil : "it has \(input.count) bytes for none"
        }
        var filled = 0
        while position < input.count {
            let tag = Int(source.load(fromByteOffset: position, as: UInt8.self))
            position += 1
            let kind = tag & 3
            // What stands behind the tag: the rest of a literal's length, or the distance of a copy.
            let numberBytes = kind == 0 ? max(0, (tag >> 2) - 59) : kind == 3 ? 4 : kind
            guard numberBytes <= input.count - position else {
                return kind == 0 ? "a literal is cut off" : "a copy reaches outside"
            }
            var number = 0
            for index in 0..<numberBytes {
                number |= Int(source.load(fromByteOffset: position + index, as: UInt8.self)) << (8 * index)
            }
            position += numberBytes
            if kind == 0 {
                let count = numberBytes == 0 ? (tag >> 2) + 1 : number + 1
                guard count <= input.count - position, count <= output.count - filled else {
                    return "a literal of \(count) bytes does not fit"
                }
                if count <= 16, min(input.count - position, output.count - filled) >= 16 {
                    // Mostly a few bytes: always 16, of which the next piece overwrites those that are too many.
                    move16(target + filled, source + position)
                } else {
                    (target + filled).copyMemory(from: source + position, byteCount: count)
                }
                position += count
                filled += count
                continue
            }
            let count = kind == 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
            let distance = kind == 1 ? number | (tag >> 5) << 8 : number
            guard distance > 0, distance <= filled, count <= output.count - filled else {
                return "a copy reaches outside"
            }
            let end = target + filled
            if distance >= 16, output.count - filled >= 64 {
                // A copy has at most 64 bytes; those that are too many are overwritten as above.
                for offset in stride(from: 0, to: count, by: 16) { move16(end + offset, end + offset - distance) }
            } else {
                // Byte by byte, because a copy may reach into itself and then repeats what it has written.
                for offset in 0..<count {
                    let byte = end.load(fromByteOffset: offset - distance, as: UInt8.self)
                    end.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                }
            }
            filled += count
        }
        return filled == output.count ? nil : "it ends after \(filled) bytes"
    }

    @inline(__always)
    private static func move16(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer) {
        target.storeBytes(of: source.loadUnaligned(as: SIMD16<UInt8>.self), as: SIMD16<UInt8>.self)
    }
}
