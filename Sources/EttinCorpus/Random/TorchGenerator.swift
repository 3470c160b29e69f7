/// `torch.Generator` on the CPU after `manual_seed`, bit for bit, for the orders that are drawn from it.
///
/// > Source: PyTorch, `CPUGeneratorImpl` and `randperm`.
package struct TorchGenerator: Sendable, Hashable {
    private var twister: MersenneTwister

    /// From so many numbers on, 32 bits would draw some more often than others; libtorch then shuffles from the front.
    private static let smallCount = Int(UInt32.max / 20)

    /// Seeds a generator.
    ///
    /// - Parameter seed: What `manual_seed` is given; its low 32 bits count.
    package init(seed: UInt64) {
        twister = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
    }

    /// Seeds the generator again.
    ///
    /// - Parameter seed: What `manual_seed` is given.
    package mutating func reseed(_ seed: UInt64) { self = TorchGenerator(seed: seed) }

    /// `randperm(count)`: the numbers from 0 in random order.
    ///
    /// - Parameters:
    ///   - count: How many numbers.
    ///   - type: The type of the numbers; a narrow one that holds them saves memory and changes no number.
    /// - Returns: The permutation.
    package mutating func permutation<Value: FixedWidthInteger>(
        _ count: Int,
        as type: Value.Type = Int.self
    ) -> [Value] {
        [Value](unsafeUninitializedCapacity: count) { values, filled in
            filled = count
            guard count < Self.smallCount else {
                for index in 0..<count {
                    let other = Int(next64() % UInt64(index + 1))
                    values[index] = Value(index)
                    values.swapAt(index, other)
                }
                return
            }
            for index in 0..<count { values[index] = Value(index) }
            for index in 0..<max(0, count - 1) {
                values.swapAt(index, index + Int(twister.next32()) % (count - index))
            }
        }
    }

    private mutating func next64() -> UInt64 {
        let high = UInt64(twister.next32())
        return high << 32 | UInt64(twister.next32())
    }
}
