/// NumPy's way from one integer to the state of a generator: a pool of four words into which all entropy is hashed.
///
/// > Source: `numpy.random.SeedSequence`; the hash is O'Neill's `seed_seq_fe`.
package struct SeedSequence: Sendable, Hashable {
    private var pool: SIMD4<UInt32>

    /// Hashes a seed.
    ///
    /// - Parameter seed: The entropy, as `numpy.random.default_rng` takes it.
    package init(_ seed: UInt64) {
        let high = UInt32(truncatingIfNeeded: seed >> 32)
        self.init(words: [UInt32(truncatingIfNeeded: seed)] + (high == 0 ? [] : [high]))
    }

    /// Hashes an integer of any size.
    ///
    /// - Parameter words: Its 32-bit digits, the lowest first and without zeros above the highest; none for 0.
    package init(words: [UInt32]) {
        var constant: UInt32 = 0x43B0_D7E5
        func hashed(_ word: UInt32) -> UInt32 {
            var value = word ^ constant
            constant &*= 0x931E_8875
            value &*= constant
            return value ^ value >> 16
        }
        func mixed(_ first: UInt32, _ second: UInt32) -> UInt32 {
            let value = 0xCA01_F9DD &* first &- 0x4973_F715 &* second
            return value ^ value >> 16
        }
        pool = .zero
        for index in 0..<4 { pool[index] = hashed(index < words.count ? words[index] : 0) }
        for source in 0..<4 {
            for target in 0..<4 where source != target { pool[target] = mixed(pool[target], hashed(pool[source])) }
        }
        for word in words.dropFirst(4) {
            for target in 0..<4 { pool[target] = mixed(pool[target], hashed(word)) }
        }
    }

    /// Words for the state of a generator.
    ///
    /// - Parameter count: How many 64-bit words.
    /// - Returns: The same words at every call.
    package func state(count: Int) -> [UInt64] {
        var constant: UInt32 = 0x8B51_F9DD
        var position = 0
        func next() -> UInt64 {
            var value = pool[position % 4] ^ constant
            position += 1
            constant &*= 0x58F3_8DED
            value &*= constant
            return UInt64(value ^ value >> 16)
        }
        return (0..<count).map { _ in
            let low = next()
            return next() << 32 | low
        }
    }
}
