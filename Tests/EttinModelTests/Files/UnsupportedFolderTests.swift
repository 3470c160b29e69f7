import EttinFiles
import EttinJSON
import TestSupport
import Testing
import Torch

@testable import EttinModel

/// Each refusal says what the folder is and what would work.
@Suite struct UnsupportedFolderTests {
    struct Folder: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let files: [String: String]
        let words: [String]
    }

    static let modernBERT =
        #"{"model_type":"modernbert","vocab_size":400,"hidden_size":64,"num_attention_heads":4,"pad_token_id":3}"#

    static let folders = [
        Folder(
            testDescription: "GLiNER",
            files: ["gliner_config.json": "{}", "pytorch_model.bin": "x"],
            words: ["is a GLiNER model (gliner_config.json is there)", "the Python package gliner runs this one"]
        ),
        Folder(
            testDescription: "an adapter",
            files: [
                "adapter_config.json": #"{"peft_type":"LORA","base_model_name_or_path":"jhu-clsp/ettin-encoder-17m"}"#
            ],
            words: [
                #"is an adapter of type "LORA" for "jhu-clsp/ettin-encoder-17m""#, "adapter_config.json is there",
                "merge_and_unload()",
            ]
        ),
        Folder(
            testDescription: "an adapter beside its configuration",
            files: ["adapter_config.json": "{}", "config.json": modernBERT],
            words: ["is an adapter for a model that it does not name"]
        ),
        Folder(
            testDescription: "ONNX",
            files: ["config.json": modernBERT, "model_quantized.onnx": "x"],
            words: [#"has its weights as ONNX only ("model_quantized.onnx")"#, "expected model.safetensors"]
        ),
        Folder(
            testDescription: "GGUF",
            files: ["ettin-17m-Q8_0.gguf": "x"],
            words: [#"has its weights as GGUF only ("ettin-17m-Q8_0.gguf")"#]
        ),
        Folder(
            testDescription: "BERT",
            files: ["config.json": #"{"model_type":"bert"}"#, "model.safetensors": "x"],
            words: [
                #""model_type" is "bert", another architecture"#, #"expected "modernbert" or "modernbert-decoder""#,
            ]
        ),
        Folder(
            testDescription: "images",
            files: ["config.json": #"{"model_type":"modernvbert","auto_map":{"AutoModel":"a.B"}}"#],
            words: [#"is "modernvbert", a model of images whose Python code ("auto_map") is not run"#]
        ),
        Folder(
            testDescription: "quantized",
            files: ["config.json": String(modernBERT.dropLast()) + #","quantization_config":{"quant_method":"awq"}}"#],
            words: [#"the weights are quantized by "awq"; expected the original weights"#]
        ),
        Folder(testDescription: "nothing", files: [:], words: ["config.json: cannot be opened"]),
    ]

    @Test(arguments: folders)
    func refused(folder: Folder) throws {
        try withTemporaryFolder { place in
            for (name, content) in folder.files { try place.write(content, name) }
            let error = #expect(throws: CheckpointError.self) { try ModernBERT.load(folder: place.path) }
            let text = try #require(error).description
            for words in folder.words { #expect(text.contains(words), "\(text)") }
            #expect(!text.contains("\n"))
        }
    }

    @Test(arguments: [
        ["query_0_Transformer/model.safetensors", "document_0_Transformer/model.safetensors", "onnx/model.onnx"],
        ["0_Transformer/pytorch_model.bin", "openvino/openvino_model.xml"],
        ["0_Transformer/model.safetensors", "model-Q8_0.gguf"],
    ])
    func otherFormatsBesideModulesWithWeightsAreNoMatter(files: [String]) throws {
        try withTemporaryFolder { place in
            try place.write("[]", "modules.json")
            for file in files {
                try FilePath.makeFolder(FilePath.folder(of: place.file(file)))
                try place.write("x", file)
            }
            try UnsupportedFolder.check(place.path)
        }
    }

    @Test(arguments: [("layers.0.mlp.Wi.qweight", "GPTQ or AWQ"), ("layers.0.attn.Wo.weight.absmax", "bitsandbytes")])
    func quantizedTensorsAreRefused(name: String, method: String) throws {
        try withTemporaryFolder { place in
            try place.write(Self.modernBERT, "config.json")
            let tensor = TensorToWrite(name: name, tensor: Tensor([Int32(1)]))
            try SafetensorsWriter.write([tensor], to: place.file("model.safetensors"))
            let error = #expect(throws: CheckpointError.self) { try ModernBERT.load(folder: place.path) }
            let text = try #require(error).description
            #expect(text.contains("model.safetensors: \(name)") && text.contains("quantized by \(method)"), "\(text)")
        }
    }
}
