import EttinJSON
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinModel

@Suite struct EmbeddingModelTests {
    static let batch = LanguageModelLossTests.batch

    static func trunk(_ kind: ModelKind = .encoder) -> ModernBERT {
        var configuration = WeightInitializationTests.configuration(kind)
        configuration.localAttention = 8
        configuration.initializerRange = 0.1
        let trunk = ModernBERT(configuration)
        trunk.initialize(.transformers, seed: 12)
        return trunk
    }

    static func dense(
        _ inputs: Int,
        _ outputs: Int,
        hasBias: Bool = true,
        activation: Activation = .tanh,
        usesResidual: Bool = false
    ) -> DenseModule {
        let module = DenseModule(
            inputs,
            outputs,
            hasBias: hasBias,
            activation: activation,
            usesResidual: usesResidual
        )
        for (index, (_, reference)) in module.parameterReferences.enumerated() {
            let shape = reference.tensor.shape
            let values = Philox(seed: 8, stream: UInt64(index)).uniforms(count: shape.reduce(1, *))
            reference.tensor = (Tensor(values, shape: shape) * 2 - 1) * 0.2
        }
        return module
    }

    /// Every kind of module that there is, twice where it can be.
    static func model(_ kind: ModelKind = .encoder) throws -> EmbeddingModel {
        var settings = EmbeddingSettings()
        settings.prompts = ["query": "q: ", "document": ""]
        settings.defaultPromptName = "document"
        settings.similarity = .dot
        settings.truncateDimension = 8
        settings.maxSequenceLength = 50
        return try EmbeddingModel(
            [
                TransformerModule(trunk(kind)), PoolingModule([.mean, .cls], includesPrompt: false),
                dense(128, 24, hasBias: false, activation: .gelu, usesResidual: true),
                dense(24, 24, activation: .identity, usesResidual: true), NormalizeModule(),
            ],
            settings: settings
        )
    }

    // MARK: - Training

    @Test func parametersHaveTheNumberOfTheirModule() throws {
        let keys = try Self.model().parameters.map(\.key)
        #expect(keys.first == "0.embeddings.tok_embeddings.weight" && keys.contains("0.layers.3.mlp.Wo.weight"))
        let after = ["2.linear.weight", "2.residual.weight", "3.linear.weight", "3.linear.bias"]
        #expect(keys.suffix(4) == after[...])
    }

    @Test(arguments: ModelKind.allCases, [true, false])
    func gradientsReachEveryParameterAndAgreeWithDifferences(kind: ModelKind, recomputes: Bool) throws {
        let model = try Self.model(kind)
        model.setRequiresGradient(true)
        let pass = DropoutContext(recomputesActivations: recomputes)
        func loss() -> Tensor {
            let vectors = model(Self.batch, promptTokenCounts: [2, 0, 1], training: pass)
            return (vectors * Tensor((0..<72).map { Float($0 % 7) - 3 }, shape: [3, 24])).sum()
        }
        loss().backward()
        for (key, tensor) in model.parameters {
            #expect(try #require(tensor.gradient, "\(key)").absolute().max().scalar() > 0, "\(key)")
        }
        let weight = try #require(model.parameters.first { $0.key == "2.linear.weight" }).tensor
        let gradient = try #require(weight.gradient).copy()
        let direction = gradient / (try gradient.norm().scalar())
        let (step, original) = (1e-2, weight.detached().copy())
        let slope = try withoutGradients {
            weight.assign(original + direction * step)
            let above = try loss().scalar()
            weight.assign(original - direction * step)
            return (above - (try loss().scalar())) / (2 * step)
        }
        #expect(abs(slope / (try gradient.norm().scalar()) - 1) < 0.02)
    }

    @Test func mixedPrecisionIsNearAndEndsInFloat32() throws {
        let model = try Self.model()
        let (exact, mixed) = (model(Self.batch), model(Self.batch, precision: .mixedBFloat16))
        #expect(mixed.dtype == .float32)
        #expect(try (exact * mixed).sum(along: 1).min().scalar() > 0.99)
        #expect(try (exact - mixed).absolute().max().scalar() > 1e-6)
        let norms = try mixed.norm(along: 1).array(of: Float.self)
        #expect(norms.allSatisfy { abs($0 - 1) < 1e-6 })
    }

    @Test func adaptersTrainAlone() throws {
        let model = try Self.model()
        AdaptedModelTests.attach(to: model)
        model.setRequiresGradient(true) { $0.contains(".lora.") }
        model(Self.batch, training: DropoutContext(recomputesActivations: true)).sum().backward()
        let withGradients = model.parameters.filter { $0.tensor.gradient != nil }.map(\.key)
        #expect(withGradients == model.adapterParameters.map(\.key) && withGradients.count == 2 * (4 * 6 + 3))
        #expect(withGradients.contains("2.residual.lora.A"))
        let folder = try TemporaryFolder()
        #expect(throws: CheckpointError.self) { try model.save(folder: folder.path) }
        #expect(try folder.names.isEmpty)
    }

    // MARK: - Folders

    @Test(arguments: ModelKind.allCases)
    func foldersComeBackAsTheyWere(kind: ModelKind) throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(kind)
        try model.save(folder: folder.path)
        #expect(
            try folder.names == [
                "1_Pooling", "2_Dense", "3_Dense", "4_Normalize", "config.json", "config_sentence_transformers.json",
                "model.safetensors", "modules.json", "sentence_bert_config.json",
            ]
        )
        let loaded = try EmbeddingModel(folder: folder.path)
        #expect(loaded.settings == model.settings && loaded.poolings == [.mean, .cls] && !loaded.includesPrompt)
        #expect(try loaded.normalizes && loaded.dimensions == 24 && loaded.chain.input().folder == folder.path)
        #expect(loaded.parameters.map(\.key) == model.parameters.map(\.key))
        let counts = [2, 1, 0]
        let isEqual = try loaded(Self.batch, promptTokenCounts: counts)
            .isEqual(to: model(Self.batch, promptTokenCounts: counts))
        #expect(isEqual)
        let again = try TemporaryFolder()
        try loaded.save(folder: again.path)
        #expect(try LoadingForTrainingTests.contents(again) == LoadingForTrainingTests.contents(folder))
    }

    @Test func filesAreThoseOfTheLayoutThatAllVersionsRead() throws {
        let folder = try TemporaryFolder()
        let model = try EmbeddingModel(
            [TransformerModule(Self.trunk()), PoolingModule([.cls, .mean]), Self.dense(128, 8)]
        )
        try model.save(folder: folder.path)
        func json(_ name: String) throws -> JSONValue { try JSONValue(parsing: folder.read(name)) }
        #expect(
            try json("1_Pooling/config.json") == [
                "word_embedding_dimension": 64, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true,
                "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false,
                "pooling_mode_weightedmean_tokens": false, "pooling_mode_lasttoken": false, "include_prompt": true,
            ]
        )
        #expect(
            try json("2_Dense/config.json") == [
                "in_features": 128, "out_features": 8, "bias": true,
                "activation_function": "torch.nn.modules.activation.Tanh",
            ]
        )
        let modules = try #require(try json("modules.json").arrayValue)
        #expect(
            modules[2] == [
                "idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense",
            ]
        )
        #expect(try json("sentence_bert_config.json") == ["do_lower_case": false])
        let about = try json("config_sentence_transformers.json")
        #expect(about["model_type"] == "SentenceTransformer" && about["prompts"] == ["query": "", "document": ""])
        #expect(about["default_prompt_name"] == .null && about["truncate_dim"] == nil)
    }

    @Test func aStepChangesTheModelAndNotItsFolder() throws {
        let folder = try TemporaryFolder()
        try Self.model().save(folder: folder.path)
        let files = try LoadingForTrainingTests.contents(folder)
        let model = try EmbeddingModel.loadForTraining(folder: folder.path)
        #expect(model.parameters.allSatisfy { !$0.tensor.isBorrowed })
        model.setRequiresGradient(true)
        let before = withoutGradients { model(Self.batch) }
        let optimizer = AdamW(model.parameters.map(\.tensor))
        model(Self.batch, training: DropoutContext()).sum().backward()
        optimizer.step()
        #expect(try !before.isEqual(to: withoutGradients { model(Self.batch) }))
        #expect(try LoadingForTrainingTests.contents(folder) == files)
    }

    // MARK: - Bad input

    struct Broken: CustomTestStringConvertible, Sendable {
        let modules: String
        var dense = #"{"in_features": 64, "out_features": 4}"#
        let message: String
        var testDescription: String { message }
    }

    private static func entry(_ type: String, _ path: String) -> String { #"{"type": "\#(type)", "path": "\#(path)"}"# }
    private static let (first, pooling) = (entry("models.Transformer", ""), entry("models.Pooling", "1_Pooling"))
    private static let dense = entry("models.Dense", "2_Dense")

    static let broken = [
        Broken(
            modules: "[\(pooling)]",
            message: "modules.json: module 0 is \"models.Pooling\"; expected Transformer"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(entry("x.LSTM", "2"))]",
            message: "module 2 is \"x.LSTM\"; expected one of Transformer, Pooling, Dense, Normalize"
        ),
        Broken(
            modules: "[\(first), \(entry("pylate.models.Dense.Dense", "2_Dense"))]",
            message: "is a multi-vector (ColBERT) model, which gives a vector for each token "
                + "(modules.json has a Dense and no Pooling)"
        ),
        Broken(modules: "[\(first)]", message: "modules.json: has no Pooling; expected one after Transformer"),
        Broken(
            modules: "[\(first), \(first)]",
            message: "module 1, Transformer, is not the first module; expected one Transformer, in first place"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(dense)]",
            dense: #"{"in_features": 64, "out_features": 4, "module_output_name": "scores"}"#,
            message: "is a reranker (cross-encoder), which scores pairs of texts "
                + "(2_Dense/config.json writes \"scores\")"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(dense)]",
            dense: #"{"in_features": 32, "out_features": 4}"#,
            message: "\"in_features\" of a Dense module is 32; expected 64, the width before it"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(dense)]",
            dense: #"{"in_features": 64, "out_features": 4, "activation_function": "torch.nn.ELU"}"#,
            message: "2_Dense/config.json: \"activation_function\" is \"torch.nn.ELU\"; expected torch's Identity, Tanh"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(dense)]",
            dense: #"{"in_features": 64, "out_features": 4, "activation_function": "my.module.GELU"}"#,
            message: "2_Dense/config.json: \"activation_function\" is \"my.module.GELU\"; expected torch's Identity"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(dense)]",
            dense: #"{"in_features": 64, "out_features": 4, "module_input_name": 3}"#,
            message: "2_Dense/config.json: \"module_input_name\" is 3; expected a string"
        ),
        Broken(
            modules: "[\(first), \(dense)]",
            dense: #"{"in_features": 64, "out_features": 4, "module_input_name": "token_embeddings", "#
                + #""module_output_name": "sentence_embedding"}"#,
            message: "is a multi-vector (ColBERT) model, which gives a vector for each token "
                + "(modules.json has a Dense and no Pooling)"
        ),
        Broken(
            modules: "[\(first), \(pooling), \(dense), \(pooling)]",
            dense: #"{"in_features": 64, "out_features": 4, "module_output_name": "token_embeddings"}"#,
            message: "module 3, Pooling, reads \"token_embeddings\", which has a vector for each sequence; "
                + "expected one for each token"
        ),
        Broken(modules: "{}", message: "modules.json: is not a list of modules"),
    ]

    @Test(arguments: broken)
    func modulesThatDoNotFitAreNamed(broken: Broken) throws {
        let folder = try TemporaryFolder()
        try Self.trunk().save(folder: folder.path)
        try folder.write(broken.modules, "modules.json")
        try FileManager.default.createDirectory(
            atPath: folder.file("2_Dense"),
            withIntermediateDirectories: false
        )
        try folder.write(broken.dense, "2_Dense/config.json")
        try FileManager.default.createDirectory(
            atPath: folder.file("1_Pooling"),
            withIntermediateDirectories: false
        )
        try folder.write("{}", "1_Pooling/config.json")
        let size = broken.dense.contains("32") ? 32 : 64
        let state = [("linear.weight", Tensor.zeros([4, size])), ("linear.bias", .zeros([4]))]
        try SafetensorsWriter.write(
            state.map { TensorToWrite(name: $0, tensor: $1) },
            to: folder.file("2_Dense/model.safetensors")
        )
        #expect {
            try EmbeddingModel(folder: folder.path)
        } throws: {
            "\($0)".contains(broken.message)
        }
    }

    // MARK: - Folders of the originals

    private static func golden(_ name: String) throws -> String {
        try #require(SharedData.folder) + "/golden/descendants/" + name
    }

    @Test(
        .enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"),
        arguments: ["dense-chain", "dense-chain-v5"]
    )
    func foldersOfBothGenerationsGiveTheOriginalsVectorsAndSoDoTheirCopies(name: String) throws {
        let folder = try Self.golden(name)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/expected.json"))
        let expected = try JSONValue(parsing: [UInt8](bytes))
        func rows(_ value: JSONValue?) -> [[Double]] {
            value?.arrayValue?.map { $0.arrayValue?.compactMap(\.doubleValue) ?? [] } ?? []
        }
        let batch = PackedBatch(rows(expected["input_ids"]?[""]).map { $0.map { Int32($0) } })
        let vectors = rows(expected["encode_no_prompt"])
        let model = try EmbeddingModel(folder: folder)
        let copy = try TemporaryFolder()
        try model.save(folder: copy.path)
        for model in [model, try EmbeddingModel(folder: copy.path)] {
            #expect(model.normalizes && model.dimensions == 12 && !model.includesPrompt)
            let values = try model(batch).array(of: Float.self)
            for (index, row) in vectors.enumerated() {
                let ours = values[index * 12..<index * 12 + row.count]
                #expect(row.count >= 8 && zip(ours, row).allSatisfy { abs(Double($0) - $1) < 1e-5 }, "\(index)")
            }
            #expect(vectors.count == batch.sequenceCount)
        }
    }

    @Test(
        .enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"),
        arguments: [
            ("reranker-modular", "is a reranker (cross-encoder)"),
            ("reranker-modular-short", "is a reranker (cross-encoder)"),
            ("colbert-pylate", "is a multi-vector (ColBERT) model"),
            ("colbert-mv6", "is a multi-vector (ColBERT) model"),
            ("sparse-router", "is a sparse (SPLADE) model"),
        ]
    )
    func otherKindsOfModelsAreRefused(name: String, message: String) throws {
        let folder = try Self.golden(name)
        #expect {
            try EmbeddingModel(folder: folder)
        } throws: {
            "\($0)".contains(message)
        }
    }
}
