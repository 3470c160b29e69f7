import Testing
import Torch

@testable import EttinModel

@Suite struct WeightInitializationTests {
    static func configuration(_ kind: ModelKind) -> ModernBERTConfiguration {
        var result = ModernBERTConfiguration(kind: kind)
        result.vocabularySize = 2000
        result.hiddenSize = 64
        result.intermediateSize = 96
        result.attentionHeads = 4
        result.layerTypes = LayerType.pattern(layers: 4, globalEvery: 3)
        result.padTokenID = 1
        return result
    }

    static func deviation(_ tensor: Tensor) throws -> Double {
        let x = tensor.to(.float64)
        let mean = try x.mean().scalar()
        return try ((x * x).mean().scalar() - mean * mean).squareRoot()
    }

    /// A normal distribution cut at two standard deviations has 0.8796 of the deviation.
    static let cutDeviation = 0.8796

    @Test(arguments: WeightInitialization.allCases, ModelKind.allCases)
    func everyWeightHasItsDistribution(scheme: WeightInitialization, kind: ModelKind) throws {
        let model = LanguageModel(Self.configuration(kind))
        model.initialize(scheme, seed: 7)
        let residual = 0.02 / 8.0.squareRoot()
        for (key, tensor) in model.parameters {
            let expected: Double? =
                switch key {
                case _ where key.hasSuffix("norm.weight") || key == "decoder.bias": nil
                case _ where key.hasSuffix("Wo.weight"): residual
                case "head.dense.weight": scheme == .transformers ? residual : 0.02
                default: 0.02
                }
            if let expected {
                let deviation = try Self.deviation(tensor)
                #expect(abs(deviation / (expected * Self.cutDeviation) - 1) < 0.05, "\(key): \(deviation)")
                #expect(try tensor.absolute().max().scalar() <= 2 * expected * 1.000001, "\(key)")
                #expect(abs(try tensor.mean().scalar()) < 4 * expected / Double(tensor.elementCount).squareRoot())
            } else if key.hasSuffix("norm.weight") {
                #expect(try tensor.isEqual(to: .ones(tensor.shape)), "\(key)")
            } else if scheme == .transformers {
                #expect(try tensor.isEqual(to: .zeros(tensor.shape)), "\(key)")
            } else {
                // Uniform within ±1/√64: its deviation is the bound over √3.
                #expect(try tensor.absolute().max().scalar() <= 0.125)
                #expect(abs(try Self.deviation(tensor) / (0.125 / 3.0.squareRoot()) - 1) < 0.05)
            }
        }
    }

    @Test func anUntiedOutputMatrixAndBiasesHaveTheirOwnDistributions() throws {
        var configuration = Self.configuration(.encoder)
        configuration.tiesWordEmbeddings = false
        configuration.attentionBias = true
        configuration.normBias = true
        let model = LanguageModel(configuration)
        model.initialize(.fullMegatron, seed: 1)
        let tensors = [String: Tensor](model.parameters.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        let output = try #require(tensors["decoder.weight"])
        #expect(abs(try Self.deviation(output) / (0.125 * Self.cutDeviation) - 1) < 0.02)
        for key in ["decoder.bias", "model.layers.1.attn.Wqkv.bias", "model.layers.1.attn_norm.bias"] {
            let bias = try #require(tensors[key])
            #expect(try bias.isEqual(to: .zeros(bias.shape)), "\(key)")
        }
    }

    @Test func bothHalvesOfAPairStartFromTheSameWeights() throws {
        let encoder = LanguageModel(Self.configuration(.encoder))
        let decoder = LanguageModel(Self.configuration(.decoder))
        let trunk = ModernBERT(Self.configuration(.encoder))
        for model in [encoder, decoder] { model.initialize(.fullMegatron, seed: 3) }
        trunk.initialize(.fullMegatron, seed: 3)
        for (one, other) in zip(encoder.parameters, decoder.parameters) {
            #expect(one.key == other.key)
            #expect(try one.tensor.isEqual(to: other.tensor), "\(one.key)")
        }
        for (one, other) in zip(encoder.model.parameters, trunk.parameters) {
            #expect(try one.tensor.isEqual(to: other.tensor), "\(one.key)")
        }
        let again = LanguageModel(Self.configuration(.encoder))
        again.initialize(.fullMegatron, seed: 4)
        #expect(try !again.model.parameters[0].tensor.isEqual(to: encoder.model.parameters[0].tensor))
    }
}
