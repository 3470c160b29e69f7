import EttinCorpus
import Testing

@Suite("Batch-size warm-up")
struct BatchSizeWarmupTests {
    @Test("Thresholds and sizes are the originals'")
    func golden() throws {
        let small = try BatchSizeWarmup(smallest: 2, largest: 5, tokens: 100)
        #expect(small.thresholds == [23, 56, 100])
        #expect([0, 22, 23, 55, 56, 99, 100, 1000].map(small.size) == [2, 2, 3, 3, 4, 4, 5, 5])
        let large = try BatchSizeWarmup(smallest: 1, largest: 8, tokens: 125_000_000_000, worldSize: 4)
        #expect(
            large.thresholds == [
                1_116_071_429, 3_348_214_286, 6_696_428_572, 11_160_714_286, 16_741_071_429, 23_437_500_000,
                31_250_000_000,
            ]
        )
    }

    @Test("Without a length, or with one size, the size is constant")
    func constant() throws {
        #expect(try BatchSizeWarmup(smallest: 1, largest: 8, tokens: 0).size(afterTokens: 0) == 8)
        #expect(try BatchSizeWarmup(smallest: 8, largest: 8, tokens: 100).size(afterTokens: 50) == 8)
    }

    @Test("Impossible sizes are refused")
    func refused() {
        #expect(throws: CorpusError.self) { try BatchSizeWarmup(smallest: 0, largest: 8, tokens: 1) }
        #expect(throws: CorpusError.self) { try BatchSizeWarmup(smallest: 9, largest: 8, tokens: 1) }
        #expect(throws: CorpusError.self) { try BatchSizeWarmup(smallest: 1, largest: 8, tokens: -1) }
    }
}
