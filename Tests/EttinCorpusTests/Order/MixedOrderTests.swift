import EttinCorpus
import Testing

@Suite("Mixtures")
struct MixedOrderTests {
    private static func sources(_ drawn: [Int], count: Int = 1 << 40) throws -> [MixtureSource] {
        try drawn.map { try MixtureSource(count: count, drawn: $0) }
    }

    @Test(
        "At every place each source has given its share to within a few samples",
        arguments: [
            [1], [5, 5], [1, 1000], [500, 300, 200], [7, 7, 7, 7, 7], [0, 3, 0, 2],
            [491, 209, 155, 47, 34, 16, 11, 10, 7, 7, 4, 4, 3],
        ]
    )
    func proportions(drawn: [Int]) throws {
        let order = MixedOrder(try Self.sources(drawn), seed: 1)
        let total = drawn.reduce(0, +)
        var taken = [Int](repeating: 0, count: drawn.count)
        for (position, source) in order.drawnSources(at: 0..<total).enumerated() {
            taken[source] += 1
            for (source, quota) in drawn.enumerated() {
                let share = Double(quota) / Double(total)
                let deviation = abs(Double(taken[source]) - share * Double(position + 1))
                #expect(deviation <= 0.5 + share * Double(drawn.count) / 2 + 1e-9)
            }
        }
        #expect(taken == drawn)
    }

    @Test("Any position is reached without those before it")
    func randomAccess() throws {
        let order = MixedOrder(try Self.sources([300, 210, 80, 7, 3, 0, 210]), seed: 2)
        let sequence = order.sequence(epoch: 1)
        let all = sequence.samples(at: 0..<order.count)
        for position in 0..<order.count { #expect(sequence.sample(at: position) == all[position]) }
        #expect(sequence.samples(at: 5..<5).isEmpty)
    }

    @Test("Billions of samples: far positions have the right shares")
    func largeMixture() throws {
        let order = MixedOrder(try Self.sources([1_200_000_000, 600_000_000, 200_000_000]), seed: 3)
        var counts = [0, 0, 0]
        for source in order.drawnSources(at: 1_999_990_000..<2_000_000_000) { counts[source] += 1 }
        #expect(counts == [6000, 3000, 1000])
    }

    @Test("A source is exhausted before it repeats, within an epoch and over epochs")
    func passes() throws {
        let sources = [try MixtureSource(count: 10, drawn: 25), try MixtureSource(count: 100, drawn: 30)]
        let order = MixedOrder(sources, seed: 4)
        let samples = (0..<4).flatMap { order.sequence(epoch: $0).samples(at: 0..<order.count) }
        let first = samples.filter { $0.index < 10 }
        for pass in 0..<10 {
            let start = pass * 10
            #expect(Set(first[start..<start + 10].map(\.index)) == Set(0..<10))
            #expect(first[start..<start + 10].allSatisfy { $0.pass == pass })
        }
        let second = samples.filter { $0.index >= 10 }
        #expect(Set(second.prefix(100).map(\.index)) == Set(10..<110))
        #expect(second.count == 120 && second.last?.pass == 1)
        #expect(first[0..<10].map(\.index) != first[10..<20].map(\.index))
    }

    @Test("Weights become whole samples that sum to the epoch")
    func weights() throws {
        let sources = try MixtureSource.weighted(counts: [10, 10, 10], weights: [1, 1, 1], total: 100)
        #expect(sources.map(\.drawn) == [34, 33, 33])
        let unequal = try MixtureSource.weighted(counts: [10, 10], weights: [0.7, 0.3], total: 10)
        #expect(unequal.map(\.drawn) == [7, 3])
    }

    @Test("Impossible sources and weights are refused")
    func refused() {
        #expect(throws: CorpusError.self) { try MixtureSource(count: 0, drawn: 1) }
        #expect(throws: CorpusError.self) { try MixtureSource(count: 1, drawn: -1) }
        for weights in [[1.0], [0, 0], [1, -1], [1, .nan], [.infinity, 1]] {
            #expect(throws: CorpusError.self) {
                try MixtureSource.weighted(counts: [5, 5], weights: weights, total: 10)
            }
        }
    }
}
