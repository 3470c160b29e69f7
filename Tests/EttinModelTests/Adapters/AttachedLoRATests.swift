import EttinFiles
import EttinJSON
import TestSupport
import Testing
import Torch

@testable import EttinModel

/// Adapters that are attached, saved, and merged where a model is loaded.
@Suite struct AttachedLoRATests {
    static let batch = LanguageModelLossTests.batch

    struct Case: CustomStringConvertible {
        var kind = ModelKind.decoder
        var tied = true
        let description: String
        var change: @Sendable (inout LoRAConfiguration) -> Void = { _ in }
    }

    static let cases: [Case] = ModelKind.allCases.flatMap { kind in
        [
            Case(kind: kind, description: "\(kind) plain"),
            Case(kind: kind, tied: false, description: "\(kind) all-linear") { $0.targets = .allLinear },
            Case(kind: kind, description: "\(kind) DoRA") { $0.usesDecomposition = true },
            Case(kind: kind, description: "\(kind) rsLoRA, patterns") {
                $0.usesRankStabilization = true
                $0.rankPattern = [.init("Wi", 2)]
                $0.alphaPattern = [.init("mlp.Wo", 5)]
            },
            Case(kind: kind, description: "\(kind) modules_to_save") {
                $0.modulesToSave = ["head", "layers.1.attn", "final_norm"]
            },
            Case(kind: kind, description: "\(kind) embeddings") { $0.modulesToSave = ["tok_embeddings", "decoder"] },
        ]
    }

    /// A base in a folder, the model with adapters that have taken steps, and those.
    static func trained(_ test: Case, in folder: TemporaryFolder) throws -> (LanguageModel, AttachedLoRA) {
        let base = folder.file("base")
        try FilePath.makeFolder(base)
        try LanguageModelLossTests.model(test.kind, tied: test.tied).save(folder: base)
        let model = try LanguageModel.loadForTraining(folder: base)
        var configuration = LoRAConfiguration(targets: LoRAConfiguration.defaultTargets(of: test.kind))
        (configuration.rank, configuration.alpha, configuration.baseModel) = (3, 6, "base")
        test.change(&configuration)
        let lora = try AttachedLoRA(configuration, to: model, seed: 4)
        lora.freeze(model)
        try step(model)
        return (model, lora)
    }

    static func step(_ model: LanguageModel) throws {
        let optimizer = AdamW(model.trainedParameters.map(\.tensor), learningRate: 0.02)
        for _ in 0..<3 {
            let labels = LanguageModelLossTests.labels(model.configuration.kind)
            for (_, tensor) in model.trainedParameters { tensor.clearGradient() }
            model.loss(batch, labels: labels, training: DropoutContext(seed: 1, step: 0)).loss.backward()
            optimizer.step()
        }
    }

    @Test(arguments: cases)
    func whatIsSavedIsMergedWhereItIsLoaded(test: Case) throws {
        let folder = try TemporaryFolder()
        let (model, lora) = try Self.trained(test, in: folder)
        let output = withoutGradients { model(Self.batch) }
        let original = try LanguageModel.load(folder: folder.file("base"))
        #expect(try KVCacheTests.largestDifference(output, original(Self.batch)) > 1e-2)
        let adapter = folder.file("adapter")
        try FilePath.makeFolder(adapter)
        try model.save(folder: adapter)
        let names = try FilePath.names(inFolder: adapter)
        #expect(names == ["adapted_config.json", "adapter_config.json", "adapter_model.safetensors"])

        let opened = try AdapterFolder.opened(adapter)
        let merged = try LanguageModel.load(folder: opened)
        #expect(merged.adapterParameters.isEmpty)
        #expect(try KVCacheTests.largestDifference(output, merged(Self.batch)) < 1e-4)

        // The weights of the base again, with what is stored whole, and then the adapters: the same bits.
        let resumed = try LanguageModel.loadForTraining(folder: AdapterFolder.opened(adapter, isMerged: false))
        let again = try AttachedLoRA(lora.configuration, to: resumed, seed: 99)
        try again.load(folder: adapter, into: resumed)
        again.freeze(resumed)
        #expect(try withoutGradients { resumed(Self.batch) }.isEqual(to: output))
        #expect(resumed.trainedParameters.map(\.key) == model.trainedParameters.map(\.key))
        try Self.step(resumed)
        let copy = folder.file("copy")
        try FilePath.makeFolder(copy)
        try resumed.save(folder: copy)
        let (one, other) = try (
            TensorStore.open(file: adapter + "/adapter_model.safetensors"),
            TensorStore.open(file: copy + "/adapter_model.safetensors")
        )
        #expect(one.names == other.names)
    }

    @Test func onlyAdaptersAndSavedModulesAreTrained() throws {
        let folder = try TemporaryFolder()
        let test = Case(description: "") { $0.modulesToSave = ["final_norm"] }
        let (model, _) = try Self.trained(test, in: folder)
        let trained = model.trainedParameters.map(\.key)
        #expect(trained.filter { !$0.contains(".lora.") } == ["model.final_norm.weight"])
        let original = try LanguageModel.load(folder: folder.file("base"))
        let before = Dictionary(uniqueKeysWithValues: original.parameters.map { ($0.key, $0.tensor) })
        for (key, tensor) in model.baseParameters where !trained.contains(key) {
            #expect(try tensor.isEqual(to: #require(before[key])), "\(key)")
        }
    }

    @Test func aResizedVocabularyIsStored() throws {
        let folder = try TemporaryFolder()
        let base = folder.file("base")
        try FilePath.makeFolder(base)
        try LanguageModelLossTests.model(.decoder).save(folder: base)
        let model = try LanguageModel.loadForTraining(folder: base)
        let size = model.configuration.vocabularySize + 8
        model.resizeTokenEmbeddings(size, seed: 2)
        var configuration = LoRAConfiguration(targets: .names(["q_proj"]))
        configuration.baseModel = base
        let lora = try AttachedLoRA(configuration, to: model, seed: 4)
        let adapter = folder.file("adapter")
        try FilePath.makeFolder(adapter)
        try lora.save(model, toFolder: adapter)
        let store = try TensorStore.open(file: adapter + "/adapter_model.safetensors")
        for name in ["model.embeddings.tok_embeddings.weight", "decoder.weight", "decoder.bias"] {
            #expect(store.descriptor("base_model.model." + name)?.shape.first == size, "\(name)")
        }
        let loaded = try LanguageModel.load(folder: AdapterFolder.opened(adapter))
        #expect(loaded.configuration.vocabularySize == size && loaded.configuration.tiesWordEmbeddings)
        #expect(try KVCacheTests.largestDifference(loaded(Self.batch), withoutGradients { model(Self.batch) }) < 1e-5)
    }

    @Test func aBaseInHalfPrecisionStaysTiedAndOfOneType() throws {
        let folder = try TemporaryFolder()
        let (base, adapter) = (folder.file("base"), folder.file("adapter"))
        for path in [base, adapter] { try FilePath.makeFolder(path) }
        let half = LanguageModelLossTests.model(.decoder)
        withoutGradients { half.convert(to: .bfloat16) }
        try half.save(folder: base)
        let model = try LanguageModel.loadForTraining(folder: base)
        model.resizeTokenEmbeddings(model.configuration.vocabularySize + 8, seed: 2)
        var configuration = LoRAConfiguration(targets: .names(["q_proj"]))
        configuration.baseModel = base
        try AttachedLoRA(configuration, to: model, seed: 4).save(model, toFolder: adapter)
        let loaded = try LanguageModel.load(folder: AdapterFolder.opened(adapter))
        #expect(loaded.configuration.tiesWordEmbeddings)
        #expect(loaded.parameters.allSatisfy { $0.tensor.dtype == .bfloat16 })
    }

    @Test func anUntiedEmbeddingIsSavedWithoutTheOutputMatrix() throws {
        let folder = try TemporaryFolder()
        let test = Case(tied: false, description: "") { $0.modulesToSave = ["tok_embeddings"] }
        let (model, lora) = try Self.trained(test, in: folder)
        let output = withoutGradients { model(Self.batch) }
        let adapter = folder.file("adapter")
        try FilePath.makeFolder(adapter)
        try model.save(folder: adapter)
        let resumed = try LanguageModel.loadForTraining(folder: AdapterFolder.opened(adapter, isMerged: false))
        let again = try AttachedLoRA(lora.configuration, to: resumed, seed: 99)
        try again.load(folder: adapter, into: resumed)
        #expect(try withoutGradients { resumed(Self.batch) }.isEqual(to: output))
    }

    @Test(
        "An adapter that lacks what its configuration names is refused",
        arguments: [
            ("layers.1.mlp.Wi.", "lacks the matrices of \"layers.1.mlp.Wi\""), ("final_norm", "lacks the module"),
        ]
    )
    func anIncompleteAdapterIsRefused(dropped: String, text: String) throws {
        let folder = try TemporaryFolder()
        let (model, _) = try Self.trained(Case(description: "") { $0.modulesToSave = ["final_norm"] }, in: folder)
        let adapter = folder.file("adapter")
        try FilePath.makeFolder(adapter)
        try model.save(folder: adapter)
        let file = adapter + "/adapter_model.safetensors"
        let state = try TensorStore.open(file: file).stateDictionary().filter { !$0.key.contains(dropped) }
        let kept = state.map { TensorToWrite(name: $0.key, tensor: $0.tensor.copy()) }
        try SafetensorsWriter.write(kept, to: file, metadata: SafetensorsWriter.defaultMetadata)
        #expect {
            try LanguageModel.load(folder: AdapterFolder.opened(adapter))
        } throws: {
            "\($0)".contains(text)
        }
    }

    @Test func anAdapterIsNeitherSavedNorReadBesideWeights() throws {
        let folder = try TemporaryFolder()
        let (model, lora) = try Self.trained(Case(description: ""), in: folder)
        let base = folder.file("base")
        #expect {
            try model.save(folder: base)
        } throws: {
            "\($0)".contains("holds the weights of a model")
        }
        try lora.save(model, toFolder: base)
        #expect {
            try AdapterFolder.opened(base)
        } throws: {
            "\($0)".contains("beside the weights of a model")
        }
    }

    @Test func aClassifierOfTooManyLabelsIsRefused() throws {
        let folder = try TemporaryFolder()
        let (_, lora) = try Self.trained(Case(description: ""), in: folder)
        let adapter = folder.file("adapter")
        try FilePath.makeFolder(adapter)
        try JSONFile.write(.object(lora.configuration.json), toFolder: adapter, name: LoRAConfiguration.file)
        let tensor = TensorToWrite(name: "base_model.model.classifier.weight", tensor: .zeros([2_000_000, 0]))
        try SafetensorsWriter.write(
            [tensor],
            to: adapter + "/adapter_model.safetensors",
            metadata: SafetensorsWriter.defaultMetadata
        )
        #expect {
            try AdapterFolder.opened(adapter)
        } throws: {
            "\($0)".contains("has 2000000 rows")
        }
    }

    @Test func anAdapterOfAnotherBaseIsRefusedNamingBoth() throws {
        let folder = try TemporaryFolder()
        let (model, _) = try Self.trained(Case(description: ""), in: folder)
        let (adapter, other) = (folder.file("adapter"), folder.file("other"))
        for path in [adapter, other] { try FilePath.makeFolder(path) }
        try model.save(folder: adapter)
        try FilePath.remove(adapter + "/adapted_config.json")
        func refused(_ base: String, _ texts: String...) {
            #expect {
                try LanguageModel.load(folder: AdapterFolder.opened(adapter, base: base))
            } throws: { error in
                ([adapter, base] + texts).allSatisfy { "\(error)".contains($0) }
            }
        }
        try LanguageModelLossTests.model(.encoder).save(folder: other)
        refused(other, "_proj", "has no such tensor")
        var narrow = WeightInitializationTests.configuration(.decoder)
        narrow.intermediateSize *= 2
        let wide = LanguageModel(narrow)
        wide.initialize(.transformers, seed: 1)
        try wide.save(folder: other)
        refused(other, "mlp.Wi", "but the base")
        refused(adapter, "an adapter itself")
        try FilePath.removeFolder(folder.file("base"))
        #expect {
            try AdapterFolder.opened(adapter)
        } throws: {
            "\($0)".contains("is an adapter of \"base\"") && "\($0)".contains("ettin merge --base")
        }
        #expect(try AdapterFolder.opened(other) == other)
    }

    @Test func newAdaptersChangeNothingUnlessTheyAreToAndDependOnTheSeed() throws {
        let output = withoutGradients { LanguageModelLossTests.model(.decoder)(Self.batch) }
        for decomposes in [false, true] {
            for initialization in [LoRAConfiguration.Initialization.standard, .gaussian, .random] {
                func model(_ seed: UInt64) throws -> LanguageModel {
                    let model = LanguageModelLossTests.model(.decoder)
                    var configuration = LoRAConfiguration(targets: .allLinear)
                    configuration.initialization = initialization
                    configuration.usesDecomposition = decomposes
                    _ = try AttachedLoRA(configuration, to: model, seed: seed)
                    return model
                }
                let (one, same, other) = try (model(3), model(3), model(4))
                let difference = try KVCacheTests.largestDifference(output, withoutGradients { one(Self.batch) })
                #expect(initialization == .random ? difference > 1e-3 : difference < 1e-5)
                for ((key, first), (_, second)) in zip(one.adapterParameters, same.adapterParameters) {
                    #expect(try first.isEqual(to: second), "\(key)")
                }
                let matrices = zip(one.adapterParameters, other.adapterParameters).filter { $0.0.key.hasSuffix(".A") }
                for (first, second) in matrices { #expect(try !first.tensor.isEqual(to: second.tensor)) }
            }
        }
    }

    /// `models/lora` on `models/dec`, and the worked example of the specification.
    @Test(.enabled(if: SharedData.isAvailable, "needs the shared data"))
    func theGoldenAdapterGivesItsLogits() throws {
        let models = try #require(SharedData.folder) + "/golden/finetune/models"
        let batch = PackedBatch([[298, 257, 264, 258, 282, 299]])
        func first(_ model: LanguageModel) throws -> [Float] {
            let last = withoutGradients { model(batch) }.narrowed(along: 0, from: 5, count: 1)
            return Array(try last.reshaped(-1).array(of: Float.self).prefix(4))
        }
        let base: [Float] = [-0.85260636, -0.10135750, 0.26360470, -0.88173056]
        let adapted: [Float] = [-1.0640625, -0.30226591, -0.081812166, -0.62904406]
        let plain = try LanguageModel.loadForTraining(folder: models + "/dec")
        #expect(zip(try first(plain), base).allSatisfy { abs($0 - $1) < 1e-5 })
        let lora = try AttachedLoRA(LoRAConfiguration(folder: models + "/lora"), to: plain, seed: 0)
        try lora.load(folder: models + "/lora", into: plain)
        #expect(zip(try first(plain), adapted).allSatisfy { abs($0 - $1) < 1e-5 })
        // The base lies beside the adapter.
        let merged = try LanguageModel.load(folder: AdapterFolder.opened(models + "/lora"))
        #expect(zip(try first(merged), adapted).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func theWorkedExample() throws {
        let layer = Linear(3, 2, hasBias: false)
        layer.weight = Tensor([0.5, 0, 1, -1, 2, 0.25] as [Float], shape: [2, 3])
        let adapter = LowRankAdapter(3, 2, rank: 2, scale: 16 / 32)
        adapter.down = Tensor([1, 0, 2, 0.5, -1, 0] as [Float], shape: [2, 3])
        adapter.up = Tensor([0.1, 0.3, -0.2, 0.4] as [Float], shape: [2, 2])
        layer.attach(adapter, as: "lora")
        let x = Tensor([1, 2, -1] as [Float], shape: [1, 3])
        #expect(zip(try layer(x).array(of: Float.self), [-0.775, 2.55]).allSatisfy { abs($0 - $1) < 1e-6 })
        layer.mergeAdapters()
        let weight: [Float] = [0.625, -0.15, 1.1, -1, 1.8, 0.05]
        #expect(zip(try layer.weight.array(of: Float.self), weight).allSatisfy { abs($0 - $1) < 1e-6 })
    }
}
