import EttinModel
import EttinTraining
import Testing
import Torch

@testable import EttinConversion

@Suite("Weight tiling")
struct WeightTilingTests {
    /// Vectors of 0, 1, … in larger ones whose own values are 100, 101, ….
    @Test(
        "A vector is tiled by the formula",
        arguments: [
            (.centerWeights, 3, 8, [100, 101, 0, 1, 2, 105, 106, 107]),
            (.tileWeightsFromEdge, 3, 8, [0, 1, 2, 0, 1, 2, 0, 1]),
            (.tileWeightsFromMiddle, 3, 8, [1, 2, 0, 1, 2, 0, 1, 2]),
            (.tileWeightsFromMiddle, 2, 9, [1, 0, 1, 0, 1, 0, 1, 0, 1]),
            (.tileWeightsFromMiddle, 4, 7, [3, 0, 1, 2, 3, 0, 1]),
            (.centerWeights, 4, 4, [0, 1, 2, 3]),
            (.tileWeightsFromMiddle, 4, 4, [0, 1, 2, 3]),
        ] as [(WeightTiling, Int, Int, [Float])]
    )
    func vectors(mode: WeightTiling, count: Int, newCount: Int, expected: [Float]) throws {
        let values = Tensor((0..<count).map(Float.init))
        let own = Tensor((0..<newCount).map { Float(100 + $0) })
        #expect(try mode.enlarged(values, own).array() == expected)
    }

    /// The matrix of rows 0 1 and 2 3 in one of 3 × 5.
    @Test(
        "A matrix is tiled along both dimensions",
        arguments: [
            (.centerWeights, [100, 0, 1, 103, 104, 105, 2, 3, 108, 109, 110, 111, 112, 113, 114]),
            (.tileWeightsFromEdge, [0, 1, 0, 1, 0, 2, 3, 2, 3, 2, 0, 1, 0, 1, 0]),
            (.tileWeightsFromMiddle, [1, 0, 1, 0, 1, 3, 2, 3, 2, 3, 1, 0, 1, 0, 1]),
        ] as [(WeightTiling, [Float])]
    )
    func matrices(mode: WeightTiling, expected: [Float]) throws {
        let values = Tensor([0, 1, 2, 3] as [Float], shape: [2, 2])
        let own = Tensor((0..<15).map { Float(100 + $0) }, shape: [3, 5])
        let tiled = mode.enlarged(values, own)
        #expect(tiled.shape == [3, 5])
        #expect(try tiled.array() == expected)
    }

    @Test(
        "Layers are spread, halves to the even one, and the last is the last",
        arguments: [
            (7, 10, [0, 1, 1, 2, 3, 4, 4, 5, 6, 6]),
            (10, 19, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]),
            (4, 8, [0, 0, 1, 2, 2, 2, 3, 3]), (2, 8, [0, 0, 0, 1, 1, 1, 1, 1]), (3, 3, [0, 1, 2]),
            (1, 4, [0, 0, 0, 0]),
        ]
    )
    func layers(count: Int, newCount: Int, expected: [Int]) {
        #expect(WeightTiling.layerMap(from: count, to: newCount) == expected)
    }

    private func configuration(_ hidden: Int, _ intermediate: Int, layers: Int) -> ModernBERTConfiguration {
        var configuration = ModernBERTConfiguration(kind: .encoder)
        configuration.vocabularySize = 11
        configuration.padTokenID = 0
        (configuration.bosTokenID, configuration.eosTokenIDs) = (1, [2])
        (configuration.clsTokenID, configuration.sepTokenID) = (1, 2)
        configuration.hiddenSize = hidden
        configuration.intermediateSize = intermediate
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: layers, globalEvery: 3)
        configuration.maxPositionEmbeddings = 32
        return configuration
    }

    private func model(_ configuration: ModernBERTConfiguration, seed: UInt64) -> LanguageModel {
        let model = LanguageModel(configuration)
        model.initialize(.fullMegatron, seed: seed)
        return model
    }

    private func values(_ model: LanguageModel, _ key: String) throws -> [Float] {
        try #require(model.parameters.first { $0.key == key }).tensor.array()
    }

    @Test("Every parameter of a model comes from its place in the smaller one", arguments: WeightTiling.allCases)
    func models(mode: WeightTiling) throws {
        let small = model(configuration(4, 6, layers: 3), seed: 1)
        let large = model(configuration(8, 10, layers: 5), seed: 2)
        let fresh = model(configuration(8, 10, layers: 5), seed: 2)
        try mode.initialize(large, from: small)
        // Layers 0 … 4 take 0, 1, 1, 2, 2.
        for (layer, old) in [0, 1, 1, 2, 2].enumerated() {
            func matrix(_ name: String, parts: Int) throws {
                let key = "model.layers.\(layer).\(name)"
                let source = try #require(small.parameters.first { $0.key == "model.layers.\(old).\(name)" }).tensor
                let own = try #require(fresh.parameters.first { $0.key == key }).tensor
                let tiled = try #require(large.parameters.first { $0.key == key }).tensor
                let pieces = zip(source.split(into: parts, along: 0), own.split(into: parts, along: 0))
                let expected = try pieces.flatMap { try mode.enlarged($0, $1).contiguous().array() as [Float] }
                #expect(try tiled.array() == expected, "\(key)")
            }
            try matrix("attn.Wqkv.weight", parts: 3)
            try matrix("attn.Wo.weight", parts: 1)
            try matrix("mlp.Wi.weight", parts: 2)
            try matrix("mlp.Wo.weight", parts: 1)
        }
        // The bias of the tied output matrix has the vocabulary's length in both.
        #expect(try values(large, "decoder.bias") == values(small, "decoder.bias"))
        let dense: [Float] = try values(large, "head.dense.weight")
        #expect(dense != (try values(fresh, "head.dense.weight")))
        // The small model's embedding stands in the large one's: at column 2 when centred, else at column 0 or 2 too.
        let (columns, row) = (8, 3)
        let start = mode == .tileWeightsFromEdge ? 0 : 2
        let embedding = try values(large, "model.embeddings.tok_embeddings.weight")
        let source = try values(small, "model.embeddings.tok_embeddings.weight")
        let place = row * columns + start
        #expect(Array(embedding[place..<place + 4]) == Array(source[row * 4..<row * 4 + 4]))
    }

    @Test("An attention norm that the smaller model's first layer lacks stays as it is drawn")
    func missingNorm() throws {
        let small = model(configuration(4, 6, layers: 1), seed: 1)
        let large = model(configuration(8, 6, layers: 3), seed: 2)
        for (key, reference) in small.parameterReferences where key.contains("norm") {
            reference.tensor = .full(reference.tensor.shape, 7)
        }
        try WeightTiling.tileWeightsFromMiddle.initialize(large, from: small)
        #expect(try values(large, "model.layers.1.attn_norm.weight") == [Float](repeating: 1, count: 8))
        #expect(try values(large, "model.layers.1.mlp_norm.weight") == [Float](repeating: 7, count: 8))
        #expect(try values(large, "model.final_norm.weight") == [Float](repeating: 7, count: 8))
    }

    @Test("The type of the larger model is kept, and the smaller one is not shared")
    func independence() throws {
        let small = model(configuration(4, 6, layers: 2), seed: 1)
        small.convert(to: .bfloat16)
        let large = model(configuration(8, 6, layers: 2), seed: 2)
        try WeightTiling.tileWeightsFromEdge.initialize(large, from: small)
        #expect(large.parameters.allSatisfy { $0.tensor.dtype == .float32 })
        let before = try values(large, "decoder.bias")
        for (_, reference) in small.parameterReferences {
            reference.tensor.assign(.zeros(reference.tensor.shape, .bfloat16))
        }
        #expect(try values(large, "decoder.bias") == before)
    }

    /// What makes a model not fit, and the key that says so.
    struct Change: Sendable, CustomStringConvertible {
        let key: String
        let apply: @Sendable (inout ModernBERTConfiguration) -> Void
        var description: String { key }

        init(_ key: String, _ apply: @escaping @Sendable (inout ModernBERTConfiguration) -> Void) {
            (self.key, self.apply) = (key, apply)
        }
    }

    @Test(
        "Models that do not fit each other are refused by name",
        arguments: [
            Change("hidden_size") { $0.hiddenSize = 8 }, Change("hidden_size") { $0.hiddenSize = 12 },
            Change("vocab_size") { $0.vocabularySize = 12 }, Change("intermediate_size") { $0.intermediateSize = 11 },
            Change("num_hidden_layers") { $0.layerTypes = LayerType.pattern(layers: 6, globalEvery: 3) },
            Change("mlp_bias") { $0.mlpBias = true }, Change("tie_word_embeddings") { $0.tiesWordEmbeddings = false },
        ]
    )
    func refused(change: Change) throws {
        var smaller = configuration(4, 6, layers: 2)
        change.apply(&smaller)
        let large = model(configuration(8, 10, layers: 5), seed: 2)
        let before = try values(large, "model.embeddings.tok_embeddings.weight")
        let small = LanguageModel(smaller)
        #expect {
            try WeightTiling.tileWeightsFromMiddle.initialize(large, from: small)
        } throws: {
            "\($0)".hasPrefix("init_from_checkpoint: has \(change.key) ")
        }
        #expect(try values(large, "model.embeddings.tok_embeddings.weight") == before)
    }
}
