import EttinJSON
import EttinModel
import Foundation
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
        #expect(
            text.contains(phrase) && text.hasSuffix("expected an embedding model; use `ettin \(command)`"),
            "\(text)"
        )
    }

    struct Files: CustomTestStringConvertible, Sendable {
        let kind: FolderKind
        var files: [String: String] = [:]
        var modules: [(type: String, settings: String)] = []
        var testDescription: String { "\(kind.rawValue) \(files.keys.sorted()) \(modules.map(\.type))" }
    }

    private static let scorer = #"{"module_output_name": "scores"}"#
    private static let tokens = #"{"module_input_name": "token_embeddings"}"#
    private static func type(_ name: String) -> [String: String] {
        ["config_sentence_transformers.json": "{\"model_type\": \"\(name)\"}"]
    }
    private static func architecture(_ name: String) -> [String: String] {
        ["config.json": "{\"architectures\": [\"\(name)\"]}"]
    }
    private static let transformer = (type: "x.Transformer", settings: "{}")

    /// Evidence that contradicts later evidence, in the order in which it counts.
    static let folders = [
        Files(kind: .gliner, files: ["gliner_config.json": "{}", "adapter_config.json": "{}"], modules: [transformer]),
        Files(kind: .adapter, files: ["adapter_config.json": "{}"], modules: [transformer]),
        Files(
            kind: .maskedLM,
            files: ["adapter_config.json": "{}", "model.safetensors": ""].merging(architecture("XForMaskedLM")) { $1 }
        ),
        Files(kind: .reranker, files: type("CrossEncoder"), modules: [transformer, ("x.MultiVectorMask", "{}")]),
        Files(
            kind: .reranker,
            files: type("SentenceTransformer"),
            modules: [transformer, ("x.Pooling", "{}"), ("x.Dense", scorer)]
        ),
        Files(kind: .multiVector, files: type("ColBERT"), modules: [transformer, ("x.SpladePooling", "{}")]),
        Files(kind: .multiVector, modules: [transformer, ("pylate.models.Dense.Dense", "{}")]),
        Files(kind: .multiVector, modules: [transformer, ("x.Dense", tokens), ("x.MultiVectorMask", "{}")]),
        Files(kind: .multiVector, files: architecture("HF_ColBERT")),
        Files(kind: .sparse, files: type("SparseEncoder"), modules: [transformer, ("x.Pooling", "{}")]),
        Files(kind: .sparse, modules: [("x.SparseStaticEmbedding", "{}")]),
        Files(kind: .sparse, modules: [("x.MLMTransformer", "{}"), ("x.SpladePooling", "{}")]),
        Files(
            kind: .embedding,
            files: architecture("XForMaskedLM"),
            modules: [transformer, ("x.Pooling", "{}"), ("x.Dense", "{}")]
        ),
        Files(kind: .embedding, modules: [("x.StaticEmbedding", "{}"), ("x.Dense", "{}")]),
        Files(kind: .tagger, files: architecture("XForTokenClassification")),
        Files(kind: .classifier, files: architecture("XForSequenceClassification")),
        Files(kind: .questionAnswering, files: architecture("XForQuestionAnswering")),
        Files(kind: .multipleChoice, files: architecture("XForMultipleChoice")),
        Files(kind: .causalLM, files: architecture("XForCausalLM")),
        Files(kind: .backbone, files: architecture("XModel")),
    ]

    @Test(arguments: folders)
    func theMostTellingFileDecides(files: Files) throws {
        let folder = try TemporaryFolder()
        for (name, text) in files.files { try folder.write(text, name) }
        if !files.modules.isEmpty {
            let entries = try files.modules.enumerated().map { index, module -> String in
                let path = index == 0 ? "" : "\(index)_M"
                if index > 0 {
                    let place = folder.file(path)
                    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
                    try folder.write(module.settings, path + "/config.json")
                }
                return #"{"type": "\#(module.type)", "path": "\#(path)"}"#
            }
            try folder.write("[\(entries.joined(separator: ", "))]", "modules.json")
        }
        #expect(try FolderEvidence(folder: folder.path)?.kind == files.kind)
    }

    @Test func aTransformerMayScorePairsByItself() throws {
        let folder = try TemporaryFolder()
        try folder.write(#"[{"type": "x.Transformer", "path": ""}]"#, "modules.json")
        try folder.write(#"{"transformer_task": "sequence-classification"}"#, "sentence_bert_config.json")
        let evidence = try #require(try FolderEvidence(folder: folder.path))
        #expect(
            evidence.kind == .reranker && evidence.reason.hasPrefix("sentence_bert_config.json: \"transformer_task\"")
        )
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
