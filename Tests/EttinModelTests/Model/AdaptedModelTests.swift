import TestSupport
import Testing
import Torch

@testable import EttinModel

/// Adapters on every linear layer of a model.
@Suite struct AdaptedModelTests {
    static let batch = LanguageModelLossTests.batch

    /// A frozen model with an adapter on each linear layer, three on those that project to queries, keys and values.
    static func model(_ kind: ModelKind, dropout: Double = 0) -> LanguageModel {
        let model = LanguageModelLossTests.model(kind)
        attach(to: model, dropout: dropout)
        model.setRequiresGradient(false)
        model.setRequiresGradient(true) { $0.contains(".lora.") }
        return model
    }

    static func attach(to model: Module, dropout: Double = 0) {
        var places = LowRankAdapter.dropoutPlaces.makeIterator()
        for case (let key, let layer as Linear) in model.modules() {
            let names = key.hasSuffix("Wqkv") ? ["lora.q", "lora.k", "lora.v"] : ["lora"]
            let height = layer.outputSize / names.count
            for (index, name) in names.enumerated() {
                let place = places.next() ?? 0
                let generator = Philox(seed: 5, stream: UInt64(place))
                let adapter = LowRankAdapter(
                    layer.inputSize,
                    height,
                    rank: 3,
                    scale: 2,
                    dropout: dropout,
                    dropoutPlace: place,
                    generator: generator
                )
                adapter.up = (Tensor(generator.uniforms(count: 3 * height), shape: [height, 3]) * 2 - 1) * 0.1
                layer.attach(adapter, as: name, rows: index * height..<(index + 1) * height)
            }
        }
    }

    static func gradients(
        _ model: LanguageModel,
        recomputes: Bool,
        precision: Precision = .full
    ) throws -> StateDictionary {
        let labels = LanguageModelLossTests.labels(model.configuration.kind)
        let pass = DropoutContext(seed: 2, step: 3, recomputesActivations: recomputes)
        model.loss(batch, labels: labels, training: pass, precision: precision).loss.backward()
        return model.parameters.compactMap { key, tensor in
            let gradient = tensor.gradient?.copy()
            tensor.clearGradient()
            return gradient.map { (key, $0) }
        }
    }

    @Test(arguments: ModelKind.allCases, [0.0, 0.25])
    func onlyAdaptersHaveGradientsAndRecomputationKeepsThem(kind: ModelKind, dropout: Double) throws {
        let model = Self.model(kind, dropout: dropout)
        let kept = try Self.gradients(model, recomputes: false)
        #expect(kept.map(\.key) == model.adapterParameters.map(\.key) && kept.count == 2 * (4 * 6 + 1))
        #expect(kept.contains { $0.key == "model.layers.0.attn.Wqkv.lora.q.A" })
        #expect(kept.contains { $0.key == "head.dense.lora.B" })
        for (key, gradient) in kept { #expect(try gradient.absolute().max().scalar() > 0, "\(key)") }
        let again = try Self.gradients(model, recomputes: true)
        #expect(again.map(\.key) == kept.map(\.key))
        for ((key, one), (_, other)) in zip(kept, again) { #expect(try one.isEqual(to: other), "\(key)") }
    }

    @Test(arguments: ModelKind.allCases)
    func mixedPrecisionGivesFloat32GradientsNearby(kind: ModelKind) throws {
        let model = Self.model(kind)
        let exact = try Self.gradients(model, recomputes: true)
        let mixed = try Self.gradients(model, recomputes: true, precision: .mixedBFloat16)
        #expect(mixed.map(\.key) == exact.map(\.key))
        for ((key, one), (_, other)) in zip(exact, mixed) {
            #expect(other.dtype == .float32)
            let error = try (one - other).norm().scalar() / one.norm().scalar()
            #expect(error < 0.2, "\(key): \(error)")
        }
    }

    @Test func someAdaptersMayTrainAlone() throws {
        let model = Self.model(.encoder)
        model.setRequiresGradient(false)
        model.setRequiresGradient(true) { $0.contains("layers.2.") && $0.contains("lora.v") }
        let keys = ["A", "B"].map { "model.layers.2.attn.Wqkv.lora.v.\($0)" }
        #expect(try Self.gradients(model, recomputes: true).map(\.key) == keys)
    }

    @Test(arguments: ModelKind.allCases)
    func mergedAndPackedModelsComputeTheSame(kind: ModelKind) throws {
        let model = Self.model(kind)
        let apart = model(Self.batch).detached()
        model.mergeAdapters()
        #expect(try KVCacheTests.largestDifference(apart, model(Self.batch).detached()) < 1e-4)
        model.unmergeAdapters()
        #expect(try apart.isEqual(to: model(Self.batch)))
        model.prepackWeights(.float32)
        #expect(try KVCacheTests.largestDifference(apart, withoutGradients { model(Self.batch) }) < 1e-4)
    }

    @Test func aCheckpointNeverHoldsAdapters() throws {
        let folder = try TemporaryFolder()
        let model = Self.model(.decoder)
        #expect {
            try model.save(folder: folder.path)
        } throws: {
            "\($0)".contains("would lack the adapters") && "\($0)".contains("merged first")
        }
        #expect(try folder.names.isEmpty)
        #expect(model.checkpointState.allSatisfy { !$0.key.contains("lora") })
        model.mergeAdapters()
        try model.save(folder: folder.path)
        let loaded = try LanguageModel.load(folder: folder.path)
        #expect(loaded.adapterParameters.isEmpty)
        #expect(try loaded(Self.batch).isEqual(to: model(Self.batch)))
    }

    @Test func aPackedModelIsNotSaved() throws {
        let folder = try TemporaryFolder()
        let (model, embedding) = (LanguageModelLossTests.model(.encoder), try EmbeddingModelTests.model())
        model.prepackWeights(.float32)
        embedding.trunk?.prepackWeights(.float32)
        for save in [{ try model.save(folder: $0) }, { try embedding.save(folder: $0) }] as [(String) throws -> Void] {
            #expect {
                try save(folder.path)
            } throws: {
                "\($0)".contains("prepacked for inference") && "\($0)".contains("expected a model loaded for training")
            }
        }
        #expect(try folder.names.isEmpty)
    }

    @Test func newWeightsLeaveAdaptersAlone() throws {
        let model = Self.model(.encoder)
        let before = try model.adapterParameters.map { try $0.tensor.array(of: Float.self) }
        model.initialize(.transformers, seed: 99)
        #expect(try model.adapterParameters.map { try $0.tensor.array(of: Float.self) } == before)
    }
}
