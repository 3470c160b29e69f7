import EttinJSON
import TestSupport
import Testing

@testable import EttinModel

@Suite("The suite's models")
struct EttinSuiteTests {
    /// Counted by transformers: with the language-model head, without it, embedding only.
    static let counts: [(EttinSize, Int, Int, Int)] = [
        (.size17M, 16_913_600, 16_797_440, 12_894_208),
        (.size32M, 32_081_344, 31_883_136, 19_341_312),
        (.size68M, 68_457_664, 68_144_640, 25_788_416),
        (.size150M, 149_655_232, 149_014_272, 38_682_624),
        (.size400M, 395_881_664, 394_781_696, 51_576_832),
        (.size1B, 1_031_314_112, 1_028_050_688, 90_259_456),
    ]

    @Test("Parameters are counted as transformers counts them", arguments: counts)
    func parameters(size: EttinSize, total: Int, base: Int, embedding: Int) throws {
        for kind in ModelKind.allCases {
            let model = ModernBERTConfiguration.ettin(size: size, kind: kind)
            #expect(model.parameterCount == total)
            #expect(model.baseParameterCount == base)
            #expect(model.embeddingParameterCount == embedding)
            #expect(model.headDimensions == 64)
            #expect(model.layerTypes.first == .fullAttention)
            #expect(model.layerTypes.last == .fullAttention)
            #expect(model.maxPositionEmbeddings == 7999)
            try model.validate()
        }
        #expect(size.parameterCount == total)
    }

    @Test("Biases and an untied matrix are counted")
    func otherParameters() {
        // Counted by transformers 5.23.0 for V 40, H 16, I 24, L 4, A 2.
        var model = ModernBERTConfiguration(kind: .encoder)
        model.vocabularySize = 40
        model.hiddenSize = 16
        model.intermediateSize = 24
        model.attentionHeads = 2
        model.layerTypes = LayerType.pattern(layers: 4, globalEvery: 3)
        #expect(model.parameterCount == 9800)
        model.normBias = true
        model.attentionBias = true
        model.mlpBias = true
        model.classifierBias = true
        #expect(model.parameterCount == 10_488)
        model.tiesWordEmbeddings = false
        model.decoderBias = false
        #expect(model.parameterCount == 11_088)
    }

    @Test("There are 24 models with distinct names, six of each role")
    func models() {
        #expect(EttinSuite.models.count == 24)
        #expect(Set(EttinSuite.models.map(\.repository)).count == 24)
        for kind in ModelKind.allCases {
            for origin in EttinSuite.Origin.allCases {
                #expect(
                    EttinSuite.models.filter { $0.kind == kind && $0.origin == origin }.map(\.size)
                        == EttinSize.allCases
                )
            }
        }
        #expect(
            EttinSuite.models.allSatisfy { $0.repository.hasPrefix("jhu-clsp/ettin-") && $0.purpose.hasSuffix(".") }
        )
    }

    @Test(
        "Models are found by their names and aliases",
        arguments: [
            ("jhu-clsp/ettin-encoder-17m", "ettin-encoder-17m"), ("ettin-decoder-1b", "ettin-decoder-1b"),
            ("encoder-150m", "ettin-encoder-150m"), ("JHU-CLSP/Ettin-Decoder-400M", "ettin-decoder-400m"),
            ("jhu-clsp/ettin-enc-from-dec-32m", "ettin-enc-from-dec-32m"),
            ("jhu-clsp/ettin-encoder-from-decoder-32m", "ettin-enc-from-dec-32m"),
            ("ettin-decoder-from-encoder-68m", "ettin-dec-from-enc-68m"),
            ("dec-from-enc-68m", "ettin-dec-from-enc-68m"),
        ]
    )
    func names(alias: String, name: String) throws {
        let model = try #require(EttinSuite.model(named: alias))
        #expect(model.name == name)
        #expect(model.parameterCount == model.size.parameterCount)
    }

    @Test(
        "Other names are nobody's",
        arguments: [
            "", "17m", "ettin-", "ettin-encoder", "ettin-encoder-2b", "other/ettin-encoder-17m", "a/b/c", "-17m",
        ]
    )
    func unknown(name: String) {
        #expect(EttinSuite.model(named: name) == nil)
    }

    @Test("Sizes are found by their names and those of the recipes")
    func sizes() {
        #expect(EttinSize(named: "1B") == .size1B)
        #expect(EttinSize(named: "huge") == .size1B)
        #expect(EttinSize(named: "very_tiny") == .size17M)
        #expect(EttinSize(named: "giant") == nil)
        #expect(Set(EttinSize.allCases.map(\.recipeName)).count == 6)
    }

    @Test("Four decoders end with the smaller local base")
    func thetas() {
        for size in EttinSize.allCases {
            let isLarge = size == .size150M || size == .size1B
            #expect(
                ModernBERTConfiguration.ettin(size: size, kind: .decoder).localRope.theta
                    == (isLarge ? 160_000 : 10_000)
            )
            #expect(ModernBERTConfiguration.ettin(size: size, kind: .encoder).localRope.theta == 160_000)
        }
    }
}

@Suite("Generation configuration")
struct GenerationConfigurationTests {
    private func read(_ text: String) throws -> GenerationConfiguration {
        try GenerationConfiguration(#require(JSONValue(parsing: text).objectValue))
    }

    @Test("A decoder's file is what transformers writes")
    func golden() throws {
        let text = """
            {
              "_from_model_config": true,
              "bos_token_id": 298,
              "eos_token_id": 299,
              "output_attentions": false,
              "output_hidden_states": false,
              "pad_token_id": 300,
              "transformers_version": "5.23.0",
              "use_cache": true
            }

            """
        let folder = try TemporaryFolder()
        #expect(try GenerationConfiguration.read(folder: folder.path) == nil)
        try folder.write(text, "generation_config.json")
        let configuration = try #require(try GenerationConfiguration.read(folder: folder.path))
        #expect(configuration.bosTokenID == 298)
        #expect(configuration.eosTokenIDs == [299])
        #expect(configuration.padTokenID == 300)
        #expect(configuration.isFromModelConfiguration)
        #expect(configuration.otherKeys.count == 3)
        try configuration.write(toFolder: folder.path)
        #expect(try folder.read("generation_config.json") == Array(text.utf8))
    }

    @Test("A decoder's own values are derived from its configuration")
    func derived() {
        let model = ModernBERTConfiguration.ettin(size: .size17M, kind: .decoder)
        let text = String(decoding: GenerationConfiguration(model: model).serialized(), as: UTF8.self)
        #expect(
            text == """
                {
                  "_from_model_config": true,
                  "bos_token_id": 50281,
                  "eos_token_id": 50282,
                  "pad_token_id": 50283,
                  "transformers_version": "5.23.0",
                  "use_cache": true
                }

                """
        )
    }

    @Test("Sampling values survive")
    func sampling() throws {
        let text =
            #"{"do_sample":true,"temperature":0.5,"top_k":7,"top_p":0.9,"repetition_penalty":1.25,"max_new_tokens":9,"#
            + #""eos_token_id":[1,2],"num_beams":2,"use_cache":false}"#
        let first = try read(text)
        #expect(first.samples == true)
        #expect(first.temperature == 0.5)
        #expect(first.topK == 7)
        #expect(first.topP == 0.9)
        #expect(first.repetitionPenalty == 1.25)
        #expect(first.maxNewTokens == 9)
        #expect(first.eosTokenIDs == [1, 2])
        #expect(!first.usesCache)
        #expect(try GenerationConfiguration(first.json).json == first.json)
        #expect(try read(#"{"temperature":null,"top_k":null,"bos_token_id":null}"#).temperature == nil)
    }

    @Test(
        "Impossible values are refused",
        arguments: [
            #""temperature":-1"#, #""temperature":"a""#, #""top_k":-1"#, #""top_k":1.5"#, #""top_p":0"#,
            #""top_p":1.1"#,
            #""repetition_penalty":0"#, #""max_new_tokens":0"#, #""eos_token_id":-1"#, #""eos_token_id":{}"#,
            #""pad_token_id":-1"#, #""bos_token_id":"x""#, #""use_cache":1"#, #""do_sample":1"#,
        ]
    )
    func refused(member: String) {
        let text = message { try read("{\(member)}") }
        #expect(text.hasPrefix("generation_config.json: \""), "\(text)")
        #expect(text.split(separator: "\n").count == 1)
    }
}
