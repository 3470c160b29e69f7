/// MT19937, the generator below `numpy.random.seed` and Python's `random`.
///
/// > Source: Matsumoto and Nishimura, "Mersenne Twister", with the authors' two ways of seeding.
package struct MersenneTwister: Sendable, Hashable {
    private static let size = 624
    private static let offset = 397

    private var state: [UInt32]
    private var position = size

    /// Seeds with one word (`init_genrand`), as `numpy.random.seed` does.
    ///
    /// - Parameter seed: The seed.
    package init(seed: UInt32) {
        state = [UInt32](repeating: seed, count: Self.size)
        for index in 1..<Self.size {
            let previous = state[index - 1]
            state[index] = 1_812_433_253 &* (previous ^ previous >> 30) &+ UInt32(index)
        }
    }

    /// Seeds with several words (`init_by_array`), as Python does.
    ///
    /// - Parameter key: The words of the seed; at least one.
    package init(key: [UInt32]) {
        precondition(!key.isEmpty, "MersenneTwister: the key has no words")
        self.init(seed: 19_650_218)
        var index = 1
        func advance(_ state: inout [UInt32]) {
            index += 1
            if index == Self.size {
                state[0] = state[Self.size - 1]
                index = 1
            }
        }
        for step in 0..<max(Self.size, key.count) {
            let previous = state[index - 1]
            let keyIndex = step % key.count
            state[index] =
                (state[index] ^ (previous ^ previous >> 30) &* 1_664_525) &+ key[keyIndex] &+ UInt32(keyIndex)
            advance(&state)
        }
        for _ in 1..<Self.size {
            let previous = state[index - 1]
            state[index] = (state[index] ^ (previous ^ previous >> 30) &* 1_566_083_941) &- UInt32(index)
            advance(&state)
        }
        state[0] = 0x8000_0000
    }

    /// The next 32 random bits.
    package mutating func next32() -> UInt32 {
        if position == Self.size { refill() }
        var value = state[position]
        position += 1
        value ^= value >> 11
        value ^= value << 7 & 0x9D2C_5680
        value ^= value << 15 & 0xEFC6_0000
        return value ^ value >> 18
    }

    private mutating func refill() {
        for index in 0..<Self.size {
            let joined = state[index] & 0x8000_0000 | state[(index + 1) % Self.size] & 0x7FFF_FFFF
            let twisted = joined >> 1 ^ (joined & 1 == 0 ? 0 : 0x9908_B0DF)
            state[index] = state[(index + Self.offset) % Self.size] ^ twisted
        }
        position = 0
    }
}
