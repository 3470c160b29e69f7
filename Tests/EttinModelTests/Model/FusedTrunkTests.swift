import Foundation
import Synchronization
import Testing
import Torch

@testable import EttinModel

/// The packed trunk against the module it was packed from.
@Suite struct FusedTrunkTests {
    static func model(
        _ kind: ModelKind,
        dtype: DType = .float32,
        _ change: (inout ModernBERTConfiguration) -> Void = { _ in }
    ) -> LanguageModel {
        var configuration = WeightInitializationTests.configuration(kind)
        configuration.localAttention = 16
        configuration.initializerRange = 0.1
        change(&configuration)
        let model = LanguageModel(configuration)
        model.initialize(.transformers, seed: 3)
        model.convert(to: dtype)
        return model
    }

    static func batch(_ lengths: [Int]) -> PackedBatch {
        PackedBatch(lengths.enumerated().map { KVCacheTests.tokens($1, UInt64($0)) })
    }

    /// The smallest cosine of two rows.
    static func smallestCosine(_ a: Tensor, _ b: Tensor) throws -> Double {
        let (x, y) = (a.to(.float64).normalized(), b.to(.float64).normalized())
        return try (x * y).sum(along: 1).min().scalar()
    }

    /// One token, empty sequences, batches on both sides of every division of work, lengths beyond the window.
    static let lengthLists = [[1], [5, 0, 3], [16, 1, 40], [130, 7, 0, 64, 65], [300]]

    @Test(arguments: ModelKind.allCases, lengthLists)
    func float32StatesEqualThoseOfTheModule(kind: ModelKind, lengths: [Int]) throws {
        let model = Self.model(kind)
        let batch = Self.batch(lengths)
        try withoutGradients {
            let expected = model.model.allHiddenStates(batch)
            let logits = model(batch)
            model.prepackWeights(.float32)
            let states = model.model.allHiddenStates(batch)
            #expect(states.count == expected.count)
            for (state, expected) in zip(states, expected) {
                let found = try KVCacheTests.largestDifference(expected, state)
                #expect(found < 1e-5)
            }
            let found = try KVCacheTests.largestDifference(logits, model(batch))
            #expect(found < 1e-5)
        }
    }

    @Test(arguments: ModelKind.allCases, lengthLists)
    func statesInLowerPrecisionPointTheSameWay(kind: ModelKind, lengths: [Int]) throws {
        let batch = Self.batch(lengths)
        try withoutGradients {
            let expected = Self.model(kind).model(batch)
            for (precision, limit) in [(ComputeDType.bfloat16, 0.9995), (.int8, 0.997)] {
                let model = Self.model(kind)
                model.prepackWeights(precision)
                let states = model.model(batch)
                #expect(states.dtype == .float32)
                let cosine = try Self.smallestCosine(expected, states)
                #expect(cosine > limit, "\(precision): \(cosine)")
            }
        }
    }

    /// Biases everywhere, widths that fill no vector or panel, another activation, no tied head.
    @Test(arguments: ModelKind.allCases, [Activation.gelu, .geluTanh, .relu, .silu])
    func everyPartOfTheConfigurationIsComputed(kind: ModelKind, activation: Activation) throws {
        let model = Self.model(kind) {
            $0.hiddenSize = 36
            $0.attentionHeads = 2
            $0.intermediateSize = 50
            $0.attentionBias = true
            $0.mlpBias = true
            $0.normBias = true
            $0.classifierBias = true
            $0.hiddenActivation = activation
            $0.tiesWordEmbeddings = false
        }
        let shifts = Philox(seed: 9, stream: 0)
        for (key, tensor) in model.parameters where key.hasSuffix("bias") {
            let values = shifts.uniforms(count: tensor.elementCount).map { Float($0) - 0.5 }
            try model.load([(key, Tensor(values, shape: tensor.shape))], allowingMissing: true)
        }
        let batch = Self.batch([30, 1, 90])
        try withoutGradients {
            let logits = model(batch)
            model.prepackWeights(.float32)
            let found = try KVCacheTests.largestDifference(logits, model(batch))
            #expect(found < 2e-5)
        }
    }

    @Test func bfloat16ParametersGiveBFloat16States() throws {
        let model = Self.model(.encoder, dtype: .bfloat16)
        let batch = Self.batch([20, 3])
        try withoutGradients {
            let expected = model.model(batch)
            model.prepackWeights(.bfloat16)
            let states = model.model(batch)
            #expect(states.dtype == .bfloat16)
            let found = try Self.smallestCosine(expected, states)
            #expect(found > 0.999)
        }
    }

    @Test func aBatchWithoutTokensHasNoRows() throws {
        let model = Self.model(.encoder)
        model.prepackWeights(.bfloat16)
        withoutGradients {
            #expect(model.model(PackedBatch([[], []])).shape == [0, model.configuration.hiddenSize])
            #expect(model.model(PackedBatch([])).shape == [0, model.configuration.hiddenSize])
        }
    }

    /// A sequence's states do not depend on its neighbours, whatever division of work its batch gets.
    @Test(arguments: ComputeDType.packed)
    func aSequenceInABatchEqualsItselfAlone(precision: ComputeDType) throws {
        let model = Self.model(.encoder)
        model.prepackWeights(precision)
        let sequences = [200, 17, 90].enumerated().map { KVCacheTests.tokens($1, UInt64($0)) }
        try withoutGradients {
            let together = model.model(PackedBatch(sequences))
            for (index, range) in [0..<200, 200..<217, 217..<307].enumerated() {
                let alone = model.model(PackedBatch([sequences[index]]))
                let part = together.narrowed(along: 0, from: range.lowerBound, count: range.count)
                let found = try KVCacheTests.largestDifference(alone, part)
                #expect(found < 1e-5)
            }
        }
    }

    @Test(arguments: ComputeDType.packed, [[1], [3, 40, 5]])
    func steppingEqualsComputingTheWholeSequence(precision: ComputeDType, lengths: [Int]) throws {
        let model = Self.model(.decoder)
        model.prepackWeights(precision)
        var sequences = lengths.enumerated().map { KVCacheTests.tokens($1, UInt64($0)) }
        // Only rounding differs; in lower precision it decides which way an activation is rounded later.
        let limit = precision == .float32 ? 1e-5 : 0.05
        try withoutGradients {
            let cache = KVCache(for: model.model)
            let cached = sequences.map { _ in cache.join() }
            var logits = try model.nextTokenLogits(CachedBatch(cached, tokens: sequences), cache: cache)
            for step in 0..<40 {
                if step % 13 == 0 {
                    let batch = PackedBatch(sequences)
                    let last = Tensor(batch.cuSeqlens.dropFirst().map { Int64($0) - 1 })
                    let whole = model.logits(model.model(batch).selecting(last))
                    let found = try KVCacheTests.largestDifference(whole, logits)
                    #expect(found < limit, "step \(step)")
                }
                let next = KVCacheTests.tokens(sequences.count, UInt64(100 + step))
                for index in sequences.indices { sequences[index].append(next[index]) }
                logits = try model.nextTokenLogits(CachedBatch(cached, tokens: next.map { [$0] }), cache: cache)
            }
        }
    }

    /// Positions beyond those that are tabled turn as they do in the module.
    @Test func positionsBeyondTheTableAreComputed() throws {
        let model = Self.model(.encoder) {
            $0.maxPositionEmbeddings = 40_000
            $0.layerTypes = [.slidingAttention, .slidingAttention]
            $0.hiddenSize = 16
            $0.attentionHeads = 1
        }
        let batch = Self.batch([33_000])
        try withoutGradients {
            let expected = model.model(batch)
            model.prepackWeights(.float32)
            let found = try KVCacheTests.largestDifference(expected, model.model(batch))
            #expect(found < 1e-5)
        }
    }

    /// One model may compute on several threads: passes, and steps over caches of their own.
    @Test(.timeLimit(.minutes(2)), arguments: ComputeDType.packed)
    func twoThreadsGetTheBitsOfOne(precision: ComputeDType) throws {
        let model = Self.model(.decoder)
        model.prepackWeights(precision)
        let shared = SharedModel(model: model)
        let lengthLists = [[40], [200, 3, 77], [1, 64, 65], [500]]
        let expected = try lengthLists.map { try shared.results($0) }
        let others = (0..<2).map { first in
            let others = OtherThread()
            others.run {
                for round in 0..<12 {
                    let index = (first + round) % lengthLists.count
                    guard try shared.results(lengthLists[index]) == expected[index] else { return false }
                }
                return true
            }
            return others
        }
        for round in 0..<12 {
            let index = round % lengthLists.count
            #expect(try shared.results(lengthLists[index]) == expected[index])
        }
        for other in others { #expect(try other.wait()) }
    }
}

/// A model that several threads compute with.
///
/// `@unchecked Sendable`: a packed model never changes.
private struct SharedModel: @unchecked Sendable {
    let model: LanguageModel

    /// The logits of a whole pass, and of a few steps with a cache.
    func results(_ lengths: [Int]) throws -> [[Float]] {
        try withoutGradients {
            let batch = FusedTrunkTests.batch(lengths)
            var results: [[Float]] = [try model.logits(model.model(batch)).array()]
            let cache = KVCache(for: model.model)
            let cached = lengths.map { _ in cache.join() }
            var tokens = (0..<lengths.count).map { Array(batch.inputIDs[batch.range(of: $0)]) }
            for step in 0..<3 {
                let logits = try model.nextTokenLogits(CachedBatch(cached, tokens: tokens), cache: cache)
                results.append(try logits.array())
                tokens = tokens.map { _ in [Int32(step + 5)] }
            }
            return results
        }
    }
}

/// Work on a thread of its own.
private final class OtherThread: Sendable {
    private let outcome = Mutex<Result<Bool, any Error>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    func run(_ body: @escaping @Sendable () throws -> Bool) {
        Thread.detachNewThread {
            let result = Result { try body() }
            self.outcome.withLock { $0 = result }
            self.done.signal()
        }
    }

    func wait() throws -> Bool {
        done.wait()
        return try outcome.withLock { try $0?.get() } ?? false
    }
}
