import Testing

@testable import EttinTokenizer

@Suite("Merging byte pairs")
struct BytePairMergerTests {
    /// The lowest rank first, leftmost first, by definition.
    private func merged(_ word: [Int32], _ table: MergeTable) -> [Int32] {
        var symbols = word
        while true {
            let values = zip(symbols, symbols.dropFirst()).map { table.value($0, $1) }
            guard let best = values.min(), best != MergeTable.none, let place = values.firstIndex(of: best) else {
                return symbols
            }
            symbols[place] = Int32(truncatingIfNeeded: best)
            symbols.remove(at: place + 1)
        }
    }

    private func table(_ symbols: Int32, _ rules: Int, _ random: inout some RandomNumberGenerator) -> MergeTable {
        var merges: [Merge] = []
        var pairs: Set<[Int32]> = []
        while merges.count < rules {
            let newest = symbols + Int32(merges.count)
            let pair = [Int32.random(in: 0..<newest, using: &random), Int32.random(in: 0..<newest, using: &random)]
            if pairs.insert(pair).inserted { merges.append(Merge(left: pair[0], right: pair[1], merged: newest)) }
        }
        return MergeTable(merges)
    }

    @Test(
        "Words of any length become the same tokens, however many merges are looked for at once",
        arguments: [1, 7, 1 << 16]
    )
    func agreement(leastHeap: Int) {
        var random = SystemRandomNumberGenerator()
        var merger = BytePairMerger()
        merger.leastHeap = leastHeap
        for symbols in [1, 2, 5] as [Int32] {
            for _ in 0..<8 {
                let table = table(symbols, 12, &random)
                for count in [97, 98, 150, 601] {
                    let word = (0..<count).map { _ in Int32.random(in: 0..<symbols, using: &random) }
                    merger.symbols.removeAll()
                    merger.lengths.removeAll()
                    for symbol in word {
                        merger.symbols.append(symbol)
                        merger.lengths.append(1)
                    }
                    merger.merge(table, tracksLengths: true)
                    #expect(Array(merger.symbols.buffer) == merged(word, table))
                    #expect(merger.lengths.buffer.reduce(0, +) == Int32(count))
                }
            }
        }
    }
}
