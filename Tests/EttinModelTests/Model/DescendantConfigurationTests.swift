import Testing
import Torch

@testable import EttinModel

/// What configurations of Ettin's descendants have that Ettin's own do not: YaRN, a gate of silu, layers that were kept
/// of a larger model.
@Suite struct DescendantConfigurationTests {
    static func change(_ configuration: inout ModernBERTConfiguration) {
        configuration.hiddenActivation = .silu
        configuration.layerTypes = [
            .fullAttention, .slidingAttention, .slidingAttention, .fullAttention, .slidingAttention, .fullAttention,
        ]
        configuration.maxPositionEmbeddings = 256
        configuration.globalRope.yarn = YaRNScaling(factor: 4, originalPositions: 64)
    }

    @Test(arguments: ModelKind.allCases)
    func packedWeightsComputeWhatTheModuleDoes(kind: ModelKind) throws {
        let model = FusedTrunkTests.model(kind, Self.change)
        let batch = FusedTrunkTests.batch([200, 1, 30])
        try withoutGradients {
            let expected = model.model.allHiddenStates(batch)
            model.prepackWeights(.float32)
            for (state, expected) in zip(model.model.allHiddenStates(batch), expected) {
                let found = try KVCacheTests.largestDifference(expected, state)
                #expect(found < 1e-5)
            }
        }
    }

    @Test func yarnChangesStatesAndItsFactorToo() throws {
        let batch = FusedTrunkTests.batch([60])
        func states(_ scaling: YaRNScaling?) -> Tensor {
            let model = FusedTrunkTests.model(.encoder) {
                Self.change(&$0)
                $0.globalRope.yarn = scaling
            }
            return withoutGradients { model.model(batch) }
        }
        let plain = states(nil)
        let stretched = states(YaRNScaling(factor: 4, originalPositions: 64))
        let unscaled = states(YaRNScaling(factor: 4, originalPositions: 64, attentionFactor: 1))
        #expect(try KVCacheTests.largestDifference(plain, stretched) > 1e-3)
        #expect(try KVCacheTests.largestDifference(unscaled, stretched) > 1e-3)
        // A factor of 1 stretches nothing.
        #expect(try KVCacheTests.largestDifference(plain, states(YaRNScaling(factor: 1, originalPositions: 64))) < 1e-6)
    }

    @Test(arguments: [false, true])
    func steppingEqualsComputingTheWholeSequence(isPacked: Bool) throws {
        let model = FusedTrunkTests.model(.decoder, Self.change)
        if isPacked { model.prepackWeights(.float32) }
        let tokens = KVCacheTests.tokens(90, 3)
        try withoutGradients {
            let whole = model.model(PackedBatch([tokens]))
            let cache = KVCache(for: model.model)
            let cached = cache.join()
            var parts = [try model.model(CachedBatch([cached], tokens: [Array(tokens[..<70])]), cache: cache)]
            for token in tokens[70...] {
                parts.append(try model.model(CachedBatch([cached], tokens: [[token]]), cache: cache))
            }
            let found = try KVCacheTests.largestDifference(whole, .concatenate(parts))
            #expect(found < 1e-5)
        }
    }

    /// The gradient against the change of the loss along it.
    @Test func gradientsAreThoseOfTheLoss() throws {
        let model = FusedTrunkTests.model(.encoder, Self.change)
        let batch = FusedTrunkTests.batch([50, 9])
        let labels = batch.inputIDs.enumerated().map { $0 % 3 == 1 ? $1 : -100 }
        model.setRequiresGradient(true)
        model.loss(batch, labels: labels).loss.backward()
        let key = "model.layers.3.attn.Wqkv.weight"
        let weight = try #require(model.parameters.first { $0.key == key }?.tensor)
        let gradient = try #require(weight.gradient)
        let length = try (gradient * gradient).sum().scalar().squareRoot()
        let step = 0.02
        func loss(_ sign: Double) throws -> Double {
            try withoutGradients {
                let moved = (weight.detached() + gradient * (sign * step / length)).copy()
                let other = FusedTrunkTests.model(.encoder, Self.change)
                try other.load([(key, moved)], allowingMissing: true)
                return try other.loss(batch, labels: labels).loss.scalar()
            }
        }
        let slope = try (loss(1) - loss(-1)) / (2 * step)
        #expect(abs(slope / length - 1) < 0.02, "\(slope) for \(length)")
    }
}
