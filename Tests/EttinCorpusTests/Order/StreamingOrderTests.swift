import Foundation
import Testing

@testable import EttinCorpus

@Suite("The originals' orders")
struct StreamingOrderTests {
    typealias Algorithm = StreamingOrder.Algorithm

    private static let golden: [(algorithm: Algorithm, epochs: [String])] = [
        (
            .py1s,
            [
                "8 7 9 6 13 16 11 14 17 12 15 4 2 5 0 1 3 18 20 19 21 10",
                "6 9 7 8 15 14 11 13 16 12 17 2 3 0 1 5 4 21 18 19 20 10",
            ]
        ),
        (
            .py1e,
            [
                "8 7 13 6 9 16 11 14 17 12 15 4 2 1 3 0 5 20 19 21 18 10",
                "6 9 8 15 7 14 11 13 16 12 17 4 5 2 3 1 19 0 18 10 21 20",
            ]
        ),
        (
            .py1br,
            [
                "8 6 9 11 13 7 16 17 12 15 14 0 4 20 1 19 2 3 18 5 21 10",
                "11 6 7 12 9 8 15 17 14 13 16 0 1 18 2 4 3 5 21 19 20 10",
            ]
        ),
        (
            .naive,
            [
                "0 2 8 6 5 7 11 10 13 9 18 19 20 1 14 17 21 15 12 3 16 4",
                "9 7 3 2 11 19 16 18 20 4 12 8 10 15 13 1 6 5 14 17 21 0",
            ]
        ),
    ]

    private func words(_ samples: [Int]) -> String { samples.map(String.init).joined(separator: " ") }

    @Test("Each algorithm gives the library's shuffle", arguments: 0..<4)
    func algorithms(row: Int) throws {
        let (algorithm, epochs) = Self.golden[row]
        let shuffle = try StreamingShuffle(algorithm, canonicalNodes: 2, seed: 9176, blockSize: 8)
        for (epoch, expected) in epochs.enumerated() {
            #expect(words(shuffle.order(of: [6, 5, 7, 4], epoch: epoch)) == expected)
        }
    }

    @Test("Every algorithm gives every sample once", arguments: Algorithm.allCases)
    func permutations(algorithm: Algorithm) throws {
        let shuffle = try StreamingShuffle(algorithm, canonicalNodes: 8, seed: 1, blockSize: 50)
        #expect(shuffle.order(of: [100, 0, 1, 333, 57], epoch: 4).sorted() == Array(0..<491))
    }

    @Test("Defaults are the library's")
    func defaults() {
        #expect(StreamingOrder.defaultBlockSize(canonicalNodes: 1) == 4_000_000)
        #expect(StreamingOrder.defaultBlockSize(canonicalNodes: 128) == 1 << 18)
        #expect(StreamingOrder.defaultCanonicalNodes(.py1s, physicalNodes: 2) == 128)
        #expect(StreamingOrder.defaultCanonicalNodes(.py1e, physicalNodes: 2) == 2)
        #expect(StreamingOrder.defaultSeed == 9176)
    }

    @Test("Impossible options are refused by name")
    func refused() {
        func description(
            _ sizes: [Int] = [4],
            _ algorithm: Algorithm = .py1e,
            nodes: Int = 1,
            block: Int = 8,
            seed: UInt64 = 1
        ) -> String? {
            #expect(throws: CorpusError.self) {
                try StreamingOrder(
                    shardSizes: sizes,
                    algorithm: algorithm,
                    canonicalNodes: nodes,
                    seed: seed,
                    blockSize: block
                )
            }?.description
        }
        #expect(description(nodes: 0) == "num_canonical_nodes: is 0; expected at least 1")
        #expect(description(nodes: .max)?.contains("expected at most 1048576") == true)
        #expect(description(nodes: 5)?.contains("only 4 samples") == true)
        #expect(description([4, -1])?.contains("shard 1 has -1 samples") == true)
        #expect(description([]) == "the data set: has no samples; expected at least one")
        #expect(description([.max, .max])?.contains("is more than 4294967296") == true)
        #expect(description(block: 0) == "shuffle_block_size: is 0; expected at least 1")
        #expect(description([4], .py1br, block: 1) == "shuffle_block_size: is 1; expected at least 2")
        #expect(description(block: .max)?.contains("expected at most") == true)
        #expect(description(seed: .max)?.hasPrefix("shuffle_seed: is 18446744073709551615") == true)
    }

    @Test("Ettin's order: PCG64DXSM of seed and epoch, and each rank its stride")
    func ettin() {
        let order = NumPyPermutationOrder(count: 12, seed: 21)
        #expect(order.permutation(epoch: 0).indices == [3, 9, 10, 2, 0, 6, 4, 8, 1, 11, 7, 5])
        #expect(order.permutation(epoch: 1).indices == [10, 6, 5, 11, 7, 8, 4, 0, 2, 1, 9, 3])
        func positions(_ rank: Int, _ remainder: RankPositions.Remainder) -> [Int] {
            let part = RankPositions(of: 10, rank: rank, worldSize: 4, remainder: remainder)
            return (0..<part.count).map { part[$0] }
        }
        #expect((0..<4).map { positions($0, .dropped) } == [[0, 4], [1, 5], [2, 6], [3, 7]])
        #expect((0..<4).map { positions($0, .padded) } == [[0, 4, 8], [1, 5, 9], [2, 6, 0], [3, 7, 1]])
    }

    @Test("The state of a run has the library's keys")
    func state() throws {
        let state = StreamingState(
            epoch: 1,
            sampleInEpoch: 6,
            canonicalNodes: 2,
            shuffleSeed: 9176,
            initialPhysicalNodes: 1
        )
        let data = try JSONEncoder().encode(state)
        let keys = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Int])
        #expect(
            keys == [
                "epoch": 1, "sample_in_epoch": 6, "num_canonical_nodes": 2, "shuffle_seed": 9176,
                "initial_physical_nodes": 1,
            ]
        )
        #expect(try JSONDecoder().decode(StreamingState.self, from: data) == state)
    }
}
