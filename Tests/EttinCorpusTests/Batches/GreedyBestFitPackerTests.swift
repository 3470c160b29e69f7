import EttinCorpus
import Testing

@Suite("The originals' packer")
struct GreedyBestFitPackerTests {
    private static let lengths = [5, 8, 3, 7, 2, 8, 4, 6, 1, 8, 3, 5, 7, 2, 6, 4, 8, 1, 5, 3, 6, 2, 7, 4]

    /// Sequences 1, 2, …; token k of sequence i is 100·i + k.
    private func packer(_ lengths: [Int] = lengths, capacity: Int? = 12) throws -> GreedyBestFitPacker {
        let sequences = lengths.enumerated().map { index, length in
            (0..<length).map { Int32(100 * (index + 1) + $0) }
        }
        var position = 0
        return try GreedyBestFitPacker(deviceBatch: 4, microbatch: 2, maxTokens: 8, capacity: capacity, padding: 0) {
            guard position < sequences.count else { return nil }
            defer { position += 4 }
            return Array(sequences[position..<min(position + 4, sequences.count)])
        }
    }

    /// The numbers of the sequences of a row, in the order of their first tokens.
    private func sequences(_ row: [Int32]) -> [Int] {
        row.filter { $0 > 0 && $0 % 100 == 0 }.map { Int($0) / 100 }
    }

    @Test("Rows, segments and leftovers are the originals'")
    func golden() throws {
        let expected: [(sequences: [[Int]], cuSeqlens: [[Int32]], longest: [Int])] = [
            ([[1, 2, 3], [4, 5, 7, 9, 14]], [[0, 5, 13, 16], [0, 7, 9, 13, 14, 16]], [8, 7]),
            ([[20, 19, 18, 16, 11], [17, 15, 22]], [[0, 3, 8, 9, 13, 16], [0, 8, 14, 16]], [5, 8]),
            ([[24, 23, 12], [21, 6]], [[0, 4, 11, 16], [0, 6, 14, 16]], [7, 8]),
            ([[13, 10], [8]], [[0, 7, 15, 16], [0, 6, 16]], [8, 10]),
        ]
        var packer = try packer()
        for batch in expected {
            let rows = try #require(try packer.next())
            #expect(rows.inputIDs.map(sequences) == batch.sequences)
            #expect(rows.cuSeqlens == batch.cuSeqlens)
            #expect(rows.maxSeqlens == batch.longest)
            #expect(rows.inputIDs.allSatisfy { $0.count == packer.rowTokens })
        }
        #expect(try packer.next() == nil)
    }

    @Test("Masks are the originals', bit for bit")
    func masking() throws {
        var packer = try packer()
        var masking = PackedRowMasking(
            probability: 0.3,
            seed: 21,
            epoch: 0,
            specials: SpecialTokens(padding: 0, mask: 9999)
        )
        let rows = masking.masked(try #require(try packer.next()))
        #expect(
            rows.inputIDs == [
                [100, 101, 102, 9999, 104, 200, 201, 9999, 203, 204, 9999, 206, 207, 9999, 301, 302],
                [9999, 9999, 402, 403, 404, 405, 406, 9999, 4037, 700, 701, 702, 703, 9999, 1400, 9999],
            ]
        )
        let labels = rows.labels.map { row in
            row.enumerated().filter { $0.element != -100 }.map { [$0.offset, Int($0.element)] }
        }
        #expect(labels[0] == [[3, 103], [7, 202], [10, 205], [13, 300]])
        #expect(labels[1] == [[0, 400], [1, 401], [7, 500], [8, 501], [13, 900], [15, 1401]])
    }

    @Test("Padding is overwritten but never labelled: an upstream quirk that is kept")
    func paddingQuirk() throws {
        var packer = try packer([8, 5, 8, 5])
        let specials = SpecialTokens(padding: 0, mask: 9999)
        var masking = PackedRowMasking(probability: 1, seed: 1, epoch: 0, specials: specials)
        let packed = try #require(try packer.next())
        let rows = masking.masked(packed)
        for (row, ids) in packed.inputIDs.enumerated() {
            #expect(zip(ids, rows.labels[row]).allSatisfy { $0 == 0 ? $1 == -100 : $1 == $0 })
            #expect(zip(ids, rows.inputIDs[row]).contains { $0 == 0 && $1 == 9999 })
        }
    }

    @Test("A batch-size warm-up asks for fewer rows")
    func fewerRows() throws {
        var packer = try packer()
        #expect(try packer.next(rows: 1)?.inputIDs.map(sequences) == [[1, 2, 3]])
    }

    @Test("Sizes that do not divide, small buffers and long sequences are refused")
    func refused() throws {
        func make(_ batch: Int, _ microbatch: Int, _ capacity: Int?) throws {
            _ = try GreedyBestFitPacker(deviceBatch: batch, microbatch: microbatch, maxTokens: 8, capacity: capacity) {
                nil
            }
        }
        #expect(throws: CorpusError.self) { try make(4, 3, nil) }
        #expect(throws: CorpusError.self) { try make(4, 0, nil) }
        #expect(throws: CorpusError.self) { try make(4, 2, 4) }
        var packer = try packer([17])
        #expect(throws: CorpusError.self) { try packer.next() }
    }
}
