import EttinCorpus
import EttinPrimitives
import Foundation
import Testing

@Suite("Batches of a run")
struct BatchLoaderTests {
    /// Samples of different lengths; the first token after the start is the number of the sample.
    private static let source = TokenArraySource(
        (0..<1000).map { index in [50281, Int32(index)] + [Int32](repeating: 9, count: index * 37 % 50) + [50282] }
    )

    private static let orders: [any SampleOrder] = [
        KeyedOrder(count: 1000, seed: 1),
        NumPyPermutationOrder(count: 1000, seed: 21),
    ]

    private static func mixture() throws -> any SampleOrder {
        let sources = [try MixtureSource(count: 300, drawn: 500), try MixtureSource(count: 700, drawn: 350)]
        return MixedOrder(sources, seed: 5)
    }

    private static func settings(
        size: BatchLoader.BatchSize = .constant(48),
        microbatch: MicrobatchPlan.Size,
        appendsEnd: Bool = true,
        rank: Int = 0,
        worldSize: Int = 1
    ) throws -> BatchLoader.Settings {
        let objective = try MaskedObjective(probability: 0.3, seed: 3)
        var settings = BatchLoader.Settings(
            preparation: SamplePreparation(maxTokens: 40, appendsEnd: false),
            readings: [SampleReading(appendsEnd: appendsEnd, objective: objective)],
            batchSize: size,
            microbatchSize: microbatch
        )
        (settings.rank, settings.worldSize) = (rank, worldSize)
        return settings
    }

    private static func loader(
        _ order: any SampleOrder,
        from position: DataPosition = DataPosition(),
        _ settings: BatchLoader.Settings
    ) throws -> BatchLoader {
        try BatchLoader(
            source,
            batches: try GlobalBatches(order, from: position, remainder: .dropped),
            settings
        )
    }

    /// The sequences of a step of all ranks with their labels, in any order.
    private static func sequences(_ batches: [RankBatch]) -> [[Int32]] {
        batches.flatMap { $0.readings[0] }.flatMap { batch in
            (0..<batch.packed.sequenceCount).map { sequence in
                let range = batch.packed.range(of: sequence)
                return Array(batch.packed.inputIDs[range]) + Array(batch.labels[range])
            }
        }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private static let sizes: [MicrobatchPlan.Size] = [.sequences(5), .tokens(128)]

    @Test("All world sizes see the same samples and masks at every step, also after resuming", arguments: 0..<6)
    func worldSizes(row: Int) throws {
        let order = try (Self.orders + [Self.mixture()])[row % 3]
        let microbatch = Self.sizes[row / 3]
        var alone = try Self.loader(order, Self.settings(microbatch: microbatch))
        // 20 steps an epoch, or 17 of the mixture, so the last ones are of the second epoch.
        let expected = try (0..<24).map { _ in try #require(try alone.next()) }
        #expect(expected.map(\.nextEpoch) == (0..<24).map { ($0 + 1) / (order.count / 48) })
        for worldSize in [1, 2, 3, 8] {
            for start in [0, 7, 19, 21] {
                let position = start == 0 ? DataPosition() : expected[start - 1].positionAfter
                var loaders = try (0..<worldSize).map {
                    try Self.loader(
                        order,
                        from: position,
                        Self.settings(microbatch: microbatch, rank: $0, worldSize: worldSize)
                    )
                }
                for step in expected[start...] {
                    let ranks = try loaders.indices.map { try #require(try loaders[$0].next()) }
                    #expect(ranks.allSatisfy { $0.samples == step.samples && $0.step == step.step })
                    #expect(ranks.allSatisfy { $0.positionAfter == step.positionAfter })
                    #expect(Self.sequences(ranks) == Self.sequences([step]))
                }
            }
        }
    }

    @Test("The position of a run survives JSON")
    func position() throws {
        let position = DataPosition(epoch: 3, position: 96, step: 62, tokens: 12345)
        let data = try JSONEncoder().encode(position)
        #expect(try JSONDecoder().decode(DataPosition.self, from: data) == position)
    }

    @Test("An epoch gives whole batches of different samples; the rest is dropped or kept")
    func epochs() throws {
        for (remainder, counts) in [(GlobalBatches.Remainder.dropped, [48, 48]), (.kept, [48, 48, 4])] {
            var batches = try GlobalBatches(KeyedOrder(count: 100, seed: 2), remainder: remainder)
            let epoch = try counts.map { _ in try batches.next(size: 48) }
            #expect(epoch.map(\.count) == counts)
            #expect(Set(epoch.joined().map(\.index)).count == counts.reduce(0, +))
            let next = try batches.next(size: 48)
            #expect(next.allSatisfy { $0.pass == 1 } && batches.position.epoch == 1)
        }
    }

    @Test("By sequences, a rank takes every world-size-th sample and cuts them in order")
    func bySequences() throws {
        let plan = try MicrobatchPlan(lengths: [Int](repeating: 1, count: 10), worldSize: 2, size: .sequences(2))
        #expect(plan.ranks == [[[0, 2], [4, 6], [8]], [[1, 3], [5, 7], [9]]])
        let few = try MicrobatchPlan(lengths: [1], worldSize: 2, size: .sequences(2))
        #expect(few.ranks == [[[0]], []])
    }

    @Test("By tokens, no microbatch exceeds the budget, all ranks have equally many", arguments: [1, 2, 3, 5, 8, 64])
    func byTokens(worldSize: Int) throws {
        var generator = NumPyGenerator(seed: 4)
        let lengths = (0..<500).map { _ in generator.integer(in: 1..<200) }
        let plan = try MicrobatchPlan(lengths: lengths, worldSize: worldSize, size: .tokens(512))
        let bins = plan.ranks.joined()
        #expect(bins.joined().sorted() == Array(0..<500))
        #expect(bins.allSatisfy { !$0.isEmpty && $0.reduce(0) { $0 + lengths[$1] } <= 512 })
        #expect(Set(plan.ranks.map(\.count)).count == 1)
        let least = (lengths.reduce(0, +) + 511) / 512
        #expect(bins.count < least + worldSize + 1)
    }

    @Test("An explicit order gives its steps to all world sizes, also after resuming")
    func explicitOrder() throws {
        func order() -> ExplicitOrder {
            var row = 0
            return ExplicitOrder(name: "rows") {
                defer { row += 1 }
                return row < 100 ? OrderRow(step: 1 + row / 20, inputIDs: Self.source.tokenIDs(at: row)) : nil
            }
        }
        for size in Self.sizes {
            var alone = try BatchLoader(order(), Self.settings(microbatch: size))
            var expected: [RankBatch] = []
            while let batch = try alone.next() { expected.append(batch) }
            #expect(expected.map(\.step) == [1, 2, 3, 4, 5])
            #expect(expected.flatMap(\.samples).map(\.reference.index) == Array(0..<100))
            for worldSize in [2, 3, 8] {
                let ranks = try (0..<worldSize).map { rank in
                    // Each rank reads the rows by itself.
                    var loader = try BatchLoader(
                        order(),
                        from: expected[1].positionAfter,
                        Self.settings(microbatch: size, rank: rank, worldSize: worldSize)
                    )
                    return try [loader.next(), loader.next(), loader.next()].compactMap { $0 }
                }
                for step in 0..<3 {
                    #expect(Self.sequences(ranks.map { $0[step] }) == Self.sequences([expected[2 + step]]))
                    #expect(ranks.allSatisfy { $0[step].positionAfter == expected[2 + step].positionAfter })
                }
            }
        }
    }

    @Test("Readings of one stream are those of streams of their own")
    func readings() throws {
        let order = KeyedOrder(count: 1000, seed: 1)
        let causal = SampleReading(appendsEnd: false, objective: CausalObjective())
        for size in Self.sizes {
            let alone = try Self.settings(microbatch: size)
            var (both, other) = (alone, alone)
            (both.readings, other.readings) = (alone.readings + [causal], [causal])
            var loaders = try [both, alone, other].map { try Self.loader(order, $0) }
            for _ in 0..<3 {
                let batches = try loaders.indices.map { try #require(try loaders[$0].next()) }
                #expect(batches[0].readings == batches[1].readings + batches[2].readings)
                #expect(batches[0].samples == batches[1].samples && batches[0].samples == batches[2].samples)
                #expect(batches[0].readings[0].allSatisfy { $0.packed.inputIDs.last == 50282 })
            }
        }
    }

    @Test("A rank that does not read whole batches makes the same microbatches")
    func ownSamples() throws {
        let order = KeyedOrder(count: 1000, seed: 1)
        for rank in 0..<3 {
            let whole = try Self.settings(microbatch: .sequences(5), rank: rank, worldSize: 3)
            var own = whole
            own.readsWholeBatches = false
            var loaders = try [whole, own].map { try Self.loader(order, $0) }
            for _ in 0..<3 {
                let batches = try loaders.indices.map { try #require(try loaders[$0].next()) }
                #expect(batches[0].readings == batches[1].readings)
                #expect(batches[0].samples.count == 48 && batches[1].samples.isEmpty)
            }
        }
    }

    @Test("A warm-up grows the batch by the tokens of all ranks, equally on all of them")
    func warmup() throws {
        let warmup = try BatchSizeWarmup(smallest: 4, largest: 8, tokens: 3000)
        for worldSize in [1, 2, 3] {
            var loaders = try (0..<worldSize).map {
                try Self.loader(
                    KeyedOrder(count: 1000, seed: 1),
                    Self.settings(
                        size: .warmup(warmup),
                        microbatch: .sequences(2),
                        appendsEnd: false,
                        rank: $0,
                        worldSize: worldSize
                    )
                )
            }
            var tokens = 0
            for _ in 0..<30 {
                let ranks = try loaders.indices.map { try #require(try loaders[$0].next()) }
                #expect(ranks.allSatisfy { $0.samples.count == warmup.size(afterTokens: tokens) })
                tokens += ranks.flatMap { $0.readings[0] }.reduce(0) { $0 + $1.packed.tokenCount }
                #expect(ranks.allSatisfy { $0.positionAfter.tokens == tokens })
            }
            #expect(tokens > 3000)
        }
    }

    @Test("Sizes that cannot be are refused by name")
    func refused() throws {
        let order = KeyedOrder(count: 10, seed: 1)
        func message(_ body: () throws -> Void) -> String? {
            #expect(throws: CorpusError.self) { try body() }?.description
        }
        let tooLarge = message {
            var loader = try Self.loader(order, Self.settings(microbatch: .sequences(1)))
            _ = try loader.next()
        }
        #expect(tooLarge?.hasPrefix("global_train_batch_size: is 48, but an epoch has 10 samples") == true)
        let tooFew = message {
            _ = try Self.loader(order, Self.settings(size: .constant(2), microbatch: .sequences(1), worldSize: 3))
        }
        #expect(tooFew?.contains("2 samples to 3 ranks") == true)
        let noMicrobatch = message {
            var loader = try Self.loader(order, Self.settings(size: .constant(2), microbatch: .sequences(0)))
            _ = try loader.next()
        }
        #expect(noMicrobatch?.hasPrefix("device_train_microbatch_size: is 0 sequences") == true)
        var small = try Self.settings(size: .constant(2), microbatch: .sequences(2))
        small.vocabularySize = 50282
        let otherVocabulary = message {
            var loader = try Self.loader(KeyedOrder(count: 1000, seed: 1), small)
            _ = try loader.next()
        }
        #expect(otherVocabulary?.contains("holds the id 50282") == true)
        let otherData = message {
            var loader = try Self.loader(KeyedOrder(count: 5000, seed: 1), Self.settings(microbatch: .sequences(4)))
            _ = try loader.next()
        }
        #expect(otherData?.contains("of 1000; expected an order of the same data") == true)
        #expect(message { _ = try GlobalBatches(KeyedOrder(count: 0, seed: 1), remainder: .kept) } != nil)
        let behind = DataPosition(epoch: 0, position: 11)
        #expect(message { _ = try GlobalBatches(order, from: behind, remainder: .kept) } != nil)
    }
}
