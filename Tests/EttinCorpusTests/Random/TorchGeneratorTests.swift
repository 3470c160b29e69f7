import EttinCorpus
import Testing

/// Expected values are those of PyTorch 2.13.
@Suite struct TorchGeneratorTests {
    private static let small: [(seed: UInt64, order: [Int])] = [
        (42, [2, 6, 1, 8, 4, 5, 0, 9, 3, 7]), (43, [8, 4, 9, 0, 5, 1, 6, 7, 2, 3]),
        (12, [3, 5, 8, 1, 0, 6, 9, 2, 7, 4]),
    ]

    @Test func smallPermutations() {
        for (seed, order) in Self.small {
            var generator = TorchGenerator(seed: seed)
            #expect(generator.permutation(10) == order)
            generator.reseed(seed)
            #expect(generator.permutation(10, as: Int32.self).map(Int.init) == order)
        }
    }

    private static let large: [(count: Int, seed: UInt64, hash: UInt64, first: [Int32])] = [
        (30_001, 3, 0xAAB9_3634_C65F_E217, [20134, 11049, 23124, 24188]),
        (100_000, 7, 0x064B_3001_6B0C_111C, [41615, 23657, 92717, 16389]),
        (65_537, 123_456_789_012, 0x198A_4504_F471_6C11, [25195, 7291, 46094, 30504]),
    ]

    @Test func largePermutations() {
        for (count, seed, hash, first) in Self.large {
            var generator = TorchGenerator(seed: seed)
            let order = generator.permutation(count, as: Int32.self)
            #expect(Array(order.prefix(4)) == first)
            #expect(order.withUnsafeBytes { XXHash.hash64($0) } == hash)
        }
    }

    @Test func permutationsOfFewNumbersDrawNothing() {
        var generator = TorchGenerator(seed: 1)
        #expect(generator.permutation(0) == [])
        #expect(generator.permutation(1) == [0])
        #expect(generator == TorchGenerator(seed: 1))
    }
}
