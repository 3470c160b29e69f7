/// A counter-based random generator: every value is a function of (key, stream, index), so any part of a sequence can
/// be drawn alone, in any order, on any number of workers.
///
/// > Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", Philox4x32 with 10 rounds.
public struct Philox: Sendable, Hashable {
    // Inlined into other modules, because a call for every block would cost more than the block.
    @usableFromInline let key: SIMD2<UInt32>
    @usableFromInline let stream: UInt64

    /// Creates a generator.
    ///
    /// - Parameters:
    ///   - seed: The key of the generator.
    ///   - stream: An independent sequence under the same seed.
    public init(seed: UInt64, stream: UInt64 = 0) {
        key = [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)]
        self.stream = stream
    }

    /// Four random words at a place of the sequence.
    ///
    /// - Parameter block: The place, counted in blocks of four words.
    /// - Returns: Four words, uniform over all values.
    @inlinable
    public func words(atBlock block: UInt64) -> SIMD4<UInt32> {
        // Scalars stay in registers; lanes of a vector would be moved out and in again every round.
        var x = UInt32(truncatingIfNeeded: block)
        var y = UInt32(truncatingIfNeeded: block >> 32)
        var z = UInt32(truncatingIfNeeded: stream)
        var w = UInt32(truncatingIfNeeded: stream >> 32)
        var (firstKey, secondKey) = (key.x, key.y)
        for _ in 0..<10 {
            let first = UInt64(x) &* 0xD251_1F53
            let second = UInt64(z) &* 0xCD9E_8D57
            x = UInt32(truncatingIfNeeded: second >> 32) ^ y ^ firstKey
            y = UInt32(truncatingIfNeeded: second)
            z = UInt32(truncatingIfNeeded: first >> 32) ^ w ^ secondKey
            w = UInt32(truncatingIfNeeded: first)
            firstKey &+= 0x9E37_79B9
            secondKey &+= 0xBB67_AE85
        }
        return SIMD4(x, y, z, w)
    }

    /// A number in the open interval (0, 1).
    ///
    /// - Parameter index: The place in the sequence, counted in numbers.
    /// - Returns: An odd multiple of 2⁻²⁴ so that neither end occurs.
    public func uniform(at index: UInt64) -> Float {
        Self.uniform(words(atBlock: index / 4)[Int(index % 4)])
    }

    /// Consecutive numbers in the open interval (0, 1), from the start of the sequence.
    public func uniforms(count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            for block in 0..<((count + 3) / 4) {
                let words = words(atBlock: UInt64(block))
                for lane in 0..<Swift.min(4, count - block * 4) {
                    buffer[block * 4 + lane] = Self.uniform(words[lane])
                }
            }
            initializedCount = count
        }
    }

    // 23 bits: with half a step added, every value is exact and below 1 in Float.
    private static func uniform(_ word: UInt32) -> Float {
        (Float(word >> 9) + 0.5) * 0x1p-23
    }
}
