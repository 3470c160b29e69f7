/// xxHash with 32 and 64 bits, seed 0.
///
/// > Source: xxHash, `doc/xxhash_spec.md`.
enum XXHash {
    static let prime32: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
        0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1
    )
    static let prime64: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
        0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
        0x27D4_EB2F_1656_67C5
    )

    @inline(__always)
    private static func rotated(_ word: UInt32, by count: UInt32) -> UInt32 { word << count | word >> (32 &- count) }

    @inline(__always)
    private static func rotated(_ word: UInt64, by count: UInt64) -> UInt64 { word << count | word >> (64 &- count) }

    static func hash32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let (p1, p2, p3, p4, p5) = prime32
        var position = 0
        func word() -> UInt32 {
            defer { position += 4 }
            return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
        }
        var sum = p5
        if bytes.count >= 16 {
            var (a, b, c, d) = (p1 &+ p2, p2, UInt32(0), 0 &- p1)
            while position + 16 <= bytes.count {
                a = rotated(a &+ word() &* p2, by: 13) &* p1
                b = rotated(b &+ word() &* p2, by: 13) &* p1
                c = rotated(c &+ word() &* p2, by: 13) &* p1
                d = rotated(d &+ word() &* p2, by: 13) &* p1
            }
            sum = rotated(a, by: 1) &+ rotated(b, by: 7) &+ rotated(c, by: 12) &+ rotated(d, by: 18)
        }
        sum &+= UInt32(truncatingIfNeeded: bytes.count)
        while position + 4 <= bytes.count { sum = rotated(sum &+ word() &* p3, by: 17) &* p4 }
        while position < bytes.count {
            sum = rotated(sum &+ UInt32(bytes[position]) &* p5, by: 11) &* p1
            position += 1
        }
        sum = (sum ^ sum >> 15) &* p2
        sum = (sum ^ sum >> 13) &* p3
        return sum ^ sum >> 16
    }

    static func hash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let (p1, p2, p3, p4, p5) = prime64
        var position = 0
        func word() -> UInt64 {
            defer { position += 8 }
            return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
        }
        func round(_ sum: UInt64, _ input: UInt64) -> UInt64 { rotated(sum &+ input &* p2, by: 31) &* p1 }
        func merged(_ sum: UInt64, _ lane: UInt64) -> UInt64 { (sum ^ round(0, lane)) &* p1 &+ p4 }
        var sum = p5
        if bytes.count >= 32 {
            var (a, b, c, d) = (p1 &+ p2, p2, UInt64(0), 0 &- p1)
            while position + 32 <= bytes.count {
                a = round(a, word())
                b = round(b, word())
                c = round(c, word())
                d = round(d, word())
            }
            sum = rotated(a, by: 1) &+ rotated(b, by: 7) &+ rotated(c, by: 12) &+ rotated(d, by: 18)
            sum = merged(merged(merged(merged(sum, a), b), c), d)
        }
        sum &+= UInt64(bytes.count)
        while position + 8 <= bytes.count { sum = rotated(sum ^ round(0, word()), by: 27) &* p1 &+ p4 }
        if position + 4 <= bytes.count {
            let half = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
            sum = rotated(sum ^ UInt64(half) &* p1, by: 23) &* p2 &+ p3
            position += 4
        }
        while position < bytes.count {
            sum = rotated(sum ^ UInt64(bytes[position]) &* p5, by: 11) &* p1
            position += 1
        }
        return avalanche(sum)
    }

    /// The last mixing of the 64-bit hash, which XXH3 uses for short inputs.
    static func avalanche(_ value: UInt64) -> UInt64 {
        var value = (value ^ value >> 33) &* prime64.1
        value = (value ^ value >> 29) &* prime64.2
        return value ^ value >> 32
    }
}
