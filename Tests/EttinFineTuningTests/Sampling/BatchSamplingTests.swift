import EttinCorpus
import EttinTraining
import Testing

@testable import EttinFineTuning

/// Rows of texts with labels, in memory.
private struct Rows: SampledRows {
    let name = "rows"
    let columns: [[String]]
    var labels: [Int] = []

    var rowCount: Int { columns[0].count }

    func valueHashes() -> ValueHashes {
        let hashes = (0..<rowCount).flatMap { row in
            columns.map { column in
                var text = column[row]
                return text.withUTF8 { XXHash.hash64(UnsafeRawBufferPointer($0)) }
            }
        }
        return ValueHashes(columnCount: columns.count, hashes: hashes)
    }

    func rowsByLabel() -> [[Int32]] {
        var order: [Int] = []
        for label in labels where !order.contains(label) { order.append(label) }
        return order.map { label in labels.indices.filter { labels[$0] == label }.map(Int32.init) }
    }
}

/// Expected values are those of sentence-transformers 6.2.
@Suite struct BatchSamplingTests {
    private func options(_ sampler: BatchSampler, _ size: Int, dropsLast: Bool = false, seed: UInt64 = 42)
        -> BatchSampling.Options
    {
        var options = BatchSampling.Options(batchSize: size)
        options.sampler = sampler
        options.dropsLast = dropsLast
        options.seed = seed
        return options
    }

    private static let triplets = Rows(columns: [
        ["q0", "q1", "q0", "q3", "q4", "q5", "q6", "q7", "q8", "q9"],
        ["p0", "p1", "p2", "p0", "p4", "p5", "p6", "p7", "p8", "p9"],
        ["n0", "n1", "n2", "n3", "p1", "n5", "n5", "n7", "n8", "n9"],
    ])

    @Test func oneDataSet() throws {
        func batches(_ options: BatchSampling.Options, _ epoch: Int) throws -> [[Int]] {
            try BatchSampling([Self.triplets], isSingle: true, options: options).allBatches(epoch: epoch).map(\.rows)
        }
        for sampler in [BatchSampler.noDuplicates, .noDuplicatesHashed] {
            #expect(try batches(options(sampler, 4), 0) == [[2, 6, 1, 8], [4, 5, 0, 9], [3, 7]])
            #expect(try batches(options(sampler, 4), 1) == [[8, 4, 9, 0], [5, 1, 7, 2], [6, 3]])
            #expect(try batches(options(sampler, 4, dropsLast: true), 0) == [[2, 6, 1, 8], [4, 5, 0, 9]])
        }
        #expect(try batches(options(.batchSampler, 4), 0) == [[2, 6, 1, 8], [4, 5, 0, 9], [3, 7]])
        #expect(try batches(options(.batchSampler, 4), 1) == [[8, 4, 9, 0], [5, 1, 6, 7], [2, 3]])
        var other = options(.batchSampler, 4, dropsLast: true)
        other.dataSeed = 12
        #expect(try batches(other, 0) == [[3, 5, 8, 1], [0, 6, 9, 2]])
    }

    private static let pair = [
        Rows(
            columns: [(0..<11).map { "a\($0 % 5)" }, (0..<11).map { "b\($0)" }],
            labels: (0..<11).map { $0 % 3 }
        ),
        Rows(
            columns: [(0..<9).map { "c\($0)" }, (0..<9).map { "c\($0 * 2 % 9)" }],
            labels: (0..<9).map { $0 / 3 }
        ),
    ]

    private static let several: [(BatchSampler, MultiDatasetBatchSampler, Bool, [[Int]])] = [
        (
            .batchSampler, .proportional, false,
            [[5, 8, 0, 3], [10, 4, 2, 6], [16, 19, 11, 18], [7, 1, 9], [12, 13, 17, 14], [15]]
        ),
        (.batchSampler, .proportional, true, [[13, 14, 11, 19], [2, 6, 7, 4], [16, 15, 17, 12], [1, 8, 10, 0]]),
        (
            .batchSampler, .roundRobin, false,
            [[2, 0, 8, 7], [16, 13, 15, 19], [1, 4, 5, 9], [17, 18, 12, 14], [3, 6, 10], [11]]
        ),
        (.batchSampler, .roundRobin, true, [[2, 0, 8, 7], [16, 13, 15, 19], [1, 4, 5, 9], [17, 18, 12, 14]]),
        (
            .noDuplicates, .proportional, false,
            [[2, 0, 8, 1], [7, 4, 5, 3], [19, 13, 11, 16], [9, 6, 10], [12, 17, 15, 18], [14]]
        ),
        (.noDuplicates, .proportional, true, [[19, 13, 11, 16], [2, 0, 8, 1], [12, 17, 15, 18], [7, 4, 5, 3]]),
        (
            .noDuplicatesHashed, .roundRobin, false,
            [[2, 0, 8, 1], [19, 13, 11, 16], [7, 4, 5, 3], [12, 17, 15, 18], [9, 6, 10], [14]]
        ),
        (.groupByLabel, .proportional, false, [[18, 19, 14, 15], [1, 7, 6, 3], [8, 5, 9, 0]]),
        (.groupByLabel, .roundRobin, true, [[1, 7, 6, 3], [18, 19, 14, 15]]),
    ]

    @Test(arguments: several)
    func severalDataSets(
        _ sampler: BatchSampler,
        _ multiDatasetSampler: MultiDatasetBatchSampler,
        _ dropsLast: Bool,
        _ expected: [[Int]]
    ) throws {
        var options = options(sampler, 4, dropsLast: dropsLast, seed: 5)
        options.multiDatasetSampler = multiDatasetSampler
        let sampling = try BatchSampling(Self.pair, isSingle: false, options: options)
        #expect(sampling.nominalBatchCount == expected.count)
        let batches = sampling.batches(epoch: 1)
        #expect(batches.map { batch in batch.rows.map { $0 + 11 * batch.dataset } } == expected)
    }

    /// The original's walk, which looks at every row that is left for every batch.
    private func walked(_ rows: Rows, _ size: Int, dropsLast: Bool, seed: UInt64) -> [[Int]] {
        var generator = TorchGenerator(seed: seed)
        var batches: [[Int]] = []
        let expected = dropsLast ? rows.rowCount / size : (rows.rowCount + size - 1) / size
        for pass in 0..<3 {
            if pass > 0, batches.isEmpty || batches.count >= expected { break }
            var left = generator.permutation(rows.rowCount)
            while !left.isEmpty {
                var values = Set<String>()
                var batch: [Int] = []
                for row in left where batch.count < size {
                    let own = Set(rows.columns.map { $0[row] })
                    guard values.isDisjoint(with: own) else { continue }
                    values.formUnion(own)
                    batch.append(row)
                }
                left.removeAll { batch.contains($0) }
                guard batch.count == size || !dropsLast else { continue }
                batches.append(batch)
                if pass > 0, batches.count >= expected { return batches }
            }
        }
        return batches
    }

    @Test(arguments: [1, 2, 3, 20, 200])
    func noDuplicatesEqualsTheWalk(_ valueCount: Int) throws {
        var generator = PythonGenerator(seed: UInt64(valueCount))
        for trial in 0..<30 {
            let count = 1 + generator.integer(below: 60)
            let rows = Rows(
                columns: (0..<1 + trial % 3).map { _ in
                    (0..<count).map { _ in "v\(generator.integer(below: valueCount))" }
                }
            )
            for (size, dropsLast) in [(1, false), (4, false), (4, true), (7, true), (90, false)] {
                if dropsLast, count < size { continue }
                let options = options(.noDuplicates, size, dropsLast: dropsLast, seed: UInt64(trial))
                let sampling = try BatchSampling([rows], isSingle: true, options: options)
                let expected = walked(rows, size, dropsLast: dropsLast, seed: UInt64(trial))
                #expect(sampling.allBatches(epoch: 0).map(\.rows) == expected, "\(count) rows, batches of \(size)")
            }
        }
    }

    @Test func oneValueInAllRowsIsNotQuadratic() throws {
        let rows = Rows(columns: [(0..<50_000).map { "q\($0)" }, Array(repeating: "same", count: 50_000)])
        let sampling = try BatchSampling([rows], isSingle: true, options: options(.noDuplicates, 8))
        #expect(sampling.nominalBatchCount == 6250)
        #expect(sampling.batches(epoch: 0).count == 6250)
        #expect(sampling.allBatches(epoch: 0).count == 50_000)
    }

    @Test func refusesWhatLeavesNoBatch() throws {
        func message(_ rows: Rows, _ options: BatchSampling.Options) throws -> String {
            let error = #expect(throws: TrainingError.self) {
                try BatchSampling([rows], isSingle: true, options: options)
            }
            return "\(try #require(error))"
        }
        #expect(
            try message(Self.triplets, options(.batchSampler, 16, dropsLast: true))
                == "rows: has 10 rows, which make no batch of 16; expected a smaller per_device_train_batch_size, "
                + "or dataloader_drop_last: false"
        )
        #expect(try message(Self.pair[0], options(.groupByLabel, 5)).contains("an even number of 4 or more"))
        let alike = Rows(columns: [["a", "b", "c", "d"]], labels: [1, 1, 1, 2])
        #expect(try message(alike, options(.groupByLabel, 4)).contains("has 1 labels with two rows or more"))
        #expect(try message(Rows(columns: [[]]), options(.batchSampler, 4)).contains("has no rows"))
    }
}
