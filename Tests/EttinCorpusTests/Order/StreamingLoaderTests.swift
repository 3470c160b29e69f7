import Testing

@testable import EttinCorpus

/// The expected samples are what StreamingDataLoaders of mosaicml-streaming 0.13 gave out for data sets with these
/// shards, run by Interop/streaming_loader.py: shuffle seed 9176, blocks of 8 samples.
@Suite("The samples of streaming's loader")
struct StreamingLoaderTests {
    private static let shards = [6, 5, 7, 4]
    private static let others = [3, 2, 4]

    private func samples(_ sequence: any SampleSequence) -> String {
        sequence.samples(at: 0..<sequence.count).map { "\($0.index)" }.joined(separator: " ")
    }

    private func check(_ order: StreamingOrder, _ epochs: [String]) {
        for (epoch, expected) in epochs.enumerated() {
            #expect(samples(order.sequence(epoch: epoch)) == expected)
            #expect(order.count == expected.split(separator: " ").count)
        }
    }

    private static let golden: [(StreamingOrder.Algorithm?, [String])] = [
        (
            .naive,
            [
                "0 7 19 21 2 11 20 15 8 10 1 12 6 13 14 3 5 9 17 16 5 18 17 4",
                "9 19 8 6 7 16 10 5 3 18 15 14 2 20 13 17 11 4 1 21 11 12 1 0",
            ]
        ),
        (
            .py1s,
            [
                "12 8 10 5 13 7 18 2 15 6 20 1 14 9 21 0 11 17 19 3 11 16 19 4",
                "11 6 19 2 14 9 21 3 15 7 18 0 13 8 20 1 12 16 10 5 12 17 10 4",
            ]
        ),
        (
            .py1e,
            [
                "12 9 10 2 13 8 21 1 15 7 20 5 14 6 19 0 11 16 18 4 11 17 18 3",
                "11 8 19 3 14 6 18 5 15 17 21 0 13 16 20 4 12 7 10 2 12 9 10 1",
            ]
        ),
        (
            .py1br,
            [
                "13 8 20 3 11 6 19 4 14 17 18 1 15 9 10 0 12 7 21 2 12 16 21 5",
                "13 16 18 1 11 17 10 5 14 9 19 4 15 7 20 3 12 8 21 2 12 6 21 0",
            ]
        ),
        (
            .py2s,
            [
                "13 6 10 1 12 7 19 5 11 9 20 3 14 8 21 2 16 15 18 4 16 17 18 0",
                "13 17 10 1 14 15 18 0 12 8 21 5 16 9 20 2 11 7 19 3 11 6 19 4",
            ]
        ),
        (nil, ["0 5 11 16 1 6 12 17 2 7 13 18 3 8 14 19 4 9 15 20 4 10 15 21"]),
    ]

    @Test("Canonical nodes take turns, and short ones repeat their last sample", arguments: 0..<6)
    func turns(row: Int) throws {
        let (algorithm, epochs) = Self.golden[row]
        check(
            try StreamingOrder(shardSizes: Self.shards, algorithm: algorithm, canonicalNodes: 4, blockSize: 8),
            epochs
        )
    }

    @Test("Global batches list rank by rank, machine by machine")
    func ranks() throws {
        func order(_ nodes: Int, _ ranks: Int) throws -> StreamingOrder {
            let shape = ElasticPartition.Shape(
                physicalNodes: nodes,
                ranksPerNode: ranks,
                workersPerRank: 1,
                batchSize: 3
            )
            return try StreamingOrder(
                shardSizes: Self.shards,
                algorithm: .py1s,
                canonicalNodes: 4,
                blockSize: 8,
                shape: shape
            )
        }
        check(
            try order(2, 2),
            [
                "12 13 15 10 18 20 8 7 6 5 2 1 14 11 11 21 19 19 9 17 16 0 3 4",
                "11 14 15 19 21 18 6 9 7 2 3 0 13 12 12 20 10 10 8 16 17 1 5 4",
            ]
        )
        check(
            try order(1, 3),
            [
                "12 5 18 8 13 2 10 7 15 6 14 0 20 9 11 1 21 17 19 16 3 19 11 4",
                "11 2 21 6 14 3 19 9 15 7 13 1 18 8 12 0 20 16 10 17 5 10 12 4",
            ]
        )
    }

    @Test("A pass may be longer than the data")
    func padding() throws {
        let order = try StreamingOrder(shardSizes: Self.others, algorithm: .py1s, canonicalNodes: 16, blockSize: 8)
        check(order, ["5 6 7 8 3 4 0 1 2 5 6 7 8 3 4 0"])
        let many = try StreamingOrder(
            shardSizes: [Int](repeating: 100, count: 6),
            algorithm: .py1s,
            canonicalNodes: 128
        )
        #expect(many.count == 640)
    }

    @Test("Weighted streams are drawn as the library draws")
    func weights() throws {
        func order(
            _ algorithm: StreamingOrder.Algorithm,
            _ first: MDSStreams.Weight,
            _ second: MDSStreams.Weight,
            _ sampling: StreamingSampling = StreamingSampling()
        ) throws -> StreamingOrder {
            try StreamingOrder(
                streams: [
                    StreamingSource(shardSizes: Self.shards, weight: first),
                    StreamingSource(shardSizes: Self.others, weight: second),
                ],
                algorithm: algorithm,
                canonicalNodes: 2,
                blockSize: 8,
                sampling: sampling
            )
        }
        // The generating program numbered the samples of both data sets from 0.
        func checkLocal(_ order: StreamingOrder, _ epochs: [String]) {
            for (epoch, expected) in epochs.enumerated() {
                let found = order.sequence(epoch: epoch).samples(at: 0..<order.count)
                #expect(found.map { "\($0.index < 22 ? $0.index : $0.index - 22)" }.joined(separator: " ") == expected)
                // Each repetition of a sample has a mask of its own, except where a node repeats its last one.
                #expect(Set(found).count >= found.count - 2)
            }
        }
        checkLocal(
            try order(.py1s, .repeated(0.4), .repeated(2.5)),
            [
                "5 5 8 8 6 4 7 3 7 4 8 3 5 0 6 2 14 1 2 2 0 0 9 1 6 5 10 4 7 3",
                "7 21 6 20 8 8 5 4 7 3 6 9 5 8 8 3 4 5 3 0 11 2 12 1 3 1 4 0 0 2",
            ]
        )
        checkLocal(
            try order(.py1s, .repeated(0.4), .samples(12), StreamingSampling(method: .fixed, granularity: 2)),
            [
                "1 4 6 5 11 20 12 18 15 3 3 4 4 8 7 2 5 0 6 1",
                "1 8 3 4 4 3 6 0 6 2 5 1 7 5 12 4 11 18 15 20",
            ]
        )
        checkLocal(
            try order(.py1br, .proportion(1), .proportion(2), StreamingSampling(epochSize: 20)),
            [
                "8 1 7 5 8 2 1 8 0 3 5 6 2 4 5 3 6 4 10 7",
                "9 4 1 3 8 2 3 7 4 0 11 8 5 3 6 5 7 1 8 18",
            ]
        )
        // Ten tenths are one in pairs, and less than one when added up in turn: NumPy adds in pairs.
        let tenths = try StreamingOrder(
            streams: [StreamingSource](
                repeating: StreamingSource(shardSizes: [10], weight: .proportion(0.1)),
                count: 10
            ),
            algorithm: nil,
            canonicalNodes: 1
        )
        #expect(tenths.sequence(epoch: 0).samples(at: 0..<100).map(\.index) == Array(0..<100))
    }

    @Test("A pass continues from the library's state, on other machines too")
    func resumption() throws {
        let order = try StreamingOrder(shardSizes: Self.shards, algorithm: .py1s, canonicalNodes: 1, blockSize: 8)
        let state = StreamingState(
            epoch: 1,
            sampleInEpoch: 8,
            canonicalNodes: 4,
            shuffleSeed: 9176,
            initialPhysicalNodes: 1
        )
        #expect(
            try samples(order.sequence(resuming: state, shape: .oneProcess))
                == "15 7 18 0 13 8 20 1 12 16 10 5 12 17 10 4"
        )
        let shape = ElasticPartition.Shape(physicalNodes: 2, ranksPerNode: 2, workersPerRank: 1, batchSize: 1)
        #expect(
            try samples(order.sequence(resuming: state, shape: shape)) == "15 18 7 0 13 20 8 1 12 10 16 5 12 10 17 4"
        )
        var late = state
        late.sampleInEpoch = 40
        let error = #expect(throws: CorpusError.self) { try order.sequence(resuming: late, shape: .oneProcess) }
        #expect(error?.description.contains("is 40, past the end of an epoch of 22 samples") == true)
    }

    @Test("Weights that cannot be are refused by name")
    func refused() {
        func message(_ weights: [MDSStreams.Weight], _ sampling: StreamingSampling = StreamingSampling()) -> String? {
            #expect(throws: CorpusError.self) {
                try StreamingOrder(
                    streams: weights.map { StreamingSource(shardSizes: [4], weight: $0) },
                    algorithm: .naive,
                    canonicalNodes: 1,
                    sampling: sampling
                )
            }?.description
        }
        #expect(message([.samples(-1)])?.contains("choose is -1; expected a number from 0") == true)
        #expect(message([.samples(.max)])?.contains("is more than 4294967296") == true)
        #expect(message([.repeated(1e300)])?.contains("repeat is 1e+300 for 4 samples") == true)
        #expect(message([.repeated(.nan)])?.contains("repeat is nan") == true)
        #expect(message([.samples(0)]) == "the streams: give no samples; expected at least one")
        #expect(message([.proportion(1), .once])?.contains("1 of 2 streams have a proportion") == true)
        #expect(message([.proportion(0)])?.contains("not all of them 0") == true)
        #expect(message([.repeated(2)], StreamingSampling(epochSize: 3))?.contains("epoch_size is given") == true)
        #expect(message([.once], StreamingSampling(granularity: 0))?.hasPrefix("sampling_granularity: is 0") == true)
        #expect(message([.once], StreamingSampling(epochSize: .max))?.hasPrefix("epoch_size: is") == true)
    }
}
