import EttinInference
import EttinModel
import EttinTokenizer
import TestSupport
import Testing
import Torch

@Suite("Making new models")
struct ModelInitializerTests {
    private func initializer(_ kind: ModelKind) throws -> ModelInitializer {
        var configuration = ModernBERTConfiguration.ettin(size: .size17M, kind: kind)
        configuration.hiddenSize = 16
        configuration.attentionHeads = 2
        configuration.intermediateSize = 24
        configuration.layerTypes = LayerType.pattern(layers: 2, globalEvery: 3)
        var initializer = ModelInitializer(configuration: configuration)
        try initializer.adopt(BPETrainer.ettin(vocabularySize: 270).train(texts: ["the cat the cat"]))
        return initializer
    }

    @Test("Vocabulary and special ids are the tokenizer's", arguments: ModelKind.allCases)
    func ids(_ kind: ModelKind) throws {
        let configuration = try initializer(kind).configuration
        // Five special tokens, 256 bytes, and the six merges that make "the", "Ġthe" and "Ġcat".
        #expect(configuration.vocabularySize == 267)
        #expect([configuration.clsTokenID, configuration.sepTokenID, configuration.padTokenID] == [1, 2, 3])
        #expect(configuration.bosTokenID == 1)
        #expect(configuration.eosTokenIDs == [2])
    }

    @Test("The folder of an encoder fills masks, that of a decoder generates")
    func use() throws {
        try withTemporaryFolder { folder in
            try initializer(.encoder).write(toFolder: folder.file("encoder"))
            try initializer(.decoder).write(toFolder: folder.file("decoder"))
            #expect(try folder.names == ["decoder", "encoder"])
            let filled = try FillMaskPipeline(folder: folder.file("encoder"))(["the [MASK]"])
            #expect(filled[0].masks[0].count == 5)
            let generator = try TextGenerationPipeline(folder: folder.file("decoder"))
            #expect(try generator.generate(["the"])[0].promptTokenCount == 2)
        }
    }

    @Test("Encoder and decoder of one seed start from the same embedding")
    func pair() throws {
        try withTemporaryFolder { folder in
            try initializer(.encoder).write(toFolder: folder.file("encoder"))
            try initializer(.decoder).write(toFolder: folder.file("decoder"))
            let values = try ["encoder", "decoder"].map { name in
                let model = try LanguageModel.load(folder: folder.file(name))
                return try #require(model.model.parameters.first).tensor.array(of: Float.self)
            }
            #expect(values[0] == values[1])
        }
    }

    @Test("Nothing is written for an impossible configuration")
    func impossible() throws {
        try withTemporaryFolder { folder in
            var initializer = try initializer(.encoder)
            initializer.configuration.attentionHeads = 3
            #expect(throws: CheckpointError.self) { try initializer.write(toFolder: folder.file("model")) }
            #expect(try folder.names == [])
        }
    }
}
