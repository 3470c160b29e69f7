import EttinCorpus
import EttinPrimitives
import Testing

@Suite("Objectives")
struct ObjectiveTests {
    private static let specials = SpecialTokens()

    /// Samples of ordinary tokens between start and end.
    private static func samples(_ count: Int, tokens: Int, pass: Int = 0) -> [TokenSample] {
        (0..<count).map { index in
            let ids = (0..<tokens).map { Int32(100 + (index * 7919 + $0 * 31) % 40_000) }
            return TokenSample(
                reference: SampleReference(index: index, pass: pass),
                ids: [specials.start] + ids + [specials.end]
            )
        }
    }

    private static func masked(_ samples: [TokenSample], probability: Double = 0.3, seed: UInt64 = 17) throws
        -> TrainingBatch
    {
        try MaskedObjective(probability: probability, seed: seed).batch(samples)
    }

    /// How far a count is from its expectation, in standard deviations.
    private func deviation(_ count: Int, of total: Int, _ probability: Double) -> Double {
        let expected = Double(total) * probability
        return abs(Double(count) - expected) / (expected * (1 - probability)).squareRoot()
    }

    @Test("The chosen share and its 80/10/10 split are as trained", arguments: [0.15, 0.3])
    func shares(probability: Double) throws {
        let samples = Self.samples(400, tokens: 500)
        let batch = try Self.masked(samples, probability: probability)
        let original = PackedBatch(samples.map(\.ids)).inputIDs
        let inputs = batch.packed.inputIDs
        let chosen = inputs.indices.filter { batch.labels[$0] != TrainingBatch.ignoredLabel }
        #expect(deviation(chosen.count, of: 200_000, probability) < 5)
        #expect(chosen.allSatisfy { batch.labels[$0] == original[$0] })
        let masked = chosen.count { inputs[$0] == Self.specials.mask }
        let kept = chosen.count { inputs[$0] == original[$0] }
        #expect(deviation(masked, of: chosen.count, 0.8) < 5)
        #expect(deviation(kept, of: chosen.count, 0.1) < 5)
        #expect(deviation(chosen.count - masked - kept, of: chosen.count, 0.1) < 5)
        #expect(batch.labelledCount == chosen.count)
        let unchanged = inputs.indices.allSatisfy { batch.labels[$0] != -100 || inputs[$0] == original[$0] }
        #expect(unchanged)
    }

    @Test("Random tokens are spread over the whole vocabulary, places over the whole sequence")
    func spread() throws {
        let samples = Self.samples(1000, tokens: 500)
        let batch = try Self.masked(samples)
        let original = PackedBatch(samples.map(\.ids)).inputIDs
        var ids = [Int](repeating: 0, count: 64)
        var places = [Int](repeating: 0, count: 500)
        for (place, label) in batch.labels.enumerated() where label != TrainingBatch.ignoredLabel {
            places[place % 502 - 1] += 1
            let input = batch.packed.inputIDs[place]
            if input != original[place], input != Self.specials.mask { ids[Int(input) / 787] += 1 }
        }
        #expect(abs(chiSquareDeviation(ids)) < 5)
        // Each place is chosen or not, which varies less than a Poisson count.
        #expect(chiSquareDeviation(places) < 5)
    }

    @Test("Special tokens are never chosen, whatever the probability")
    func specialTokens() throws {
        let ids: [Int32] = [50280, 50281, 50282, 50283, 50284]
        let sample = TokenSample(reference: SampleReference(index: 0, pass: 0), ids: ids + [7] + ids)
        let batch = try Self.masked([sample], probability: 1)
        #expect(batch.labels == [Int32](repeating: -100, count: 5) + [7] + [Int32](repeating: -100, count: 5))
        #expect(Array(batch.packed.inputIDs.prefix(5)) == ids)
    }

    @Test("A mask does not depend on the other samples, but on sample, pass and seed")
    func purity() throws {
        let samples = Self.samples(20, tokens: 60)
        let together = try Self.masked(samples)
        let reversed = try Self.masked(samples.reversed())
        for (index, sample) in samples.enumerated() {
            let alone = try Self.masked([sample])
            #expect(Array(together.packed.inputIDs[together.packed.range(of: index)]) == alone.packed.inputIDs)
            #expect(Array(together.labels[together.packed.range(of: index)]) == alone.labels)
            let range = reversed.packed.range(of: 19 - index)
            #expect(Array(reversed.labels[range]) == alone.labels)
        }
        let otherPass = try Self.masked(Self.samples(20, tokens: 60, pass: 1))
        let otherSeed = try Self.masked(samples, seed: 18)
        #expect(otherPass.labels != together.labels && otherSeed.labels != together.labels)
        let moved = TokenSample(reference: SampleReference(index: 1, pass: 0), ids: samples[0].ids)
        #expect(try Self.masked([moved]).labels != Self.masked([samples[0]]).labels)
    }

    @Test("A longer sample keeps the masks of its start")
    func prefixes() throws {
        let long = Self.samples(1, tokens: 300)[0]
        let short = TokenSample(reference: long.reference, ids: Array(long.ids.prefix(100)))
        #expect(try Self.masked([short]).labels == Array(Self.masked([long]).labels.prefix(100)))
    }

    @Test("Masks are the same in every release")
    func recorded() throws {
        let sample = TokenSample(
            reference: SampleReference(index: 123_456_789_012, pass: 2),
            ids: [50281] + (1...20).map { 1000 + $0 } + [50282]
        )
        let batch = try Self.masked([sample], probability: 0.5, seed: 21)
        #expect(
            batch.packed.inputIDs == [
                50281, 1001, 1002, 50284, 1004, 50284, 1006, 1007, 1008, 1009, 1010, 1011, 50284, 50284, 1014, 50284,
                1016, 1017, 1018, 50284, 1020, 50282,
            ]
        )
        let chosen = batch.labels.enumerated().filter { $0.element != TrainingBatch.ignoredLabel }
        #expect(chosen.map(\.offset) == [3, 5, 6, 7, 12, 13, 15, 19, 20])
        #expect(chosen.map(\.element) == [1003, 1005, 1006, 1007, 1012, 1013, 1015, 1019, 1020])
    }

    @Test("Probabilities 0 and 1 choose nothing and everything")
    func extremes() throws {
        let samples = Self.samples(3, tokens: 50)
        #expect(try Self.masked(samples, probability: 0).labelledCount == 0)
        #expect(try Self.masked(samples, probability: 1).labelledCount == 150)
        #expect(try Self.masked([]).packed.tokenCount == 0)
        for bad in [-0.1, 1.1, .nan] {
            #expect(throws: CorpusError.self) { try MaskedObjective(probability: bad, seed: 1) }
        }
        #expect(throws: CorpusError.self) { try MaskedObjective(probability: 0.1, seed: 1, vocabularySize: 0) }
    }

    @Test("Causal labels are the next tokens and never cross a boundary")
    func causal() {
        let samples = [[1, 2, 3], [4], [], [5, 6]].enumerated().map { index, ids in
            TokenSample(reference: SampleReference(index: index, pass: 0), ids: ids.map { Int32($0) })
        }
        let batch = CausalObjective().batch(samples)
        #expect(batch.packed.inputIDs == [1, 2, 3, 4, 5, 6])
        #expect(batch.labels == [2, 3, -100, -100, 6, -100])
        #expect(CausalObjective().batch([]).labels.isEmpty)
    }

    @Test("Samples get a start token, an end token for encoders, and no more than the longest length")
    func preparation() throws {
        let encoder = SamplePreparation(maxTokens: 4, appendsEnd: true)
        let decoder = SamplePreparation(maxTokens: 4, appendsEnd: false)
        let cases: [(ids: [Int32], encoder: [Int32], decoder: [Int32])] = [
            ([1, 2], [50281, 1, 2, 50282], [50281, 1, 2]),
            ([50281, 1, 50282], [50281, 1, 50282], [50281, 1, 50282]),
            ([50281, 1, 2, 3, 50282], [50281, 1, 2, 50282], [50281, 1, 2, 3]),
            ([50281, 1, 2, 50282], [50281, 1, 2, 50282], [50281, 1, 2, 50282]),
            ([1, 2, 3, 4, 5], [50281, 1, 2, 50282], [50281, 1, 2, 3]),
            ([], [50281, 50282], [50281]),
        ]
        for (ids, expectedEncoder, expectedDecoder) in cases {
            #expect(try encoder.prepared(ids, sample: 0) == expectedEncoder)
            #expect(try decoder.prepared(ids, sample: 0) == expectedDecoder)
        }
        let error = #expect(throws: CorpusError.self) { try encoder.prepared([1, 50283], sample: 7) }
        #expect(error?.description.hasPrefix("sample 7: holds the padding token 50283") == true)
    }
}
