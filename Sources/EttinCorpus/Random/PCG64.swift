/// NumPy's 128-bit permuted congruential generators, bit for bit.
///
/// > Source: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms"; NumPy's `PCG64` and
/// > `PCG64DXSM`, which differ in the output function and, after seeding, in the multiplier.
package struct PCG64: Sendable, Hashable {
    /// The output functions.
    package enum Variant: Sendable, Hashable {
        /// Of `numpy.random.default_rng`: the xor of the halves, rotated; taken after the step.
        case rotated
        /// Of `numpy.random.PCG64DXSM`: double xorshift multiply; taken before the step.
        case dxsm
    }

    private static let seedingMultiplier: UInt128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645
    private static let dxsmMultiplier: UInt64 = 0xDA94_2042_E4DD_58B5

    private let variant: Variant
    private let multiplier: UInt128
    private let increment: UInt128
    private var state: UInt128

    /// Seeds a generator as NumPy does.
    ///
    /// - Parameters:
    ///   - seed: The hashed seed.
    ///   - variant: The output function.
    package init(seed: SeedSequence, variant: Variant = .rotated) {
        let words = seed.state(count: 4).map { UInt128($0) }
        self.variant = variant
        increment = (words[2] << 64 | words[3]) << 1 | 1
        // Also the DXSM generator is seeded with the step of the older one.
        state = (increment &+ (words[0] << 64 | words[1])) &* Self.seedingMultiplier &+ increment
        multiplier = variant == .rotated ? Self.seedingMultiplier : UInt128(Self.dxsmMultiplier)
    }

    /// The next 64 random bits.
    @inline(__always)
    package mutating func next() -> UInt64 {
        switch variant {
        case .rotated:
            state = state &* multiplier &+ increment
            let high = UInt64(truncatingIfNeeded: state >> 64)
            let folded = high ^ UInt64(truncatingIfNeeded: state)
            let rotation = high >> 58
            return folded >> rotation | folded << ((64 &- rotation) & 63)
        case .dxsm:
            var high = UInt64(truncatingIfNeeded: state >> 64)
            let low = UInt64(truncatingIfNeeded: state) | 1
            state = state &* multiplier &+ increment
            high ^= high >> 32
            high &*= Self.dxsmMultiplier
            high ^= high >> 48
            return high &* low
        }
    }
}
