/// The printable characters that byte-level tokens are written with, one for each byte.
///
/// Bytes that print in Latin-1 stand for themselves; the other 68 are written as U+0100, U+0101, … in increasing order.
/// A token is text in this alphabet in files, and bytes everywhere else.
enum ByteAlphabet {
    /// The character of each byte.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            switch byte {
            case 33...126, 161...172, 174...255: return Unicode.Scalar(UInt8(byte))
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? "\u{FFFD}"
            }
        }
    }()

    /// The byte of each character by code point, −1 for characters outside the alphabet.
    private static let bytesByCode: [Int16] = {
        var table = [Int16](repeating: -1, count: 256 + 68)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = Int16(byte) }
        return table
    }()

    /// The byte that a character stands for.
    static func byte(of code: UInt32) -> UInt8? {
        guard code < bytesByCode.count else { return nil }
        return UInt8(exactly: bytesByCode[Int(code)])
    }

    /// The bytes that a token stands for; text with any character outside the alphabet stands for its own UTF-8.
    ///
    /// - Parameter token: Valid UTF-8.
    /// - Returns: The bytes.
    static func bytes(of token: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(token.count)
        var position = 0
        while position < token.count {
            let lead = token[position]
            let code: UInt32
            if lead < 0x80 {
                code = UInt32(lead)
                position += 1
            } else if lead >= 0xC2, lead < 0xE0, position + 1 < token.count {
                code = UInt32(lead & 0x1F) << 6 | UInt32(token[position + 1] & 0x3F)
                position += 2
            } else {
                return Array(token)
            }
            guard let byte = byte(of: code) else { return Array(token) }
            result.append(byte)
        }
        return result
    }

    /// Bytes as token text in UTF-8.
    static func text(of bytes: some Sequence<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        for byte in bytes {
            let code = scalars[Int(byte)].value
            if code < 0x80 {
                result.append(UInt8(code))
            } else {
                // All codes are below 324, so two bytes suffice.
                result.append(0xC0 | UInt8(code >> 6))
                result.append(0x80 | UInt8(code & 0x3F))
            }
        }
        return result
    }
}
