/// XXH3 with 64 bits, seed 0.
///
/// > Source: xxHash, `doc/xxhash_spec.md`.
enum XXH3 {
    private static let secret: [UInt8] = [
        0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
        0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
        0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
        0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
        0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
        0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
        0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
        0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
        0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
        0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
        0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
        0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
    ]
    private static let stripeBytes = 64
    /// Each stripe moves on by this much of the secret.
    private static let secretStep = 8
    private static let stripesPerBlock = (192 - stripeBytes) / secretStep

    static func hash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        secret.withUnsafeBytes { secret in
            switch bytes.count {
            case 0: XXHash.avalanche(word(secret, 56) ^ word(secret, 64))
            case 1...3: upTo3(bytes, secret)
            case 4...8: upTo8(bytes, secret)
            case 9...16: upTo16(bytes, secret)
            case 17...128: upTo128(bytes, secret)
            case 129...240: upTo240(bytes, secret)
            default: long(bytes, secret)
            }
        }
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    private static func half(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The two halves of the 128-bit product, folded.
    @inline(__always)
    private static func folded(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.low ^ product.high
    }

    private static func avalanche(_ value: UInt64) -> UInt64 {
        let value = (value ^ value >> 37) &* 0x1656_6791_9E37_79F9
        return value ^ value >> 32
    }

    private static func upTo3(_ bytes: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> UInt64 {
        let count = bytes.count
        let outer = UInt32(bytes[0]) << 16 | UInt32(bytes[count - 1])
        let combined = outer | UInt32(bytes[count >> 1]) << 24 | UInt32(count) << 8
        return XXHash.avalanche(UInt64(combined) ^ UInt64(half(secret, 0) ^ half(secret, 4)))
    }

    private static func upTo8(_ bytes: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> UInt64 {
        let combined = UInt64(half(bytes, bytes.count - 4)) &+ UInt64(half(bytes, 0)) << 32
        var value = combined ^ (word(secret, 8) ^ word(secret, 16))
        value ^= (value << 49 | value >> 15) ^ (value << 24 | value >> 40)
        value &*= 0x9FB2_1C65_1E98_DF25
        value ^= value >> 35 &+ UInt64(bytes.count)
        value &*= 0x9FB2_1C65_1E98_DF25
        return value ^ value >> 28
    }

    private static func upTo16(_ bytes: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> UInt64 {
        let low = word(bytes, 0) ^ (word(secret, 24) ^ word(secret, 32))
        let high = word(bytes, bytes.count - 8) ^ (word(secret, 40) ^ word(secret, 48))
        return avalanche(UInt64(bytes.count) &+ low.byteSwapped &+ high &+ folded(low, high))
    }

    @inline(__always)
    private static func mixed16(
        _ bytes: UnsafeRawBufferPointer,
        _ offset: Int,
        _ secret: UnsafeRawBufferPointer,
        _ secretOffset: Int
    ) -> UInt64 {
        folded(
            word(bytes, offset) ^ word(secret, secretOffset),
            word(bytes, offset + 8) ^ word(secret, secretOffset + 8)
        )
    }

    private static func upTo128(_ bytes: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> UInt64 {
        let count = bytes.count
        var sum = UInt64(count) &* XXHash.prime64.0
        for index in 0...(count - 1) / 32 {
            sum &+= mixed16(bytes, 16 * index, secret, 32 * index)
            sum &+= mixed16(bytes, count - 16 * (index + 1), secret, 32 * index + 16)
        }
        return avalanche(sum)
    }

    private static func upTo240(_ bytes: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> UInt64 {
        let count = bytes.count
        var sum = UInt64(count) &* XXHash.prime64.0
        for index in 0..<8 { sum &+= mixed16(bytes, 16 * index, secret, 16 * index) }
        sum = avalanche(sum)
        for index in 8..<count / 16 { sum &+= mixed16(bytes, 16 * index, secret, 16 * (index - 8) + 3) }
        return avalanche(sum &+ mixed16(bytes, count - 16, secret, 136 - 17))
    }

    private static func long(_ bytes: UnsafeRawBufferPointer, _ secret: UnsafeRawBufferPointer) -> UInt64 {
        let prime32 = XXHash.prime32
        let prime64 = XXHash.prime64
        var lanes: [UInt64] = [
            UInt64(prime32.2), prime64.0, prime64.1, prime64.2, prime64.3, UInt64(prime32.1), prime64.4,
            UInt64(prime32.0),
        ]
        let stripeCount = (bytes.count - 1) / stripeBytes
        lanes.withUnsafeMutableBufferPointer { lanes in
            for stripe in 0..<stripeCount {
                let place = stripe % stripesPerBlock
                accumulate(bytes, stripe * stripeBytes, secret, place * secretStep, lanes)
                if place == stripesPerBlock - 1 { scramble(secret, lanes) }
            }
            accumulate(bytes, bytes.count - stripeBytes, secret, secret.count - stripeBytes - 7, lanes)
        }
        var sum = UInt64(bytes.count) &* prime64.0
        for pair in 0..<4 {
            sum &+= folded(
                lanes[2 * pair] ^ word(secret, 11 + 16 * pair),
                lanes[2 * pair + 1] ^ word(secret, 19 + 16 * pair)
            )
        }
        return avalanche(sum)
    }

    @inline(__always)
    private static func accumulate(
        _ bytes: UnsafeRawBufferPointer,
        _ offset: Int,
        _ secret: UnsafeRawBufferPointer,
        _ secretOffset: Int,
        _ lanes: UnsafeMutableBufferPointer<UInt64>
    ) {
        for lane in 0..<8 {
            let value = word(bytes, offset + 8 * lane)
            let key = value ^ word(secret, secretOffset + 8 * lane)
            lanes[lane ^ 1] &+= value
            lanes[lane] &+= (key & 0xFFFF_FFFF) &* (key >> 32)
        }
    }

    private static func scramble(_ secret: UnsafeRawBufferPointer, _ lanes: UnsafeMutableBufferPointer<UInt64>) {
        for lane in 0..<8 {
            let value = lanes[lane]
            let key = word(secret, secret.count - stripeBytes + 8 * lane)
            lanes[lane] = (value ^ value >> 47 ^ key) &* UInt64(XXHash.prime32.0)
        }
    }
}
