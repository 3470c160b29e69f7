/// xxHash with 32 and 64 bits, seed 0.
///
/// > Source: xxHash, `doc/xxhash_spec.md`.
package enum XXHash {
    static let prime32: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
        0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1
    )
    static let prime64: (UInt64, UInt64, UInt64, UInt64, UInt64) = (
        0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63,
        0x27D4_EB2F_1656_67C5
    )

    @inline(__always)
    private static func rotated(_ word: UInt32, by count: UInt32) -> UInt32 { word << count | word >> (32 &- count) }

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

    /// The 64-bit hash of bytes.
    package static func hash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = XXHash64State()
        state.update(bytes)
        return state.value
    }

    /// The last mixing of the 64-bit hash, which XXH3 uses for short inputs.
    static func avalanche(_ value: UInt64) -> UInt64 {
        var value = (value ^ value >> 33) &* prime64.1
        value = (value ^ value >> 29) &* prime64.2
        return value ^ value >> 32
    }
}

/// The 64-bit hash of bytes that arrive piece by piece.
struct XXHash64State {
    private var lanes: (UInt64, UInt64, UInt64, UInt64) = (
        XXHash.prime64.0 &+ XXHash.prime64.1, XXHash.prime64.1, 0, 0 &- XXHash.prime64.0
    )
    /// Less than one stripe of 32 bytes.
    private var tail: [UInt8] = []
    private var count = 0

    @inline(__always)
    private static func rotated(_ word: UInt64, by count: UInt64) -> UInt64 { word << count | word >> (64 &- count) }

    @inline(__always)
    private static func round(_ sum: UInt64, _ input: UInt64) -> UInt64 {
        rotated(sum &+ input &* XXHash.prime64.1, by: 31) &* XXHash.prime64.0
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        count += bytes.count
        var rest = bytes
        if !tail.isEmpty {
            let missing = min(32 - tail.count, rest.count)
            tail += rest.prefix(missing)
            rest = UnsafeRawBufferPointer(rebasing: rest[missing...])
            guard tail.count == 32 else { return }
            tail.withUnsafeBytes { addStripes($0) }
            tail.removeAll(keepingCapacity: true)
        }
        addStripes(rest)
        tail += rest.suffix(rest.count % 32)
    }

    private mutating func addStripes(_ bytes: UnsafeRawBufferPointer) {
        var (a, b, c, d) = lanes
        var position = 0
        while position + 32 <= bytes.count {
            a = Self.round(a, Self.word(bytes, position))
            b = Self.round(b, Self.word(bytes, position + 8))
            c = Self.round(c, Self.word(bytes, position + 16))
            d = Self.round(d, Self.word(bytes, position + 24))
            position += 32
        }
        lanes = (a, b, c, d)
    }

    /// The hash of all bytes so far.
    var value: UInt64 {
        let (p1, p2, p3, p4, p5) = XXHash.prime64
        func merged(_ sum: UInt64, _ lane: UInt64) -> UInt64 { (sum ^ Self.round(0, lane)) &* p1 &+ p4 }
        var sum = p5
        if count >= 32 {
            let (a, b, c, d) = lanes
            sum = Self.rotated(a, by: 1) &+ Self.rotated(b, by: 7) &+ Self.rotated(c, by: 12)
            sum = merged(merged(merged(merged(sum &+ Self.rotated(d, by: 18), a), b), c), d)
        }
        sum &+= UInt64(count)
        return tail.withUnsafeBytes { tail in
            var position = 0
            while position + 8 <= tail.count {
                sum = Self.rotated(sum ^ Self.round(0, Self.word(tail, position)), by: 27) &* p1 &+ p4
                position += 8
            }
            if position + 4 <= tail.count {
                let half = UInt32(littleEndian: tail.loadUnaligned(fromByteOffset: position, as: UInt32.self))
                sum = Self.rotated(sum ^ UInt64(half) &* p1, by: 23) &* p2 &+ p3
                position += 4
            }
            while position < tail.count {
                sum = Self.rotated(sum ^ UInt64(tail[position]) &* p5, by: 11) &* p1
                position += 1
            }
            return XXHash.avalanche(sum)
        }
    }
}
