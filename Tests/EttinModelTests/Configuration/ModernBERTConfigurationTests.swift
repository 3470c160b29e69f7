import EttinJSON
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinModel

/// Reads a configuration from its text.
func configuration(_ json: String) throws -> ModernBERTConfiguration {
    try ModernBERTConfiguration(json: Array(json.utf8))
}

/// Reads a small model's configuration with further members.
func small(_ members: String, kind: String = "modernbert", layers: Int = 4) throws -> ModernBERTConfiguration {
    let more = members.isEmpty ? "" : "," + members
    return try configuration(
        #"{"model_type":"\#(kind)","vocab_size":400,"hidden_size":64,"num_hidden_layers":\#(layers),"#
            + #""num_attention_heads":4,"pad_token_id":3\#(more)}"#
    )
}

@Suite("Model configuration")
struct ModernBERTConfigurationTests {
    @Test("A file of settings that is nested deeply is refused, as writing it would take a hundred times its size")
    func deeplyNested() throws {
        let deep = String(repeating: "[", count: 63) + String(repeating: "]", count: 63)
        #expect(try small("\"x\": \(deep)").layerCount == 4)
        #expect(throws: CheckpointError.self) { try small("\"x\": [\(deep)]") }
    }

    @Test("Defaults are those of transformers 5.23.0", arguments: ModelKind.allCases)
    func defaults(kind: ModelKind) throws {
        let read = try configuration(#"{"model_type":"\#(kind.rawValue)"}"#)
        #expect(read == ModernBERTConfiguration(kind: kind))
        #expect(read.vocabularySize == 50368)
        #expect(read.hiddenSize == 768)
        #expect(read.intermediateSize == 1152)
        #expect(read.layerCount == 22)
        #expect(read.attentionHeads == 12)
        #expect(read.headDimensions == 64)
        #expect(read.hiddenActivation == .gelu)
        #expect(read.classifierActivation == .gelu)
        #expect(read.maxPositionEmbeddings == 8192)
        #expect(read.initializerRange == 0.02)
        #expect(read.initializerCutoffFactor == 2)
        #expect(read.normEpsilon == 1e-5)
        #expect([read.padTokenID, read.bosTokenID, read.clsTokenID, read.sepTokenID] == [50283, 50281, 50281, 50282])
        #expect(read.eosTokenIDs == [50282])
        #expect(![read.normBias, read.attentionBias, read.mlpBias, read.classifierBias].contains(true))
        #expect(read.decoderBias && read.tiesWordEmbeddings && read.usesCache)
        #expect(!read.sparsePrediction && !read.deterministicFlashAttention)
        #expect(read.sparsePredictionIgnoreIndex == -100)
        #expect(
            [read.attentionDropout, read.embeddingDropout, read.mlpDropout, read.classifierDropout] == [0, 0, 0, 0]
        )
        #expect(read.localAttention == 128)
        #expect(read.slidingWindow == 64)
        #expect(read.globalRope == RotaryParameters(theta: 160_000))
        #expect(read.localRope == RotaryParameters(theta: 10_000))
        #expect(read.classifierPooling == .cls)
        #expect(read.labelCount == 2)
        #expect(read.labels == nil && read.problemType == nil && read.dtype == nil && read.architectures.isEmpty)
        #expect(
            read.layerTypes.indices.filter { read.layerTypes[$0] == .fullAttention } == [0, 3, 6, 9, 12, 15, 18, 21]
        )
    }

    @Test("Layer i is global when the interval divides i; a list of types wins")
    func layers() throws {
        let f = LayerType.fullAttention
        let s = LayerType.slidingAttention
        #expect(try small("").layerTypes == [f, s, s, f])
        #expect(try small(#""global_attn_every_n_layers":2"#).layerTypes == [f, s, f, s])
        #expect(try small(#""global_attn_every_n_layers":1"#).layerTypes == [f, f, f, f])
        #expect(try small(#""global_attn_every_n_layers":9,"layer_types":null"#).layerTypes == [f, s, s, s])
        let list = #""layer_types":["sliding_attention","full_attention","full_attention","full_attention"]"#
        #expect(try small(list + #","global_attn_every_n_layers":2"#).layerTypes == [s, f, f, f])
    }

    @Test("Rotary bases: new keys win over old ones, null means the global base")
    func rope() throws {
        func thetas(_ members: String) throws -> [Double] {
            let read = try small(members)
            return [read.ropeTheta(layer: 0), read.ropeTheta(layer: 1)]
        }
        #expect(try thetas("") == [160_000, 10_000])
        #expect(try thetas(#""global_rope_theta":5,"local_rope_theta":7.5"#) == [5, 7.5])
        #expect(try thetas(#""local_rope_theta":null"#) == [160_000, 160_000])
        #expect(try thetas(#""global_rope_theta":5.0,"local_rope_theta":null"#) == [5, 5])
        let full = #""rope_parameters":{"full_attention":{"rope_theta":9.0}}"#
        #expect(try thetas(full) == [9, 10_000])
        #expect(try thetas(full + #","global_rope_theta":5.0,"local_rope_theta":7.0"#) == [9, 7])
        #expect(try thetas(full + #","local_rope_theta":null"#) == [9, 9])
        let both = #""rope_parameters":{"full_attention":{"rope_theta":9.0},"sliding_attention":{"rope_theta":8.0}}"#
        #expect(try thetas(both + #","local_rope_theta":null"#) == [9, 8])
        // What transformers 5 writes after reading a null local base.
        let null = #""rope_parameters":{"full_attention":{"rope_theta":9.0},"sliding_attention":{"rope_theta":null}}"#
        #expect(try thetas(null) == [9, 9])
    }

    @Test("Linear scaling applies to both kinds of layers, or to one")
    func ropeScaling() throws {
        let both = try small(#""rope_scaling":{"rope_type":"linear","factor":2.0}"#)
        #expect(both.globalRope == RotaryParameters(theta: 160_000, positionScale: 2))
        #expect(both.localRope == RotaryParameters(theta: 10_000, positionScale: 2))
        let one = try small(#""rope_parameters":{"full_attention":{"rope_type":"linear","factor":4}}"#)
        #expect(one.globalRope.positionScale == 4)
        #expect(one.localRope.positionScale == 1)
        #expect(try small(#""rope_scaling":null"#).globalRope.positionScale == 1)
    }

    @Test("YaRN applies to both kinds of layers, or to one, with the paper's defaults")
    func yarn() throws {
        let scaling = YaRNScaling(factor: 4, originalPositions: 64)
        let one = try small(
            #""max_position_embeddings":256,"rope_parameters":{"full_attention":{"rope_type":"yarn","factor":4,"#
                + #""original_max_position_embeddings":64}}"#
        )
        #expect(one.globalRope == RotaryParameters(theta: 160_000, yarn: scaling))
        #expect(one.localRope == RotaryParameters(theta: 10_000))
        #expect(try ModernBERTConfiguration(json: one.serialized(.version5)).globalRope == one.globalRope)
        // Without the original length it is the present one; a null factor is the ratio of the two.
        let both = try small(#""max_position_embeddings":64,"rope_scaling":{"rope_type":"yarn","factor":4.0}"#)
        #expect(both.globalRope.yarn == scaling && both.localRope.yarn == scaling)
        let ratio = try small(
            #""max_position_embeddings":256,"rope_scaling":{"rope_type":"yarn","factor":null,"#
                + #""original_max_position_embeddings":64,"beta_fast":0,"beta_slow":2,"attention_factor":1.5}"#
        )
        var other = scaling
        (other.betaSlow, other.attentionFactor) = (2, 1.5)
        #expect(ratio.globalRope.yarn == other)
        #expect(try ModernBERTConfiguration(json: ratio.serialized(.version5)).localRope == ratio.localRope)
        let weighted = try small(#""rope_scaling":{"rope_type":"yarn","factor":4,"mscale":2,"mscale_all_dim":1}"#)
        let expected = (0.2 * log(4.0) + 1) / (0.1 * log(4.0) + 1)
        #expect(abs(try #require(weighted.globalRope.yarn).magnitude - expected) < 1e-12)
    }

    // Values from transformers 5.23, `_compute_yarn_parameters`.
    @Test("YaRN's frequencies and magnitude are those of transformers")
    func yarnFrequencies() throws {
        let scaling = YaRNScaling(factor: 4, originalPositions: 64)
        let expected = [1, 0.0125, 0.000625, 3.125e-5]
        for (found, expected) in zip(scaling.frequencies(theta: 160_000, width: 8), expected) {
            #expect(abs(found / expected - 1) < 1e-9)
        }
        #expect(abs(scaling.magnitude - 1.13862944) < 1e-8)
        let wide = YaRNScaling(factor: 4, originalPositions: 8192).frequencies(theta: 160_000, width: 64)
        #expect(wide.count == 32)
        for (pair, expected) in [
            (0, 1.0), (10, 0.022031478583812714), (15, 0.002148272702470422), (22, 6.608570402022451e-05),
        ] {
            #expect(abs(wide[pair] / expected - 1) < 1e-6)
        }
    }

    @Test("An encoder's window is doubled by sliding_window, a decoder's is overridden")
    func windows() throws {
        #expect(try small(#""local_attention":127"#).slidingWindow == 63)
        #expect(try small(#""sliding_window":10"#).localAttention == 20)
        #expect(try small(#""sliding_window":10,"local_attention":64"#).slidingWindow == 10)
        #expect(try small(#""local_attention":0"#).slidingWindow == 0)
        let decoder = "modernbert-decoder"
        #expect(try small(#""local_attention":8"#, kind: decoder).slidingWindow == 4)
        let both = try small(#""sliding_window":10,"local_attention":64"#, kind: decoder)
        #expect(both.slidingWindow == 10)
        #expect(both.localAttention == 64)
        let global = try small(#""local_attention":null,"global_attn_every_n_layers":1"#, kind: decoder)
        #expect(global.slidingWindow == -1)
        #expect(try small(#""sliding_window":null"#, kind: decoder).slidingWindow == 64)
    }

    @Test("Each layer's reach follows transformers, on request the training code")
    func reach() throws {
        let encoder = try small(#""local_attention":128"#)
        #expect(encoder.window(layer: 0) == LayerWindow(left: nil, right: nil))
        #expect(encoder.window(layer: 1) == LayerWindow(left: 64, right: 64))
        #expect(encoder.window(layer: 1, rule: .training) == LayerWindow(left: 64, right: 64))
        let decoder = try small(#""local_attention":128"#, kind: "modernbert-decoder")
        #expect(decoder.window(layer: 0) == LayerWindow(left: nil, right: 0))
        #expect(decoder.window(layer: 1) == LayerWindow(left: 63, right: 0))
        #expect(decoder.window(layer: 1, rule: .training) == LayerWindow(left: 64, right: 0))
        #expect(decoder.window(layer: 0, rule: .training) == LayerWindow(left: nil, right: 0))
    }

    @Test("Labels come from either map or the number")
    func labels() throws {
        #expect(try small(#""id2label":{"1":"b","0":"a","2":"c"}"#).labels == ["a", "b", "c"])
        #expect(try small(#""label2id":{"b":1,"a":0}"#).labels == ["a", "b"])
        #expect(try small(#""num_labels":3"#).labels == ["LABEL_0", "LABEL_1", "LABEL_2"])
        #expect(try small(#""num_labels":1"#).labelCount == 1)
        #expect(try small(#""id2label":null,"label2id":null"#).labels == nil)
        #expect(try small(#""id2label":{"0":0,"1":1.5,"2":"c"}"#).labels == ["0", "1.5", "c"])
        let odd = try small(#""id2label":{"0":"a","1":"a"},"label2id":{"a":0}"#)
        #expect(odd.labels == ["a", "a"])
        #expect(odd.otherKeys["label2id"] == ["a": 0])
    }

    @Test("Old and new names, aliases, nulls and lists")
    func spellings() throws {
        #expect(try small(#""torch_dtype":"float16""#).dtype == "float16")
        #expect(try small(#""torch_dtype":"float16","dtype":"bfloat16""#).dtype == "bfloat16")
        #expect(try small(#""torch_dtype":"torch.float32""#).dtype == "float32")
        #expect(try small(#""hidden_activation":"swish""#).hiddenActivation == .silu)
        #expect(try small(#""hidden_activation":"gelu_new""#).hiddenActivation == .geluNew)
        #expect(try small(#""initializer_cutoff_factor":null"#).initializerCutoffFactor == 3)
        #expect(try small(#""norm_eps":1e-6,"layer_norm_eps":1e-3"#).normEpsilon == 1e-6)
        #expect(try small(#""layer_norm_eps":1e-3"#).normEpsilon == 1e-5)
        #expect(try small(#""eos_token_id":[1,2]"#).eosTokenIDs == [1, 2])
        #expect(try small(#""eos_token_id":null"#).eosTokenIDs == [])
        #expect(try small(#""bos_token_id":null"#).bosTokenID == nil)
        #expect(try small(#""problem_type":"regression""#).problemType == .regression)
        #expect(try small(#""classifier_pooling":"mean""#).classifierPooling == .mean)
        // A decoder has no pooling; the key is kept whatever it says.
        let decoder = try small(#""classifier_pooling":"x""#, kind: "modernbert-decoder")
        #expect(decoder.otherKeys["classifier_pooling"] == "x")
        #expect(try small(#""quantization_config":null"#).layerCount == 4)
    }

    @Test("Keys without effect are kept in order")
    func otherKeys() throws {
        let read = try small(
            #""z":{"b":1,"a":[null,1.50]},"position_embedding_type":"sans_pos","a":"é","reference_compile":null"#
        )
        #expect(read.otherKeys.keys == ["z", "position_embedding_type", "a", "reference_compile"])
        #expect(read.otherKeys["z"]?["a"]?[1]?.numberValue?.spelling == "1.50")
    }
}

/// A configuration that must be refused, and words that the message must hold.
struct BadConfiguration: CustomTestStringConvertible, Sendable {
    let members: String
    var kind = "modernbert"
    let words: [String]

    init(_ members: String, kind: String = "modernbert", _ words: String...) {
        self.members = members
        self.kind = kind
        self.words = words
    }

    var testDescription: String { members }
}

@Suite("Impossible configurations")
struct BadConfigurationTests {
    static let bad: [BadConfiguration] = [
        BadConfiguration(
            #""hidden_size":770,"num_attention_heads":12"#,
            "is 770, which 12 heads do not divide; expected a multiple of 12"
        ),
        BadConfiguration(#""hidden_size":60,"num_attention_heads":4"#, "the odd width 15"),
        BadConfiguration(#""hidden_size":0"#, #""hidden_size" is 0"#),
        BadConfiguration(#""hidden_size":-64"#, "is -64"),
        BadConfiguration(#""hidden_size":64.0"#, "is 64.0; expected an integer"),
        BadConfiguration(#""hidden_size":"64""#, #"is "64"; expected an integer"#),
        BadConfiguration(#""hidden_size":null"#, "is null"),
        BadConfiguration(#""hidden_size":[64]"#, "an array of 1"),
        BadConfiguration(#""hidden_size":9223372036854775808"#, "is 9223372036854775808"),
        BadConfiguration(#""hidden_size":1e3"#, "1e3"),
        BadConfiguration(#""hidden_size":9223372036854775807,"num_attention_heads":1"#, "1 to 1048576"),
        BadConfiguration(#""vocab_size":0"#, "vocab_size"),
        BadConfiguration(#""vocab_size":-1"#, "vocab_size"),
        BadConfiguration(#""vocab_size":999999999999"#, "1 to 268435456"),
        BadConfiguration(#""intermediate_size":0"#, "intermediate_size"),
        BadConfiguration(#""intermediate_size":2000000"#, "intermediate_size"),
        BadConfiguration(#""num_attention_heads":0"#, "num_attention_heads"),
        BadConfiguration(#""num_attention_heads":-4"#, "num_attention_heads"),
        BadConfiguration(#""num_hidden_layers":0"#, "1 to 4096"),
        BadConfiguration(#""num_hidden_layers":-1"#, "is -1"),
        BadConfiguration(#""num_hidden_layers":4611686018427387904"#, "1 to 4096"),
        BadConfiguration(#""num_hidden_layers":1.5"#, "1.5"),
        BadConfiguration(
            #""vocab_size":268435456,"hidden_size":1048576,"intermediate_size":1048576,"num_hidden_layers":4096"#,
            "parameters; expected at most 2^40"
        ),
        BadConfiguration(#""max_position_embeddings":0"#, "max_position_embeddings"),
        BadConfiguration(#""global_attn_every_n_layers":0"#, "1 or more"),
        BadConfiguration(#""global_attn_every_n_layers":-3"#, "is -3"),
        BadConfiguration(#""layer_types":[]"#, "has 0 entries; expected 4"),
        BadConfiguration(#""layer_types":["full_attention"]"#, "has 1 entries"),
        BadConfiguration(
            #""layer_types":["full_attention","chunked_attention","a","b"]"#,
            #""chunked_attention" for layer 1"#
        ),
        BadConfiguration(#""layer_types":[1,2,3,4]"#, "has 1 for layer 0"),
        BadConfiguration(#""layer_types":"full_attention""#, "expected an array"),
        BadConfiguration(#""norm_eps":0"#, "above 0"),
        BadConfiguration(#""norm_eps":-1e-5"#, "above 0"),
        BadConfiguration(#""norm_eps":NaN"#, "finite"),
        BadConfiguration(#""norm_eps":Infinity"#, "finite"),
        BadConfiguration(#""norm_eps":1e999"#, "finite"),
        BadConfiguration(#""norm_eps":"1e-5""#, "finite"),
        BadConfiguration(#""initializer_range":-1"#, "from 0 up"),
        BadConfiguration(#""initializer_cutoff_factor":0"#, "above 0"),
        BadConfiguration(#""global_rope_theta":0"#, "above 0"),
        BadConfiguration(#""local_rope_theta":-10000.0"#, "above 0"),
        BadConfiguration(#""global_rope_theta":NaN"#, "finite"),
        BadConfiguration(#""global_rope_theta":"x""#, "finite"),
        BadConfiguration(#""rope_parameters":[]"#, "expected an object"),
        BadConfiguration(#""rope_parameters":{"rope_theta":1.0}"#, #"the key "rope_theta""#),
        BadConfiguration(#""rope_parameters":{"full_attention":7}"#, "has 7"),
        BadConfiguration(
            #""rope_parameters":{"full_attention":{"rope_type":"longrope"}}"#,
            #""longrope"; expected "default", "linear" or "yarn""#
        ),
        BadConfiguration(#""rope_parameters":{"full_attention":{"rope_type":"yarn"}}"#, "factor", "is missing"),
        BadConfiguration(#""rope_scaling":{"rope_type":"yarn","factor":-4}"#, "factor", "above 0"),
        BadConfiguration(
            #""rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":0}"#,
            "is 0; expected 1 to"
        ),
        BadConfiguration(#""rope_scaling":{"rope_type":"yarn","factor":4,"beta_fast":-1}"#, "beta_fast"),
        BadConfiguration(#""rope_scaling":{"rope_type":"yarn","factor":4,"attention_factor":"1"}"#, "attention_factor"),
        BadConfiguration(#""rope_scaling":{"rope_type":"yarn","factor":4,"truncate":false}"#, "transformers ignores"),
        BadConfiguration(#""rope_scaling":{"rope_type":"yarn","factor":4,"rope_theta":1}"#, "above 1"),
        BadConfiguration(#""rope_parameters":{"full_attention":{"rope_type":"linear"}}"#, "factor", "is missing"),
        BadConfiguration(#""rope_parameters":{"full_attention":{"rope_type":"linear","factor":0}}"#, "above 0"),
        BadConfiguration(
            #""rope_parameters":{"full_attention":{"partial_rotary_factor":0.5}}"#,
            "partial_rotary_factor"
        ),
        BadConfiguration(#""rope_scaling":{"rope_type":"dynamic","factor":2.0}"#, "dynamic"),
        BadConfiguration(#""rope_scaling":{"type":"linear","factor":2.0}"#, "which transformers ignores"),
        BadConfiguration(#""rope_scaling":2"#, "an object or null"),
        BadConfiguration(#""local_attention":-1"#, "local_attention"),
        BadConfiguration(#""local_attention":null"#, "is null"),
        BadConfiguration(#""sliding_window":-1"#, "local_attention"),
        BadConfiguration(#""sliding_window":9223372036854775807"#, "smaller window"),
        BadConfiguration(#""sliding_window":"a""#, "integer"),
        BadConfiguration(#""local_attention":null"#, kind: "modernbert-decoder", "hides every token"),
        BadConfiguration(#""sliding_window":0"#, kind: "modernbert-decoder", "hides every token"),
        BadConfiguration(#""sliding_window":-1"#, kind: "modernbert-decoder", "hides every token"),
        BadConfiguration(#""sliding_window":-2"#, kind: "modernbert-decoder", "is -2"),
        BadConfiguration(#""pad_token_id":400"#, "0 to 399"),
        BadConfiguration(#""pad_token_id":-1"#, "0 to 399"),
        BadConfiguration(#""bos_token_id":-1"#, "bos_token_id"),
        BadConfiguration(#""eos_token_id":[1,-2]"#, "is -2"),
        BadConfiguration(#""eos_token_id":"a""#, "a token id"),
        BadConfiguration(#""eos_token_id":[1,"a"]"#, "a token id"),
        BadConfiguration(#""hidden_activation":"mish""#, #"is "mish"; expected "gelu""#),
        BadConfiguration(#""hidden_activation":null"#, "is null"),
        BadConfiguration(#""classifier_activation":3"#, "is 3"),
        BadConfiguration(#""classifier_pooling":"max""#, #""cls", "mean""#),
        BadConfiguration(#""problem_type":"other""#, "regression"),
        BadConfiguration(#""attention_bias":null"#, "true or false"),
        BadConfiguration(#""attention_bias":0"#, "true or false"),
        BadConfiguration(#""attention_dropout":1.5"#, "0 to 1"),
        BadConfiguration(#""mlp_dropout":-0.1"#, "0 to 1"),
        BadConfiguration(#""embedding_dropout":NaN"#, "finite"),
        BadConfiguration(#""quantization_config":{"bits":4}"#, "quantized"),
        BadConfiguration(#""quantization_config":{"quant_method":"gptq"}"#, #"quantized by "gptq""#, "--dtype int8"),
        BadConfiguration(#""dtype":7"#, "a string"),
        BadConfiguration(#""architectures":"A""#, "a list of names"),
        BadConfiguration(#""architectures":[1]"#, "a list of names"),
        BadConfiguration(#""num_labels":-1"#, "num_labels"),
        BadConfiguration(#""num_labels":99999999999"#, "num_labels"),
        BadConfiguration(#""num_labels":3,"id2label":{"0":"a"}"#, "but there are 1 labels"),
        BadConfiguration(#""id2label":{"0":"a","2":"b"}"#, "ids from 0 to 1"),
        BadConfiguration(#""id2label":{"0":"a","00":"b"}"#, "names an id twice"),
        BadConfiguration(#""id2label":{"0":[1]}"#, "id2label"),
        BadConfiguration(#""id2label":{"0":1,"2":2}"#, "ids from 0 to 1"),
        BadConfiguration(#""id2label":["a"]"#, "an object"),
        BadConfiguration(#""label2id":{"a":0,"b":0}"#, "label2id"),
        BadConfiguration(#""label2id":{"a":5}"#, "label2id"),
    ]

    @Test("A value that makes no model is refused with key, value and expectation", arguments: bad)
    func refused(bad: BadConfiguration) throws {
        // Members come first here and replace the small model's own.
        var object = try JSONObject(
            #require(
                JSONValue(
                    parsing: #"{"model_type":"\#(bad.kind)","vocab_size":400,"hidden_size":64,"num_hidden_layers":4,"#
                        + #""num_attention_heads":4,"pad_token_id":3}"#
                ).objectValue
            ).map { ($0.key, $0.value) }
        )
        let changes = try #require(
            JSONValue(parsing: "{\(bad.members)}", options: JSONParsingOptions(allowsNonFiniteNumbers: true))
                .objectValue
        )
        for member in changes { object[member.key] = member.value }
        let text = message { try ModernBERTConfiguration(object) }
        #expect(text.hasPrefix("config.json: \""), "\(text)")
        for word in bad.words { #expect(text.contains(word), "\(text)") }
    }

    @Test("Everything wrong is told at once")
    func several() throws {
        let text = message { try small(#""norm_eps":"a","mlp_bias":3,"layer_types":["x"],"hidden_activation":"y""#) }
        #expect(text.split(separator: "\n").count == 4, "\(text)")
        let values = message {
            try configuration(#"{"model_type":"modernbert","norm_eps":0,"mlp_dropout":2,"hidden_size":770}"#)
        }
        #expect(values.split(separator: "\n").count == 3, "\(values)")
    }

    @Test(
        "Numbers at the ends of their type are refused by their keys",
        arguments: [
            "vocab_size", "hidden_size", "num_hidden_layers", "sliding_window", "pad_token_id", "local_attention",
        ],
        [Int.min, .min + 1, -1, .max]
    )
    func extremes(key: String, value: Int) {
        for kind in ["modernbert", "modernbert-decoder"] {
            let text = message {
                try configuration(
                    #"{"model_type":"\#(kind)","pad_token_id":0,"\#(key)":\#(value)}"#
                        .replacing(key == "pad_token_id" ? #""pad_token_id":0,"# : "@", with: "")
                )
            }
            let isOff = key == "sliding_window" && value == -1
            #expect(isOff || text.contains(key), "\(text)")
        }
    }

    @Test("Other models and other files are told apart")
    func otherFiles() throws {
        #expect(
            message { try configuration(#"{"model_type":"bert"}"#) }.contains(#"is "bert", another architecture"#)
        )
        #expect(message { try configuration("{}") }.contains("is missing"))
        #expect(message { try configuration(#"{"model_type":3}"#) }.contains("is 3"))
        #expect(message { try configuration("[]") }.contains("holds array; expected an object"))
        #expect(message { try configuration("") }.contains("is not JSON"))
        #expect(
            message { try configuration(#"{"model_type":"modernbert","model_type":"modernbert"}"#) }.contains(
                "is not JSON"
            )
        )
        #expect(kind { try configuration(#"{"model_type":"bert"}"#) } == .unsupported)
        let folder = try TemporaryFolder()
        #expect(kind { try ModernBERTConfiguration(folder: folder.path) } == .missing)
    }
}
