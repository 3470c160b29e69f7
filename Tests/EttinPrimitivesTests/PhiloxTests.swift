import Testing

@testable import EttinPrimitives

@Suite struct PhiloxTests {
    /// The known answers published with the generator (Random123, `kat_vectors`), for 10 rounds.
    @Test func zeroKeyAndCounterGiveThePublishedWords() {
        #expect(Philox(seed: 0).words(atBlock: 0) == [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])
    }

    @Test func allOnesGiveThePublishedWords() {
        let generator = Philox(seed: .max, stream: .max)
        #expect(generator.words(atBlock: .max) == [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
    }

    @Test func anyPartEqualsTheWholeAndStaysInsideTheInterval() {
        let generator = Philox(seed: 42, stream: 7)
        let all = generator.uniforms(count: 1003)
        for index in [0, 1, 5, 1002] { #expect(all[index] == generator.uniform(at: UInt64(index))) }
        #expect(all.allSatisfy { $0 > 0 && $0 < 1 })
        #expect(abs(all.reduce(0, +) / 1003 - 0.5) < 0.03)
    }
}
