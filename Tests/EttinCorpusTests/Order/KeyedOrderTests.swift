import EttinCorpus
import Testing

@Suite("Computed order")
struct KeyedOrderTests {
    // Five standard deviations: seeds are fixed, so a good permutation passes always and a bad one fails by far more.
    private let limit = 5.0

    @Test("Every sample occurs once", arguments: [Array(1...300), [4095, 4096, 4097, 65_537], [1_000_000]])
    func bijection(sizes: [Int]) {
        for size in sizes {
            let permutation = KeyedOrder(count: size, seed: 3).permutation(epoch: size % 7)
            var seen = [Bool](repeating: false, count: size)
            for position in 0..<size {
                let index = permutation.index(at: position)
                guard 0..<size ~= index, !seen[index], permutation.position(of: index) == position else {
                    Issue.record("size \(size): position \(position) gives \(index)")
                    return
                }
                seen[index] = true
            }
        }
    }

    @Test("At 10¹² samples, spots are inside, distinct and found again")
    func spots() {
        let size = 1_000_000_000_000
        let permutation = KeyedOrder(count: size, seed: 9).permutation(epoch: 2)
        var seen: Set<Int> = []
        let spots = (0..<100_000).map { $0 * 9_999_991 } + [0, size - 1, size / 2]
        for position in spots {
            let index = permutation.index(at: position)
            #expect(0..<size ~= index && permutation.position(of: index) == position)
            seen.insert(index)
        }
        #expect(seen.count == Set(spots).count)
    }

    @Test("All orders of four samples are equally likely")
    func fourSamples() {
        var counts: [[Int]: Int] = [:]
        for seed in 0..<24_000 {
            let permutation = KeyedOrder(count: 4, seed: UInt64(seed)).permutation(epoch: 0)
            counts[(0..<4).map { permutation.index(at: $0) }, default: 0] += 1
        }
        #expect(counts.count == 24)
        #expect(abs(chiSquareDeviation(Array(counts.values))) < limit)
    }

    @Test("All pairs are equally likely at two positions", arguments: [20, 40, 256])
    func pairs(size: Int) {
        var counts = [Int](repeating: 0, count: size * (size - 1))
        for epoch in 0..<20 * counts.count {
            let permutation = KeyedOrder(count: size, seed: 8).permutation(epoch: epoch)
            let (first, second) = (permutation.index(at: 0), permutation.index(at: 1))
            counts[first * (size - 1) + second - (second > first ? 1 : 0)] += 1
        }
        #expect(abs(chiSquareDeviation(counts)) < limit)
    }

    @Test("Each sample is equally likely at each position", arguments: [2, 3, 10, 16, 17, 100])
    func positions(size: Int) {
        var counts = [Int](repeating: 0, count: size * size)
        let epochs = 40 * size
        for epoch in 0..<epochs {
            let permutation = KeyedOrder(count: size, seed: 11).permutation(epoch: epoch)
            for position in 0..<size { counts[position * size + permutation.index(at: position)] += 1 }
        }
        // Rows and columns sum to fixed numbers, which leaves (size − 1)² degrees of freedom of size² − 1.
        let expected = Double(epochs) / Double(size)
        let statistic = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        let freedom = Double((size - 1) * (size - 1))
        #expect(abs(statistic - freedom) < limit * (2 * freedom).squareRoot() + limit)
    }

    @Test(
        "Neighbours land anywhere, and anywhere from each other",
        arguments: [100_000, 1_000_003, 2_000_000_000, 1_000_000_000_000]
    )
    func spread(size: Int) {
        let permutation = KeyedOrder(count: size, seed: 5).permutation(epoch: 1)
        let bins = 200
        var places = [Int](repeating: 0, count: bins)
        var steps = places
        let indices = (0..<100_000).map { permutation.index(at: $0) }
        for (index, next) in zip(indices, indices.dropFirst()) {
            places[index / (size / bins + 1)] += 1
            steps[(next - index + size) % size / (size / bins + 1)] += 1
        }
        // The places of a whole permutation are spread more evenly than random ones; none may be spread less.
        #expect(chiSquareDeviation(places) < limit)
        #expect(abs(chiSquareDeviation(steps)) < limit)
    }

    @Test("Epochs and seeds give unrelated orders; the same ones give the same")
    func keys() {
        let size = 10_000
        func order(_ seed: UInt64, _ epoch: Int) -> [Int] {
            KeyedOrder(count: size, seed: seed).sequence(epoch: epoch).samples(at: 0..<size).map(\.index)
        }
        let first = order(1, 0)
        #expect(order(1, 0) == first)
        for other in [order(1, 1), order(2, 0), order(0, 1)] {
            // Two random permutations agree in one place on average.
            #expect(zip(first, other).count(where: ==) < 10)
        }
    }

    @Test("The order is the same in every release")
    func recorded() {
        let permutation = KeyedOrder(count: 12, seed: 21).permutation(epoch: 0)
        #expect((0..<12).map { permutation.index(at: $0) } == [10, 9, 0, 3, 8, 1, 5, 7, 2, 6, 11, 4])
        let large = KeyedOrder(count: 2_000_000_000, seed: 21).permutation(epoch: 3)
        #expect((0..<4).map { large.index(at: $0) } == [1_235_489_730, 1_724_503_232, 685_195_200, 361_589_510])
    }

    @Test("Positions may be asked for one by one or together, and the pass is the epoch")
    func access() {
        let sequence = KeyedOrder(count: 1000, seed: 4).sequence(epoch: 6)
        #expect((300..<310).map { sequence.sample(at: $0) } == sequence.samples(at: 300..<310))
        #expect(sequence.samples(at: 300..<310).allSatisfy { $0.pass == 6 })
        #expect(SequentialOrder(count: 5).sequence(epoch: 1).samples(at: 1..<4).map(\.index) == [1, 2, 3])
    }
}
