import Testing
import Torch

@testable import EttinModel

/// Which layers get adapters, by transformers' names; four layers, of which PEFT gives the same.
@Suite struct LoRATargetsTests {
    static func names(
        _ targets: ModuleSelection?,
        _ model: some PretrainedModel,
        _ change: (inout LoRAConfiguration) -> Void = { _ in }
    ) throws -> [String] {
        var configuration = LoRAConfiguration(targets: targets)
        change(&configuration)
        return try LoRATargets(configuration, of: model, place: "adapter_config.json").targets.map(\.module.name)
    }

    @Test func suffixesAreWholePartsOfNames() throws {
        let (encoder, decoder) = (LanguageModelLossTests.model(.encoder), LanguageModelLossTests.model(.decoder))
        let layers = encoder.configuration.layerCount
        let found = try Self.names(.names(["Wqkv"]), encoder)
        #expect(found == (0..<layers).map { "model.layers.\($0).attn.Wqkv" })
        let projections = try Self.names(.names(["q_proj", "v_proj"]), decoder)
        #expect(projections == (0..<layers).flatMap { l in ["q", "v"].map { "model.layers.\(l).attn.\($0)_proj" } })
        #expect(try Self.names(.names(["Wo"]), encoder).count == 2 * layers)
        #expect(try Self.names(.names(["mlp.Wo"]), encoder).count == layers)
        #expect(try Self.names(.names(["dense"]), decoder) == ["lm_head.dense"])
        #expect(try Self.names(.names(["model.layers.1.mlp.Wi"]), decoder) == ["model.layers.1.mlp.Wi"])
    }

    @Test func allLinearLeavesOutputLayersOut() throws {
        let decoder = try Self.names(.allLinear, LanguageModelLossTests.model(.decoder))
        let layer = ["attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.Wo", "mlp.Wi", "mlp.Wo"]
        #expect(decoder.prefix(6) == layer.map { "model.layers.0.\($0)" }[...] && decoder.last == "lm_head.dense")
        let encoder = try Self.names(.allLinear, LanguageModelLossTests.model(.encoder))
        #expect(encoder.prefix(4) == ["attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"].map { "model.layers.0.\($0)" }[...])
        #expect(encoder.last == "head.dense")
        let classifier = SequenceClassificationModel(WeightInitializationTests.configuration(.encoder))
        #expect(try Self.names(.allLinear, classifier).last == "head.dense")
        let trunk = LanguageModelLossTests.model(.encoder).trunk
        #expect(try Self.names(.allLinear, trunk).first == "layers.0.attn.Wqkv")
    }

    @Test func expressionsMatchWholeNames() throws {
        let model = LanguageModelLossTests.model(.encoder)
        let even = try Self.names(.expression(#".*\.[02]\.mlp\.Wi"#), model)
        #expect(even == [0, 2].map { "model.layers.\($0).mlp.Wi" })
        #expect(try Self.names(.expression(#"model\.layers\.(?P<layer>\d+)\.attn\.Wqkv"#), model).count == 4)
        #expect {
            try Self.names(.expression("Wi"), model)
        } throws: {
            "\($0)".contains("meets no linear layer") && "\($0)".contains("Wqkv")
        }
        #expect {
            try Self.names(.expression("(Wi"), model)
        } throws: {
            "\($0)".contains("no regular expression")
        }
    }

    @Test func layersExclusionsAndPatterns() throws {
        let model = LanguageModelLossTests.model(.decoder)
        let some = try Self.names(.names(["Wo"]), model) {
            $0.layers = [1, 3]
            $0.excluded = .names(["mlp.Wo"])
        }
        #expect(some == [1, 3].map { "model.layers.\($0).attn.Wo" })
        let named = try Self.names(.names(["Wi"]), model) {
            $0.layers = [2]
            $0.layersPattern = ["layers"]
        }
        #expect(named == ["model.layers.2.mlp.Wi"])
        #expect(throws: CheckpointError.self) {
            try Self.names(.names(["Wi"]), model) {
                $0.layers = [2]
                $0.layersPattern = ["blocks"]
            }
        }
        #expect(try Self.names(.names(["Wi", "Wo"]), model) { $0.excluded = .expression(#".*\.mlp\..*"#) }.count == 4)
        var configuration = LoRAConfiguration(targets: .names(["Wi", "Wo"]))
        configuration.rankPattern = [.init("attn.Wo", 3), .init(#"layers\.1\.mlp\.W."#, 5)]
        configuration.alphaPattern = [.init("Wi", 4)]
        let targets = try LoRATargets(configuration, of: model, place: "x").targets
        func target(_ name: String) -> LoRATargets.Target? {
            targets.first { $0.module.name == "model.layers." + name }
        }
        #expect(target("0.attn.Wo")?.rank == 3 && target("0.mlp.Wo")?.rank == 8 && target("1.mlp.Wi")?.rank == 5)
        #expect(target("1.mlp.Wi")?.scale == 0.8 && target("0.mlp.Wo")?.scale == 1)
    }

    @Test("Layers beside an expression, and exclusions that meet nothing, are refused by name")
    func layersAndExclusionsWithoutAnEffect() throws {
        let model = LanguageModelLossTests.model(.encoder)
        func refused(_ text: String, _ targets: ModuleSelection, _ change: @escaping (inout LoRAConfiguration) -> Void)
        {
            #expect {
                try Self.names(targets, model, change)
            } throws: {
                "\($0)".contains(text)
            }
        }
        refused("layers_to_transform", .allLinear) { $0.layers = [0] }
        refused("layers_to_transform", .expression(".*Wo")) { $0.layers = [0] }
        refused("layers_pattern", .names(["Wo"])) { $0.layersPattern = ["layers"] }
        refused("exclude_modules", .names(["Wo"])) { $0.excluded = .expression("Wo") }
        refused("\"q_proj\", which meets no module", .names(["Wo"])) { $0.excluded = .names(["mlp.Wo", "q_proj"]) }
    }

    @Test func modulesThatAreSavedGetNoAdapter() throws {
        let model = LanguageModelLossTests.model(.decoder)
        var configuration = LoRAConfiguration(targets: .allLinear)
        configuration.modulesToSave = ["head", "layers.1.attn"]
        let found = try LoRATargets(configuration, of: model, place: "x")
        let names = found.targets.map(\.module.name)
        #expect(!names.contains { $0.contains("lm_head") || $0.contains("layers.1.attn") })
        #expect(found.savedKeys.contains("head.norm.weight"))
        #expect(found.savedKeys.contains("model.layers.1.attn.Wqkv.weight"))
    }

    struct Refusal: CustomStringConvertible {
        let targets: [String]
        var saved: [String] = []
        let message: String
        var description: String { message }
    }

    @Test(arguments: [
        Refusal(targets: ["query"], message: "which is no module of the model; expected some of \"q_proj\""),
        Refusal(targets: ["Wqkv"], message: "\"Wqkv\", which is no module"),
        Refusal(targets: ["tok_embeddings"], message: "\"tok_embeddings\", which is no linear layer"),
        Refusal(targets: ["decoder"], message: "\"decoder\", which is no linear layer"),
        Refusal(targets: ["Wo"], saved: ["score"], message: "\"score\", which is no module of the model"),
        Refusal(targets: ["Wo"], saved: ["q_proj"], message: "one of three projections that are one matrix"),
        Refusal(targets: ["Wo"], saved: ["tok_embeddings"], message: "tok_embeddings without decoder"),
    ])
    func unknownNamesAreRefusedWithThoseThatThereAre(refusal: Refusal) throws {
        #expect {
            try Self.names(.names(refusal.targets), LanguageModelLossTests.model(.decoder)) {
                $0.modulesToSave = refusal.saved
            }
        } throws: {
            "\($0)".contains(refusal.message)
        }
    }

    @Test func aConfigurationWithoutTargetsIsRefused() {
        #expect {
            try Self.names(nil, LanguageModelLossTests.model(.encoder))
        } throws: {
            "\($0)".contains("target_modules is missing") && "\($0)".contains("all-linear")
        }
    }
}
