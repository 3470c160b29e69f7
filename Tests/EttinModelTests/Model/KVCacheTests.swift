import Testing
import Torch

@testable import EttinModel

@Suite struct KVCacheTests {
    static func model(_ rule: WindowRule = .transformers) -> LanguageModel {
        var configuration = WeightInitializationTests.configuration(.decoder)
        configuration.localAttention = 8
        configuration.initializerRange = 0.3
        let model = LanguageModel(configuration, windowRule: rule)
        model.initialize(.transformers, seed: 11)
        return model
    }

    static func tokens(_ count: Int, _ stream: UInt64) -> [Int32] {
        Philox(seed: 5, stream: stream).uniforms(count: count).map { Int32($0 * 2000) }
    }

    /// The largest difference in units of the largest value: rounding of float32 alone gives about 2e-6.
    static func largestDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
        try (a - b).absolute().max().scalar() / a.absolute().max().scalar()
    }

    /// Prompts shorter than, as long as and longer than the window of 4, and beyond one growth of the cache.
    @Test(arguments: [WindowRule.transformers, .training], [[1], [3, 4, 5], [70, 2, 2, 9]])
    func steppingEqualsComputingTheWholeSequence(rule: WindowRule, lengths: [Int]) throws {
        let model = Self.model(rule)
        var sequences = lengths.enumerated().map { Self.tokens($1, UInt64($0)) }
        try withoutGradients {
            let cache = KVCache(for: model.model)
            let cached = sequences.map { _ in cache.join() }
            var logits = try model.nextTokenLogits(CachedBatch(cached, tokens: sequences), cache: cache)
            for step in 0..<70 {
                if step % 23 == 0 || step < 6 {
                    let batch = PackedBatch(sequences)
                    let last = Tensor(batch.cuSeqlens.dropFirst().map { Int64($0) - 1 })
                    let whole = model.logits(model.model(batch).selecting(last))
                    let difference = try Self.largestDifference(whole, logits)
                    #expect(difference < 1e-5, "step \(step)")
                }
                let new = sequences.indices.map { Self.tokens(70, UInt64(100 + $0))[step] }
                for index in sequences.indices { sequences[index].append(new[index]) }
                logits = try model.nextTokenLogits(CachedBatch(cached, tokens: new.map { [$0] }), cache: cache)
            }
            #expect(try cached.map(cache.length) == sequences.map(\.count))
        }
    }
}
