import EttinConversion
import EttinFiles
import EttinJSON
import EttinModel
import EttinTokenizer
import EttinTraining
import TestSupport
import Testing
import Torch

@Suite("Model conversion")
struct ModelConversionTests {
    private func convert(_ folder: String, to kind: ModelKind, _ output: String) throws -> String {
        try ModelConversion(folder: folder, to: kind).write(toFolder: output)
        return output
    }

    @Test(
        "Converting there and back gives the same tensors bit for bit",
        arguments: ModelKind.allCases,
        [DType.float32, .bfloat16]
    )
    func involution(kind: ModelKind, dtype: DType) throws {
        try withTemporaryFolder { folder in
            let other: ModelKind = kind == .encoder ? .decoder : .encoder
            let original = try TinyModel.write(kind, in: folder, named: "original", dtype: dtype)
            let converted = try convert(original, to: other, folder.file("converted"))
            let back = try convert(converted, to: kind, folder.file("back"))
            #expect(try TinyModel.bytes(back) == TinyModel.bytes(original))
            #expect(try TinyModel.bytes(converted) != TinyModel.bytes(original))
            var (first, last) = (
                try ModernBERTConfiguration(folder: original), try ModernBERTConfiguration(folder: back)
            )
            (first.otherKeys, last.otherKeys) = ([:], [:])
            #expect(first == last)
            let texts = ["The cat", "a dog sat"]
            let (before, after) = (try Tokenizer(folder: original), try Tokenizer(folder: back))
            for text in texts { #expect(before.encode(text).ids == after.encode(text).ids) }
            // The third conversion is the first.
            _ = try convert(back, to: other, folder.file("again"))
            for name in ["config.json", "tokenizer.json", "model.safetensors"] {
                #expect(try folder.read("again/\(name)") == folder.read("converted/\(name)"), "\(name)")
            }
            let settings = try ["again", "converted"].map {
                try JSONValue(parsing: folder.read("\($0)/tokenizer_config.json"))
            }
            #expect(settings[0] == settings[1])
        }
    }

    @Test("The same weights under the other kind's names compute what that kind computes")
    func values() throws {
        try withTemporaryFolder { folder in
            let encoder = try TinyModel.write(.encoder, in: folder, named: "encoder")
            let decoder = try convert(encoder, to: .decoder, folder.file("decoder"))
            let source = try LanguageModel.load(folder: encoder)
            let target = try LanguageModel.load(folder: decoder)
            #expect(source.parameters.map(\.key) == target.parameters.map(\.key))
            for (left, right) in zip(source.parameters, target.parameters) {
                #expect(try left.tensor.array() as [Float] == right.tensor.array(), "\(left.key)")
            }
            // One token sees itself alone in both.
            let batch = PackedBatch([[5]])
            let difference = (source(batch) - target(batch)).absolute().max(along: 0, 1)
            #expect(try difference.scalar() < 1e-6)
            let longer = PackedBatch([[5, 6, 7, 8]])
            #expect(try source(longer).array() as [Float] != target(longer).array())
        }
    }

    @Test("A decoder gets its tokenizer, its settings of generation and a card")
    func decoderFiles() throws {
        try withTemporaryFolder { folder in
            let encoder = try TinyModel.write(.encoder, in: folder, named: "encoder")
            let parameters = try ModelConversion(folder: encoder, to: .decoder)
                .write(toFolder: folder.file("decoder"), origin: "owner/model")
            let configuration = try ModernBERTConfiguration(folder: folder.file("decoder"))
            #expect(parameters == configuration.parameterCount)
            #expect(configuration.architectures == ["ModernBertDecoderForCausalLM"])
            #expect(configuration.slidingWindow == 4)
            #expect(configuration.otherKeys["is_causal"] == true)
            #expect([configuration.bosTokenID, configuration.eosTokenIDs.first] == [1, 2])
            let generation = try GenerationConfiguration.read(folder: folder.file("decoder"))
            #expect(generation?.bosTokenID == 1)
            #expect(generation?.eosTokenIDs == [2])
            let tokenizer = try Tokenizer(folder: folder.file("decoder"))
            #expect(tokenizer.encode("cat").ids.first == 1)
            #expect(tokenizer.encode("cat").ids.last != 2)
            let card = String(decoding: try folder.read("decoder/README.md"), as: UTF8.self)
            #expect(card.contains("pipeline_tag: text-generation"))
            #expect(card.contains("base_model: owner/model"))
            #expect(!card.contains("base_model_relation"))
            #expect(try folder.names == ["decoder", "encoder"])
        }
    }

    @Test("An encoder loses what only decoders have")
    func encoderFiles() throws {
        try withTemporaryFolder { folder in
            let decoder = try TinyModel.write(.decoder, in: folder, named: "decoder") {
                $0.usesCache = false
                $0.otherKeys = ["causal_mask": true, "masked_prediction": false, "kept": [1]]
            }
            _ = try convert(decoder, to: .encoder, folder.file("encoder"))
            let object = try JSONValue(parsing: folder.read("encoder/config.json"))
            for key in ["use_cache", "sliding_window", "is_causal"] { #expect(object[key] == nil, "\(key)") }
            #expect(object["local_attention"] == 8)
            #expect(object["causal_mask"] == false)
            #expect(object["masked_prediction"] == true)
            #expect(object["kept"] == [1])
            #expect(object["architectures"] == ["ModernBertForMaskedLM"])
            #expect(!FilePath.exists(folder.file("encoder/generation_config.json")))
            #expect(try Tokenizer(folder: folder.file("encoder")).encode("cat").ids.last == 2)
        }
    }

    @Test(
        "The window is the same in both kinds, however it is stated",
        arguments: [(8, nil, 8), (7, nil, 7), (128, 3, 6), (9, 4, 9)] as [(Int, Int?, Int)]
    )
    func windows(width: Int, half: Int?, expected: Int) throws {
        try withTemporaryFolder { folder in
            let decoder = try TinyModel.write(.decoder, in: folder, named: "decoder") {
                ($0.localAttention, $0.slidingWindowOverride) = (width, half)
            }
            let conversion = try ModelConversion(folder: decoder, to: .encoder)
            #expect(conversion.configuration.localAttention == expected)
            #expect(
                try conversion.configuration.slidingWindow == ModernBERTConfiguration(folder: decoder).slidingWindow
            )
        }
    }

    @Test("What only one format of config.json can say is kept")
    func formats() throws {
        try withTemporaryFolder { folder in
            let types: [LayerType] = [.slidingAttention, .fullAttention, .fullAttention, .slidingAttention]
            let encoder = folder.file("encoder")
            try FilePath.makeFolder(encoder)
            var configuration = TinyModel.configuration(.encoder)
            configuration.layerTypes = types
            configuration.classifierPooling = .mean
            let model = LanguageModel(configuration)
            model.initialize(.fullMegatron, seed: 1)
            try model.save(folder: encoder, format: .version5)
            let decoder = try convert(encoder, to: .decoder, folder.file("decoder"))
            #expect(try ModernBERTConfiguration(folder: decoder).layerTypes == types)
            let back = try convert(decoder, to: .encoder, folder.file("back"))
            #expect(try ModernBERTConfiguration(folder: back).layerTypes == types)
            #expect(try ModernBERTConfiguration(folder: back).classifierPooling == .mean)
            // Without a tokenizer, the decoder begins and ends with the ids of the configuration.
            #expect(!FilePath.exists(FilePath.joined(decoder, "tokenizer.json")))
            #expect(try ModernBERTConfiguration(folder: decoder).bosTokenID == 50281)
        }
    }

    @Test("A trunk without a head is converted as one")
    func trunks() throws {
        try withTemporaryFolder { folder in
            let encoder = folder.file("encoder")
            try FilePath.makeFolder(encoder)
            let trunk = ModernBERT(TinyModel.configuration(.encoder))
            trunk.initialize(.fullMegatron, seed: 1)
            try trunk.save(folder: encoder)
            let decoder = try convert(encoder, to: .decoder, folder.file("decoder"))
            #expect(try ModernBERTConfiguration(folder: decoder).architectures == ["ModernBertDecoderModel"])
            #expect(try TinyModel.bytes(decoder)["layers.0.attn.q_proj.weight"] != nil)
            let back = try convert(decoder, to: .encoder, folder.file("back"))
            #expect(try TinyModel.bytes(back) == TinyModel.bytes(encoder))
        }
    }

    @Test("What cannot be converted is refused, and nothing is written")
    func refused() throws {
        try withTemporaryFolder { folder in
            let encoder = try TinyModel.write(.encoder, in: folder, named: "encoder")
            #expect {
                try ModelConversion(folder: encoder, to: .encoder)
            } throws: {
                "\($0)".hasSuffix("encoder: is an encoder already; expected a decoder")
            }
            #expect(throws: CheckpointError.self) { try ModelConversion(folder: folder.file("absent"), to: .decoder) }
            let conversion = try ModelConversion(folder: encoder, to: .decoder)
            #expect(throws: CheckpointError.self) { try conversion.write(toFolder: encoder) }
            let weights = "encoder/model.safetensors"
            let whole = try folder.read(weights)
            try folder.write(Array(whole.dropLast()), weights)
            #expect(throws: CheckpointError.self) { try conversion.write(toFolder: folder.file("new")) }
            let store = [
                TensorToWrite(name: "model.embeddings.norm.weight", dtype: .float32, shape: [1], bytes: [0, 0, 0, 0])
            ]
            try SafetensorsWriter.write(store, to: folder.file(weights))
            #expect(throws: CheckpointError.self) { try conversion.write(toFolder: folder.file("new")) }
            let classifier = [
                TensorToWrite(name: "classifier.weight", dtype: .float32, shape: [1], bytes: [0, 0, 0, 0])
            ]
            try SafetensorsWriter.write(classifier, to: folder.file(weights))
            #expect {
                try conversion.write(toFolder: folder.file("new"))
            } throws: {
                "\($0)".contains("has a classifier")
            }
            #expect(try folder.names == ["encoder"])
        }
    }
}
