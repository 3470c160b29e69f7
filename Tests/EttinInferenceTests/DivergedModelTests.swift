import EttinModel
import TestSupport
import Testing
import Torch

@testable import EttinInference

/// Weights that hold NaN or infinity, as training leaves them when it diverges.
@Suite struct DivergedModelTests {
    private static func checkpoint(_ kind: ModelKind, _ value: Float, in key: String) throws -> TinyCheckpoint {
        let checkpoint = try TinyCheckpoint(kind)
        let model = try LanguageModel.loadForTraining(folder: checkpoint.folder.path)
        let state = model.parameters.map { name, tensor in
            (key: name, tensor: name == key ? Tensor.full(tensor.shape, Double(value)) : tensor)
        }
        try model.load(state)
        try model.save(folder: checkpoint.folder.path)
        return checkpoint
    }

    @Test(arguments: [Float.nan, .infinity], [ComputeDType.float32, .bfloat16, .int8])
    func resultsAreErrorsThatNameTheTensor(value: Float, dtype: ComputeDType) throws {
        let options = ComputeOptions(dtype: dtype)
        func expect(_ tensor: String, _ body: () throws -> Void) {
            #expect {
                try body()
            } throws: {
                "\($0)".contains("NaN or infinite; the tensor \"\(tensor)\" holds \(value.isNaN ? "NaN" : "infinity")")
            }
        }
        let key = "model.layers.1.mlp.Wi.weight"
        let encoder = try Self.checkpoint(.encoder, value, in: key)
        expect(key) { _ = try encoder.loaded { try FillMaskPipeline(folder: $0, options: options)(["A [MASK]."]) } }
        expect(key) {
            _ = try encoder.loaded { try TextEmbeddingPipeline(folder: $0, options: options).encode(["A cat."]) }
        }
        let decoder = try Self.checkpoint(.decoder, value, in: key)
        for temperature in [0, 0.8] {
            expect(key) {
                let generator = try decoder.loaded { try TextGenerationPipeline(folder: $0, options: options) }
                var choice = GenerationOptions()
                choice.temperature = temperature
                _ = try generator.generate(["A cat"], options: choice)
            }
        }
        expect(key) { _ = try decoder.loaded { try BenchmarkModel(folder: $0, task: .encode, options: options) } }
    }

    @Test(arguments: [Float.nan, .infinity], [ComputeDType.float32, .bfloat16, .int8])
    func headsThatHoldNaNAreNamed(value: Float, dtype: ComputeDType) throws {
        let options = ComputeOptions(dtype: dtype)
        func expect<Model: PretrainedModel>(_ type: Model.Type, _ body: (String) throws -> Void) throws {
            let checkpoint = try TinyCheckpoint(type) { $0.labels = ["LABEL_0"] }
            let model = try type.loadForTraining(folder: checkpoint.folder.path)
            let state = model.parameters.map { name, tensor in
                (key: name, tensor: name == "classifier.bias" ? Tensor.full(tensor.shape, Double(value)) : tensor)
            }
            try model.load(state)
            try model.save(folder: checkpoint.folder.path)
            #expect {
                try checkpoint.loaded(body)
            } throws: {
                "\($0)".contains("NaN or infinite; the tensor \"classifier.bias\" holds")
            }
        }
        try expect(SequenceClassificationModel.self) {
            _ = try RerankingPipeline(folder: $0, options: options).rank("fox", ["sea"])
        }
        try expect(SequenceClassificationModel.self) {
            _ = try TextClassificationPipeline(folder: $0, options: options)(["fox"])
        }
        try expect(TokenClassificationModel.self) {
            _ = try TokenClassificationPipeline(folder: $0, options: options)(["fox"])
        }
        try expect(QuestionAnsweringModel.self) {
            _ = try QuestionAnsweringPipeline(folder: $0, options: options)([.init("fox", context: "sea")])
        }
        try expect(MultipleChoiceModel.self) {
            _ = try MultipleChoicePipeline(folder: $0, options: options)([.init("fox", choices: ["a", "b"])])
        }
    }

    @Test func weightsThatAreFiniteButTooLargeAreSaidToBe() throws {
        let encoder = try Self.checkpoint(.encoder, 3e38, in: "model.embeddings.tok_embeddings.weight")
        #expect {
            try encoder.loaded { try FillMaskPipeline(folder: $0)(["A [MASK]."]) }
        } throws: {
            "\($0)".contains("every weight is finite, but values grow too large on the way")
        }
    }

    @Test func infoNamesASmallTensor() throws {
        let encoder = try Self.checkpoint(.encoder, .nan, in: "model.final_norm.weight")
        let notices = try encoder.loaded { try CheckpointSummary(folder: $0).notices }
        #expect(notices.contains { $0.contains("\"model.final_norm.weight\" holds NaN") })
        #expect(try TinyCheckpoint(.encoder).loaded { try CheckpointSummary(folder: $0).notices }.isEmpty)
    }
}
