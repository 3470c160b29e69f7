import EttinJSON
import TestSupport
import Testing

@testable import EttinModel

@Suite("Writing configurations")
struct ConfigurationWritingTests {
    @Test("The older format is the one in which Ettin was published")
    func version4() throws {
        let text = String(
            decoding: try ModernBERTConfiguration.ettin(size: .size32M, kind: .encoder).serialized(.version4),
            as: UTF8.self
        )
        #expect(
            text == """
                {
                  "architectures": [
                    "ModernBertForMaskedLM"
                  ],
                  "attention_bias": false,
                  "attention_dropout": 0.0,
                  "bos_token_id": 50281,
                  "classifier_activation": "gelu",
                  "classifier_bias": false,
                  "classifier_dropout": 0.0,
                  "classifier_pooling": "mean",
                  "cls_token_id": 50281,
                  "decoder_bias": true,
                  "deterministic_flash_attn": false,
                  "embedding_dropout": 0.0,
                  "eos_token_id": 50282,
                  "global_attn_every_n_layers": 3,
                  "global_rope_theta": 160000.0,
                  "hidden_activation": "gelu",
                  "hidden_size": 384,
                  "initializer_cutoff_factor": 2.0,
                  "initializer_range": 0.02,
                  "intermediate_size": 576,
                  "layer_norm_eps": 1e-05,
                  "local_attention": 128,
                  "local_rope_theta": 160000.0,
                  "max_position_embeddings": 7999,
                  "mlp_bias": false,
                  "mlp_dropout": 0.0,
                  "model_type": "modernbert",
                  "norm_bias": false,
                  "norm_eps": 1e-05,
                  "num_attention_heads": 6,
                  "num_hidden_layers": 10,
                  "pad_token_id": 50283,
                  "position_embedding_type": "sans_pos",
                  "sep_token_id": 50282,
                  "sparse_pred_ignore_index": -100,
                  "sparse_prediction": false,
                  "torch_dtype": "float32",
                  "transformers_version": "4.48.0",
                  "vocab_size": 50368
                }

                """
        )
    }

    @Test("The newer format is what transformers 5.23.0 writes")
    func version5() throws {
        // The text that transformers wrote for this decoder.
        let text = """
            {
              "architectures": [
                "ModernBertDecoderForCausalLM"
              ],
              "attention_bias": false,
              "attention_dropout": 0.0,
              "bos_token_id": 298,
              "classifier_activation": "gelu",
              "classifier_bias": false,
              "classifier_dropout": 0.0,
              "cls_token_id": 298,
              "decoder_bias": true,
              "dtype": "float32",
              "embedding_dropout": 0.0,
              "eos_token_id": 299,
              "global_attn_every_n_layers": 2,
              "hidden_activation": "gelu",
              "hidden_size": 8,
              "initializer_cutoff_factor": 2.0,
              "initializer_range": 0.5,
              "intermediate_size": 12,
              "layer_types": [
                "full_attention",
                "sliding_attention"
              ],
              "local_attention": 8,
              "max_position_embeddings": 64,
              "mlp_bias": false,
              "mlp_dropout": 0.0,
              "model_type": "modernbert-decoder",
              "norm_bias": false,
              "norm_eps": 1e-05,
              "num_attention_heads": 2,
              "num_hidden_layers": 2,
              "pad_token_id": 300,
              "rope_parameters": {
                "full_attention": {
                  "rope_theta": 160000.0,
                  "rope_type": "default"
                },
                "sliding_attention": {
                  "rope_theta": 10000.0,
                  "rope_type": "default"
                }
              },
              "sep_token_id": 299,
              "sliding_window": 4,
              "tie_word_embeddings": true,
              "transformers_version": "5.23.0",
              "use_cache": true,
              "vocab_size": 304
            }

            """
        #expect(String(decoding: try configuration(text).serialized(.version5), as: UTF8.self) == text)
    }

    @Test("Both formats say the same about every model of the suite", arguments: EttinSuite.models)
    func roundTrips(model: EttinSuite.Model) throws {
        let original = ModernBERTConfiguration.ettin(size: model.size, kind: model.kind)
        let four = try ModernBERTConfiguration(json: original.serialized(.version4))
        let five = try ModernBERTConfiguration(json: original.serialized(.version5))
        let both = try ModernBERTConfiguration(json: five.serialized(.version4))
        for read in [four, five, both] {
            var read = read
            #expect(read.slidingWindow == original.slidingWindow)
            for key in ["transformers_version", "global_attn_every_n_layers", "layer_norm_eps"] {
                read.otherKeys[key] = nil
            }
            read.slidingWindowOverride = nil
            #expect(read == original)
        }
        #expect(try four.serialized(.version4) == original.serialized(.version4))
        #expect(try five.serialized(.version5) == original.serialized(.version5))
    }

    @Test("What the older format cannot say is an error")
    func inexpressible() throws {
        var model = ModernBERTConfiguration(kind: .encoder)
        model.layerTypes[0] = .slidingAttention
        #expect(message { try model.serialized(.version4) }.contains("not global at a fixed interval"))
        #expect(try ModernBERTConfiguration(json: model.serialized(.version5)).layerTypes == model.layerTypes)
        model = ModernBERTConfiguration(kind: .encoder)
        model.globalRope.positionScale = 2
        #expect(message { try model.serialized(.version4) }.contains("scale positions"))
        #expect(try ModernBERTConfiguration(json: model.serialized(.version5)).globalRope == model.globalRope)
        model.hiddenSize = 7
        #expect(message { try model.serialized(.version5) }.contains("hidden_size"))
    }

    @Test("Intervals are found from the layers", arguments: [(7, 3), (7, 1), (7, 7), (7, 2), (1, 1), (28, 3)])
    func intervals(layers: Int, interval: Int) {
        #expect(LayerType.interval(of: LayerType.pattern(layers: layers, globalEvery: interval)) == interval)
        #expect(LayerType.interval(of: [.fullAttention, .slidingAttention, .fullAttention, .fullAttention]) == nil)
    }

    @Test("Labels, windows and unknown keys survive rewriting")
    func details() throws {
        let read = try small(
            #""id2label":{"0":"a","1":"é"},"z":{"b":1},"problem_type":"regression","sliding_window":10,"num_labels":2"#,
            kind: "modernbert-decoder"
        )
        for format in ModernBERTConfiguration.Format.allCases {
            let json = try read.json(format)
            #expect(json["id2label"] == ["0": "a", "1": "é"])
            #expect(json["label2id"] == ["a": 0, "é": 1])
            #expect(json["z"] == ["b": 1])
            #expect(json["sliding_window"] == 10)
            #expect(json["local_attention"] == 128)
            #expect(json["num_labels"] == nil)
            #expect(try ModernBERTConfiguration(json).slidingWindow == 10)
        }
        #expect(try small(#""id2label":{"0":"LABEL_0","1":"LABEL_1"}"#).json(.version5)["id2label"] == nil)
    }

    @Test("The version named is the file's own or one of its format")
    func versions() throws {
        let own = try small(#""transformers_version":"4.51.3""#)
        #expect(try own.json(.version4)["transformers_version"] == "4.51.3")
        #expect(try own.json(.version5)["transformers_version"] == "5.23.0")
        let newer = try small(#""transformers_version":"6.0.0.dev0""#, kind: "modernbert-decoder")
        #expect(try newer.json(.version5)["transformers_version"] == "6.0.0.dev0")
        #expect(try newer.json(.version4)["transformers_version"] == "4.54.0")
        #expect(try small(#""transformers_version":7"#).json(.version4)["transformers_version"] == "4.48.0")
    }

    @Test("A file is written whole and read back")
    func files() throws {
        let folder = try TemporaryFolder()
        let model = ModernBERTConfiguration.ettin(size: .size17M, kind: .decoder)
        try model.write(toFolder: folder.path, format: .version4)
        #expect(try folder.names == ["config.json"])
        #expect(try ModernBERTConfiguration(folder: folder.path).hiddenSize == 256)
    }
}
