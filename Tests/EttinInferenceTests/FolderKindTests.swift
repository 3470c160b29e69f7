import EttinJSON
import EttinModel
import TestSupport
import Testing
import Torch

@testable import EttinInference

/// Folders of another kind say what they are; those that transformers loads are loaded.
@Suite struct FolderKindTests {
    private static func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch {
            return "\(error)"
        }
    }

    private static let modules = """
        [{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
         {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]
        """

    @Test(
        arguments: [
            ("CrossEncoder", "is a reranker (cross-encoder), which scores pairs of texts", "rerank"),
            ("MultiVectorEncoder", "is a multi-vector (ColBERT) model", "embed"),
            ("ColBERT", "is a multi-vector (ColBERT) model", "embed"),
            ("SparseEncoder", "is a sparse (SPLADE) model", "sparse"),
        ]
    )
    func modelsOfOtherLibrariesMakeNoEmbeddings(type: String, phrase: String, command: String) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try checkpoint.folder.write(Self.modules, "modules.json")
        try checkpoint.folder.write("{\"model_type\": \"\(type)\"}", "config_sentence_transformers.json")
        let text = Self.message { _ = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) } }
        #expect(text.contains(phrase) && text.hasSuffix("expected an embedding model; use `ettin \(command)`"), "\(text)")
    }

    @Test(
        arguments: [
            ("ForSequenceClassification", "a classifier of texts"), ("ForTokenClassification", "a token classifier"),
            ("ForQuestionAnswering", "a question-answering model"), ("ForMultipleChoice", "a multiple-choice model"),
        ]
    )
    func classifiersDoNothingElse(ending: String, phrase: String) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        var configuration = checkpoint.configuration
        configuration.architectures = ["ModernBert" + ending]
        try configuration.write(toFolder: checkpoint.folder.path, format: .version4)
        for text in [
            Self.message { _ = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) } },
            Self.message { _ = try checkpoint.loaded { try FillMaskPipeline(folder: $0) } },
        ] { #expect(text.contains("is \(phrase)"), "\(text)") }
        // Who says how to pool means the transformer.
        #expect(throws: Never.self) { try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0, pooling: .mean) } }
    }

    @Test func aTransformerWithoutAHeadFillsNoMasks() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try ModernBERT.load(folder: checkpoint.folder.path).save(folder: checkpoint.folder.path)
        let text = Self.message { _ = try checkpoint.loaded { try FillMaskPipeline(folder: $0) } }
        #expect(text.contains("holds a transformer without a language-model head"), "\(text)")
        #expect(try FolderEvidence(folder: checkpoint.folder.path)?.kind == .backbone)
    }

    // Values from transformers 5.23, in which the file decides.
    @Test func aHeadOfItsOwnIsUsedWhateverTheConfigurationSays() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let tied = try LanguageModel.load(folder: checkpoint.folder.path)
        let embedding = try #require(tied.parameters.first { $0.key.hasSuffix("tok_embeddings.weight") }?.tensor)
        func write(_ output: Tensor, withoutEmbedding: Bool = false) throws {
            var state = tied.checkpointState + [(key: "decoder.weight", tensor: output)]
            if withoutEmbedding { state.removeAll { $0.key.hasSuffix("tok_embeddings.weight") } }
            let tensors = state.map { TensorToWrite(name: $0.key, tensor: $0.tensor) }
            try SafetensorsWriter.write(tensors, to: checkpoint.folder.file("model.safetensors"))
        }
        let batch = PackedBatch([[1, 20, 4, 2]])
        func logits() throws -> Tensor {
            let model = try LanguageModel.load(folder: checkpoint.folder.path)
            return withoutGradients { model(batch) }
        }
        let expected = withoutGradients { tied(batch) }
        let own = (embedding * -2).copy()
        let parameters = tied.parameterCount
        try write(own)
        #expect(try !logits().isEqual(to: expected))
        let model = try LanguageModel.load(folder: checkpoint.folder.path)
        #expect(!model.configuration.tiesWordEmbeddings && model.parameterCount > parameters)
        let notices = try checkpoint.loaded { try FillMaskPipeline(folder: $0).notices }
        #expect(notices.contains { $0.contains("\"decoder.weight\" differs from the embedding") })
        #expect(try CheckpointSummary(folder: checkpoint.folder.path).parameterCount == model.parameterCount)
        try write(embedding.copy())
        #expect(try logits().isEqual(to: expected))
        #expect(try LanguageModel.load(folder: checkpoint.folder.path).configuration.tiesWordEmbeddings)
        try write(embedding.copy(), withoutEmbedding: true)
        #expect(try logits().isEqual(to: expected))
    }

    @Test(arguments: ["module.", "_orig_mod.", "bert."])
    func namesOfAWrappedModelGetASentence(prefix: String) throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        try rename(checkpoint) { prefix + $0 }
        let text = Self.message { _ = try checkpoint.loaded { try FillMaskPipeline(folder: $0) } }
        #expect(text.contains("names have \"\(prefix)\" in them") && !text.contains("\n"), "\(text)")
    }

    @Test func aModelThatWasAnAttributeLoads() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        let expected = try checkpoint.loaded { try FillMaskPipeline(folder: $0)(["A [MASK]."]) }
        try rename(checkpoint) { "model." + $0 }
        #expect(try checkpoint.loaded { try FillMaskPipeline(folder: $0)(["A [MASK]."]) } == expected)
    }

    private func rename(_ checkpoint: TinyCheckpoint, _ name: (String) -> String) throws {
        let model = try LanguageModel.loadForTraining(folder: checkpoint.folder.path)
        let tensors = model.checkpointState.map { TensorToWrite(name: name($0.key), tensor: $0.tensor) }
        try SafetensorsWriter.write(tensors, to: checkpoint.folder.file("model.safetensors"))
    }

    @Test func keysWithoutEffectAreNamed() throws {
        let checkpoint = try TinyCheckpoint(.encoder)
        var configuration = checkpoint.configuration
        configuration.otherKeys = ["window_size": 3, "auto_map": ["AutoModel": "x.X"], "is_causal": true]
        configuration.dtype = "bfloat16"
        try configuration.write(toFolder: checkpoint.folder.path, format: .version4)
        #expect(
            try checkpoint.loaded { try FillMaskPipeline(folder: $0).notices } == [
                "config.json: \"auto_map\" names Python code, which is not run",
                "config.json: \"is_causal\" is true, which has no effect: the model is run as encoder",
                "config.json: no effect of \"window_size\"",
                "config.json: the dtype is bfloat16, but the weights are float32; they are computed with as they are "
                    + "(--dtype converts)",
            ]
        )
    }
}
