import EttinCorpus
import Testing

@Suite("Elastic partition")
struct ElasticPartitionTests {
    private func shape(_ nodes: Int, _ ranks: Int, _ workers: Int, _ batch: Int) -> ElasticPartition.Shape {
        ElasticPartition.Shape(physicalNodes: nodes, ranksPerNode: ranks, workersPerRank: workers, batchSize: batch)
    }

    private func worker(_ partition: ElasticPartition, rank: Int, worker: Int) -> [[Int?]] {
        (0..<partition.batchesPerWorker).map { batch in
            (0..<partition.shape.batchSize).map {
                partition.position(node: 0, rank: rank, worker: worker, batch: batch, slot: $0)
            }
        }
    }

    @Test("Ranks and workers get the library's positions")
    func golden() throws {
        let whole = try ElasticPartition(samples: 22, canonicalNodes: 2, shape: shape(1, 2, 1, 3))
        #expect(worker(whole, rank: 0, worker: 0) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, nil]])
        #expect(worker(whole, rank: 1, worker: 0) == [[11, 12, 13], [14, 15, 16], [17, 18, 19], [20, 21, nil]])
        let rest = try ElasticPartition(samples: 22, canonicalNodes: 2, shape: shape(1, 2, 2, 3), seen: 6)
        #expect(worker(rest, rank: 0, worker: 0) == [[3, 4, 5], [9, 10, nil]])
        #expect(worker(rest, rank: 0, worker: 1) == [[6, 7, 8], [nil, nil, nil]])
        #expect((0..<4).map { rest.positions(batch: $0, node: 0, rank: 0) } == [[3, 4, 5], [6, 7, 8], [9, 10], []])
    }

    @Test("A run goes on with other machines where it stopped")
    func resume() throws {
        let samples = 1920
        func global(_ partition: ElasticPartition, _ batches: Range<Int>) -> [[Int]] {
            let (nodes, ranks) = (0..<partition.shape.physicalNodes, 0..<partition.shape.ranksPerNode)
            return batches.map { batch in
                nodes.flatMap { node in ranks.flatMap { partition.positions(batch: batch, node: node, rank: $0) } }
                    .sorted()
            }
        }
        let alone = try ElasticPartition(samples: samples, canonicalNodes: 8, shape: shape(1, 1, 1, 48))
        let expected = global(alone, 0..<40)
        for (nodes, ranks) in [(1, 2), (1, 3), (1, 8), (2, 1), (4, 2), (8, 1), (16, 1), (8, 3)] {
            let partition = try ElasticPartition(
                samples: samples,
                canonicalNodes: 8,
                shape: shape(nodes, ranks, 2, 48 / nodes / ranks),
                seen: 48 * 7
            )
            #expect(global(partition, 0..<33) == Array(expected[7...]), "\(nodes) nodes with \(ranks) ranks")
        }
        let state = StreamingState(
            epoch: 0,
            sampleInEpoch: 48 * 7,
            canonicalNodes: 8,
            shuffleSeed: 9176,
            initialPhysicalNodes: 1
        )
        let odd = try state.partition(samples: samples, shape: shape(3, 1, 1, 16))
        #expect(global(odd, 0..<33) == Array(expected[7...]))
    }

    @Test("Numbers that do not fit are refused by name")
    func refused() {
        func message(_ nodes: Int, _ canonical: Int, seen: Int = 0, samples: Int = 100) -> String? {
            #expect(throws: CorpusError.self) {
                try ElasticPartition(
                    samples: samples,
                    canonicalNodes: canonical,
                    shape: shape(nodes, 1, 1, 4),
                    seen: seen
                )
            }?.description
        }
        #expect(message(3, 2)?.contains("num_physical_nodes: is 3 with 2 canonical nodes") == true)
        #expect(message(1, 2, seen: 102)?.contains("past the end of an epoch of 100 samples") == true)
        #expect(message(1, 2, seen: -1)?.hasPrefix("sample_in_epoch: is -1; expected at least 0") == true)
        #expect(message(0, 2)?.hasPrefix("num_physical_nodes: is 0; expected at least 1") == true)
        #expect(message(1, 2, samples: 0)?.hasPrefix("the number of samples: is 0") == true)
    }
}
