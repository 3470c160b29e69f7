import Testing
import Torch

@testable import EttinModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Values measured with transformers on a model whose weights are a formula, so that no file is needed.
@Suite struct GoldenModelTests {
    struct Golden: Sendable, CustomStringConvertible {
        let kind: ModelKind
        let tensorCount: Int
        let rows: [Int: [Double]]
        let sum: Double
        let squares: Double
        let argmax: [Int64]
        let hiddenSquares: [Double]
        let loss: Double
        let gradients: [String: Double]
        /// Logits of the last token of `37 3 7 11 5 38`, which transformers saw padded to eight.
        let shortLast: [Double]
        var description: String { kind.rawValue }
    }

    static let goldens = [
        Golden(
            kind: .encoder,
            tensorCount: 29,
            rows: [
                0: [0.1143, 0.278927, -0.132107, 0.149323, 0.543426, -0.424067],
                4: [-0.024213, -0.160453, -0.026397, 0.765312, 0.077669, -0.708842],
                9: [-0.49111, -0.333096, 0.706699, 0.857201, -0.668888, -0.245643],
            ],
            sum: 5.550087,
            squares: 81.677444,
            argmax: [10, 17, 25, 39, 18, 18, 25, 18, 39, 18],
            hiddenSquares: [161.9841, 672.2316, 866.194, 871.4901, 161.4957],
            loss: 4.155603,
            gradients: [
                "model.embeddings.tok_embeddings.weight": 2.352226, "model.layers.1.attn_norm.weight": 0.005725,
                "model.layers.1.attn.Wqkv.weight": 0.050789, "model.layers.1.attn.Wo.weight": 0.226835,
                "model.layers.2.mlp.Wi.weight": 0.05896, "model.layers.3.mlp_norm.weight": 0.002635,
                "head.dense.weight": 2.121306, "decoder.bias": 0.565429,
            ],
            shortLast: [-0.488882, -0.320747, 0.72264, 0.839434]
        ),
        Golden(
            kind: .decoder,
            tensorCount: 37,
            rows: [
                0: [-0.14851, 0.056108, 0.018882, 0.395436, 0.277742, -0.477356],
                4: [-0.159127, -0.247296, 0.092248, 0.851524, -0.076833, -0.682034],
                9: [-0.296897, -0.13229, 0.667139, 0.615164, -0.511531, -0.114675],
            ],
            sum: 4.774035,
            squares: 91.80475,
            argmax: [39, 17, 25, 18, 18, 18, 31, 18, 18, 32],
            hiddenSquares: [161.9841, 347.9423, 472.403, 644.8648, 152.5303],
            loss: 3.794473,
            gradients: [
                "model.embeddings.tok_embeddings.weight": 1.337475, "model.layers.1.attn_norm.weight": 0.009114,
                "model.layers.1.attn.Wo.weight": 0.433995, "model.layers.2.mlp.Wi.weight": 0.085179,
                "model.layers.3.mlp_norm.weight": 0.012105, "head.dense.weight": 1.542977, "decoder.bias": 0.297171,
            ],
            shortLast: [-0.303926, -0.136259, 0.664724, 0.613539]
        ),
    ]

    static let ids: [Int32] = [37, 3, 7, 11, 5, 20, 33, 2, 14, 38]

    /// The model whose t-th tensor by name, flattened, has element k = a formula of t and k.
    static func model(_ golden: Golden) throws -> LanguageModel {
        var configuration = ModernBERTConfiguration(kind: golden.kind)
        configuration.vocabularySize = 40
        configuration.hiddenSize = 16
        configuration.intermediateSize = 24
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: 4, globalEvery: 3)
        configuration.localAttention = 4
        configuration.padTokenID = 39
        let model = LanguageModel(configuration)
        let stored = CheckpointKeyMap.exported(model.parameters, for: golden.kind)
            .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        #expect(stored.count == golden.tensorCount)
        let filled: StateDictionary = stored.enumerated().map { index, entry in
            let values = (0..<entry.tensor.elementCount).map { element -> Float in
                let k = Double(element)
                let s = sin(0.7 * k + 1.3 * Double(index) + 0.011 * k * k / (1 + 0.05 * k))
                return Float(entry.key.contains("norm") ? 1 + 0.1 * s : 0.3 * s)
            }
            return (entry.key, Tensor(values, shape: entry.tensor.shape))
        }
        try model.load(CheckpointKeyMap.imported(filled))
        return model
    }

    static func near(_ actual: [Double], _ expected: [Double], _ tolerance: Double) -> Bool {
        zip(actual, expected).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
    }

    @Test(arguments: goldens)
    func logitsEqualTheOriginals(golden: Golden) throws {
        let model = try Self.model(golden)
        try withoutGradients {
            let logits = model(PackedBatch([Self.ids])).to(.float64)
            for (row, expected) in golden.rows {
                let values = try logits.narrowed(along: 0, from: row, count: 1).array(of: Double.self)
                #expect(Self.near(values, expected, 2e-6), "row \(row): \(values.prefix(6))")
            }
            #expect(Self.near([try logits.sum().scalar()], [golden.sum], 1e-5))
            #expect(Self.near([try (logits * logits).sum().scalar()], [golden.squares], 2e-6))
            #expect(try logits.argmax(along: 1).array(of: Int64.self) == golden.argmax)
            let squares = try model.model.allHiddenStates(PackedBatch([Self.ids])).map {
                try ($0.to(.float64) * $0.to(.float64)).sum().scalar()
            }
            #expect(Self.near(squares, golden.hiddenSquares, 2e-6))
        }
    }

    @Test(arguments: goldens)
    func aSequenceInAPackedBatchEqualsItselfAlone(golden: Golden) throws {
        let model = try Self.model(golden)
        try withoutGradients {
            let logits = model(PackedBatch([Self.ids, [], [37, 3, 7, 11, 5, 38]])).to(.float64)
            let last = try logits.narrowed(along: 0, from: 15, count: 1).array(of: Double.self)
            #expect(Self.near(last, golden.shortLast, 2e-6))
            let first = try logits.narrowed(along: 0, from: 9, count: 1).array(of: Double.self)
            #expect(Self.near(first, golden.rows[9] ?? [], 2e-6))
        }
    }

    @Test(arguments: goldens)
    func lossAndGradientNormsEqualTheOriginals(golden: Golden) throws {
        let model = try Self.model(golden)
        model.setRequiresGradient(true)
        let logits = model(PackedBatch([Self.ids]))
        let loss: Tensor
        if golden.kind == .encoder {
            var labels = [Int64](repeating: -100, count: 10)
            (labels[2], labels[5], labels[8]) = (7, 1, 14)
            loss = logits.crossEntropy(Tensor(labels))
        } else {
            loss = logits.narrowed(along: 0, from: 0, count: 9)
                .crossEntropy(Tensor(Self.ids.dropFirst().map(Int64.init)))
        }
        #expect(Self.near([try loss.scalar()], [golden.loss], 2e-6))
        loss.backward()
        for (key, tensor) in model.parameters {
            let norm = try #require(tensor.gradient).norm().scalar()
            // The figures have six decimals.
            if let expected = golden.gradients[key] { #expect(abs(norm - expected) < 2e-6, "\(key): \(norm)") }
        }
    }

    @Test(arguments: EttinSize.allCases, ModelKind.allCases)
    func parameterCountsOfTheSuiteAreThePublishedOnes(size: EttinSize, kind: ModelKind) {
        let configuration = ModernBERTConfiguration.ettin(size: size, kind: kind)
        #expect(LanguageModel(configuration).parameterCount == configuration.parameterCount)
    }

    @Test func aStateThatDoesNotFitNamesEveryTensorAndChangesNothing() throws {
        let model = try Self.model(Self.goldens[0])
        let before = try model.parameters.map { try $0.tensor.array(of: Float.self) }
        var state = model.parameters
        state.removeFirst()
        state[0].tensor = Tensor.zeros([3])
        state.append(("extra.weight", Tensor.zeros([1])))
        #expect {
            try model.load(state)
        } throws: { error in
            let text = "\(error)"
            return text.contains("extra.weight") && text.contains("tok_embeddings.weight")
                && text.contains("shape [3]; expected [16]")
        }
        #expect(try model.parameters.map { try $0.tensor.array(of: Float.self) } == before)
    }
}
