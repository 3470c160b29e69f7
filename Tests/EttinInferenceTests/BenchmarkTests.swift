import EttinModel
import EttinTokenizer
import Testing
import Torch

@testable import EttinInference

@Suite("What benchmarks compute and count")
struct BenchmarkTests {
    @Test(
        "Visible pairs are those counted one by one",
        arguments: [0, 1, 2, 5, 40],
        [(nil, nil), (nil, 0), (3, 3), (8, 0), (0, 0), (64, 64), (4, 1)] as [(Int?, Int?)]
    )
    func visiblePairs(_ length: Int, _ window: (left: Int?, right: Int?)) {
        var pairs = 0
        for query in 0..<length {
            for key in 0..<length where query - key <= window.left ?? length && key - query <= window.right ?? length {
                pairs += 1
            }
        }
        let counted = ModelWork.visiblePairs(length, LayerWindow(left: window.left, right: window.right))
        #expect(counted == Double(pairs))
    }

    @Test("The linear layers of a trunk count twice their weights for each token")
    func denseWork() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let model = LanguageModel(checkpoint.configuration)
        func weights(_ isCounted: (String) -> Bool) -> Double {
            let matrices = model.parameters.filter { $0.tensor.rank == 2 && isCounted($0.key) }
            return Double(matrices.map(\.tensor.elementCount).reduce(0, +))
        }
        let layers = weights { $0.hasPrefix("model.layers.") }
        let encoding = ModelWork.encoding(lengths: [3, 7], checkpoint.configuration)
        #expect(encoding.denseOperations == 2 * layers * 10)
        // The embedding matrix is the output matrix, once for each new token.
        let head = weights { !$0.hasPrefix("model.layers.") }
        let generating = ModelWork.generating(
            sequences: 2,
            promptLength: 5,
            newTokens: 4,
            checkpoint.configuration
        )
        #expect(generating.denseOperations == 2 * layers * 16 + 2 * head * 8)
        let whole = ModelWork.encoding(lengths: [8, 8], checkpoint.configuration)
        #expect(generating.attentionOperations == whole.attentionOperations)
    }

    @Test("Quantiles interpolate between neighbours")
    func quantiles() {
        let statistics = LatencyStatistics([4, 1, 3, 2, 10])
        #expect(statistics.count == 5)
        #expect(statistics.minimum == 1)
        #expect(statistics.mean == 4)
        #expect([0, 0.25, 0.5, 0.875, 1].map(statistics.quantile) == [1, 2, 3, 7, 10])
        #expect(LatencyStatistics([2]).quantile(0.99) == 2)
    }

    @Test("Random ids depend on the seed and the sequence, and stay in the vocabulary")
    func randomIDs() {
        func ids(_ count: Int, _ length: Int, _ seed: UInt64) -> [[Int32]] {
            InferenceBenchmark.randomSequences(count: count, length: length, vocabularySize: 300, seed: seed)
        }
        let sequences = ids(3, 500, 1)
        #expect(sequences.joined().allSatisfy { (0..<300).contains($0) })
        #expect(Set(sequences.joined()).count > 290)
        #expect(sequences[0] != sequences[1])
        #expect(ids(3, 500, 2)[0] != sequences[0])
        // Fewer or shorter sequences are the beginning of more and longer ones.
        #expect(ids(1, 77, 1)[0] == Array(sequences[0].prefix(77)))
    }

    @Test("Hidden states are those of each sequence alone, whatever the batches", arguments: [1, 20, Int.max])
    func encode(_ maxBatchTokens: Int) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let model = try checkpoint.loaded {
            try BenchmarkModel(folder: $0, task: .encode, options: ComputeOptions())
        }
        let sequences = [3, 11, 1, 30].map { (1...$0).map { Int32($0 * 7 % 300) } }
        let states = try model.encode(sequences, maxBatchTokens: maxBatchTokens)
        #expect(states.map(\.shape) == sequences.map { [$0.count, 32] })
        let trunk = try checkpoint.loaded { try ModernBERT.load(folder: $0) }
        for (state, sequence) in zip(states, sequences) {
            let alone: [Float] = try withoutGradients { try trunk(PackedBatch([sequence])).array() }
            let found: [Float] = try state.contiguous().array()
            // Rows of a larger product may be summed in another order.
            for (left, right) in zip(found, alone) { #expect(abs(left - right) < 1e-4) }
        }
    }

    @Test("Generated tokens are those of the text generator")
    func generate() throws {
        let checkpoint = try TinyCheckpoint(.decoder)
        let generator = try checkpoint.loaded { try TextGenerationPipeline(folder: $0) }
        let model = try checkpoint.loaded {
            try BenchmarkModel(folder: $0, task: .generate, options: ComputeOptions())
        }
        var options = GenerationOptions()
        options.maxNewTokens = 15
        options.endTokenIDs = []
        let texts = Array(TinyCheckpoint.texts.prefix(2))
        let prompts = texts.map { Array(checkpoint.tokenizer.encodeIDs($0).dropLast()) }
        let expected = try generator.generate(texts, options: options).map(\.tokenIDs)
        #expect(try model.generate(prompts, newTokens: 15) == expected)
    }

    @Test("Every case is measured as often as asked for")
    func cases() throws {
        var plan = BenchmarkPlan()
        (plan.batches, plan.lengths, plan.rounds, plan.warmupRounds) = ([1, 3], [4, 9], 4, 0)
        var results: [BenchmarkResult] = []
        try TinyCheckpoint(.encoder).loaded {
            try InferenceBenchmark(folder: $0, plan: plan, options: ComputeOptions()).run { results.append($0) }
        }
        #expect(results.map(\.sequences) == [1, 1, 3, 3])
        #expect(results.map(\.tokens) == [4, 9, 12, 27])
        #expect(results.map(\.lengths) == [4...4, 9...9, 4...4, 9...9])
        #expect(results.map(\.latency.count) == [4, 4, 4, 4])
        // Time passes, and a process holds at least its own code.
        #expect(results.allSatisfy { $0.latency.minimum > 0 && $0.peakMemoryBytes > 1 << 20 })
    }

    @Test("The peak of memory is seen, and forgotten")
    func peakMemory() {
        // A kept block of that size would be resident already.
        TorchRuntime.releaseKeptMemory()
        PeakMemory.reset()
        let before = PeakMemory.bytes
        do {
            let tensor = Tensor.full([1 << 26], 1)
            #expect(tensor.elementCount == 1 << 26)
        }
        // Other tests of this process may free memory meanwhile, but not give back a quarter of this tensor's.
        #expect(PeakMemory.bytes > before + 200 << 20)
    }
}
