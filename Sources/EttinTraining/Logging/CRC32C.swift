/// CRC-32C (Castagnoli), the check of records in event files.
///
/// > Source: RFC 3720, appendix B.4, for the polynomial and test values; TensorFlow's record format for the mask.
enum CRC32C {
    private static let table = (0..<256).map { byte -> UInt32 in
        (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
    }

    /// The check of some bytes.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { sum, byte in sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] }
    }

    /// The check as records hold it, rotated and shifted so that the check of a text with checks in it stays telling.
    static func masked(_ bytes: [UInt8]) -> UInt32 {
        let sum = checksum(bytes)
        return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
    }
}
