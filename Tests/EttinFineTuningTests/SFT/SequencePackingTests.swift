import Testing

@testable import EttinFineTuning

@Suite("Packing of examples into rows")
struct SequencePackingTests {
    /// The rows as the example and the first token of each part, with its length.
    private func rows(_ packing: SequencePacking, _ lengths: [Int], _ maxLength: Int) -> [[[Int]]] {
        let starts = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        return packing.rows(lengths: lengths, maxLength: maxLength).map { row in
            row.map { part in
                let example = starts.lastIndex { $0 <= part.lowerBound && part.lowerBound < (starts.last ?? 0) } ?? 0
                return [example, part.lowerBound - starts[example], part.count]
            }
        }
    }

    private static let lengths = [5, 9, 3, 7, 2, 10, 4, 12, 1, 6]

    @Test("Best fit decreasing cuts what is too long, and fills the fullest bin")
    func bestFit() {
        #expect(
            rows(.bestFit, Self.lengths, 10) == [
                [[5, 0, 10]], [[7, 0, 10]], [[1, 0, 9], [8, 0, 1]], [[3, 0, 7], [2, 0, 3]], [[9, 0, 6], [6, 0, 4]],
                [[0, 0, 5], [4, 0, 2]],
            ]
        )
        #expect(rows(.bestFit, [4, 4, 4, 6, 6, 2], 10).map { $0.map { $0[0] } } == [[3, 0], [4, 1], [2, 5]])
    }

    @Test("Pieces of long examples are packed too")
    func split() {
        let rows = rows(.bestFitSplit, Self.lengths, 10)
        #expect(rows.last == [[0, 0, 5], [4, 0, 2], [7, 10, 2]])
        #expect(rows.count == 6)
    }

    @Test("Wrapping cuts wherever a row is full")
    func wrapped() {
        let rows = SequencePacking.wrapped.rows(lengths: Self.lengths, maxLength: 10)
        #expect(rows == [[0..<10], [10..<20], [20..<30], [30..<40], [40..<50], [50..<59]])
    }

    @Test("Examples of other groups of a thousand are not packed together", arguments: SequencePacking.allCases)
    func groups(packing: SequencePacking) {
        let lengths = Array(repeating: 3, count: 1001)
        let rows = packing.rows(lengths: lengths, maxLength: 1000)
        #expect(rows.last == [3000..<3003])
        #expect(rows.joined().reduce(0) { $0 + $1.count } == 3003)
        #expect(rows.allSatisfy { $0.reduce(0) { $0 + $1.count } <= 1000 })
    }

    @Test("Examples without tokens make no parts")
    func empty() {
        #expect(rows(.bestFit, [0, 2, 0], 4) == [[[1, 0, 2]]])
        #expect(SequencePacking.wrapped.rows(lengths: [0, 0], maxLength: 4).isEmpty)
        #expect(SequencePacking.bestFit.rows(lengths: [], maxLength: 4).isEmpty)
    }

    @Test("Labels of the data's own are kept beside flags")
    func tokens() {
        var tokens = SFTTokens()
        tokens.append(SFTExample(ids: [1, 2]))
        tokens.append(SFTExample(ids: [3, 4], labels: [-100, 4]))
        #expect(tokens.labels(in: 0..<4) == [1, 2, -100, 4])
        tokens.append(SFTExample(ids: [5, 6], labels: [9, -100], hasOwnLabels: true))
        #expect(tokens.labels(in: 0..<6) == [1, 2, -100, 4, 9, -100])
        #expect((0..<6).map(tokens.isLabelled) == [true, true, false, true, true, false])
        #expect(tokens.lengths == [2, 2, 2])
    }
}
