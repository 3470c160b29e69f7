import EttinJSON
import TestSupport
import Testing

@testable import EttinModel

/// The file `adapter_config.json`.
@Suite struct LoRAConfigurationTests {
    static func read(_ text: String) throws -> LoRAConfiguration {
        let object = try #require(try JSONValue(parsing: Array(text.utf8)).objectValue)
        return try LoRAConfiguration(object, file: "adapter_config.json")
    }

    @Test func everyKeyIsReadAndWritten() throws {
        var configuration = LoRAConfiguration(targets: .names(["q_proj", "Wi"]))
        configuration.baseModel = "owner/model"
        configuration.revision = "step5"
        configuration.taskType = "CAUSAL_LM"
        configuration.rank = 4
        configuration.alpha = 2.5
        configuration.dropout = 0.05
        configuration.excluded = .expression(#".*\.0\..*"#)
        configuration.modulesToSave = ["final_norm"]
        configuration.layers = [1, 3]
        configuration.layersPattern = ["layers"]
        configuration.rankPattern = [.init("Wo", 3)]
        configuration.alphaPattern = [.init(#"layers\.1\.mlp\.Wi"#, 7)]
        configuration.usesRankStabilization = true
        configuration.usesDecomposition = true
        configuration.initialization = .gaussian
        let again = try LoRAConfiguration(configuration.json, file: "adapter_config.json")
        #expect(again == configuration)
        #expect(configuration.json["peft_type"] == "LORA" && configuration.json["inference_mode"] == true)
        #expect(configuration.json["lora_alpha"]?.doubleValue == 2.5)
    }

    @Test func absentKeysHaveTheDefaultsOfPEFT() throws {
        let configuration = try Self.read(#"{"peft_type": "LORA", "new_key_of_a_later_release": {"a": 1}}"#)
        #expect(configuration == LoRAConfiguration())
        #expect(configuration.rank == 8 && configuration.alpha == 8 && configuration.dropout == 0)
        #expect(configuration.scale(rank: 4, alpha: 8) == 2)
        let stabilized = try Self.read(#"{"use_rslora": true}"#)
        #expect(stabilized.scale(rank: 4, alpha: 8) == 4)
        #expect(try Self.read(#"{"target_modules": "all-linear"}"#).targets == .allLinear)
        #expect(try Self.read(#"{"init_lora_weights": false}"#).initialization == .random)
    }

    struct Refusal: CustomStringConvertible {
        let text: String
        let message: String
        var description: String { text }
    }

    @Test(arguments: [
        Refusal(text: #"{"peft_type": "IA3"}"#, message: "\"peft_type\" is \"IA3\""),
        Refusal(text: #"{"bias": "all"}"#, message: "expected \"none\""),
        Refusal(text: #"{"lora_bias": true}"#, message: "\"lora_bias\" is true, which is not supported"),
        Refusal(text: #"{"fan_in_fan_out": true}"#, message: "fan_in_fan_out"),
        Refusal(text: #"{"loftq_config": {"bits": 4}}"#, message: "loftq_config"),
        Refusal(text: #"{"trainable_token_indices": [3]}"#, message: "trainable_token_indices"),
        Refusal(text: #"{"layer_replication": [[0, 4]]}"#, message: "layer_replication"),
        Refusal(text: #"{"use_qalora": true}"#, message: "use_qalora"),
        Refusal(text: #"{"target_parameters": ["x"]}"#, message: "target_parameters"),
        Refusal(text: #"{"init_lora_weights": "pissa"}"#, message: "\"pissa\", which is not supported"),
        Refusal(text: #"{"r": 0}"#, message: "1 to 65536"),
        Refusal(text: #"{"r": 99999999999}"#, message: "1 to 65536"),
        Refusal(text: #"{"r": 1.5}"#, message: "an integer"),
        Refusal(text: #"{"rank_pattern": {"Wo": -1}}"#, message: "\"rank_pattern\" has the rank -1"),
        Refusal(text: #"{"lora_alpha": 1e300}"#, message: "at most 1e9"),
        Refusal(text: #"{"lora_dropout": 1}"#, message: "0 to below 1"),
        Refusal(text: #"{"target_modules": [1]}"#, message: "a list of names, or an expression"),
        Refusal(text: #"{"alpha_pattern": {"x": "y"}}"#, message: "expected a number"),
    ])
    func whatIsNotDoneIsRefusedByName(refusal: Refusal) throws {
        #expect {
            try Self.read(refusal.text)
        } throws: {
            "\($0)".contains(refusal.message)
        }
    }
}
