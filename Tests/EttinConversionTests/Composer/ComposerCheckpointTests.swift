import EttinCorpus
import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import TestSupport
import Testing
import Torch

@testable import EttinConversion

@Suite("Raw Composer checkpoints")
struct ComposerCheckpointTests {
    private func read(_ fixture: ComposerFixture) throws -> ComposerCheckpoint {
        try withTemporaryFolder { try ComposerCheckpoint(path: $0.write(fixture.bytes, "ep1-ba7-rank0.pt")) }
    }

    /// The error of a fixture that was changed.
    private func message(_ kind: ModelKind = .encoder, _ change: (inout ComposerFixture) -> Void) -> String {
        do {
            var fixture = ComposerFixture(kind)
            change(&fixture)
            _ = try read(fixture)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("Weights are found under our keys, bit for bit", arguments: ModelKind.allCases)
    func weights(kind: ModelKind) throws {
        let fixture = ComposerFixture(kind)
        let checkpoint = try read(fixture)
        #expect(checkpoint.kind == kind)
        #expect(checkpoint.weights.map(\.key) == fixture.weights.map(\.key))
        for (loaded, expected) in zip(checkpoint.weights, fixture.weights) {
            #expect(loaded.tensor.shape == expected.shape)
            #expect(try loaded.tensor.array() == expected.values, "\(expected.key)")
        }
        let model = LanguageModel(try checkpoint.configuration())
        #expect(model.configuration.kind == kind)
        try model.load(checkpoint.weights)
        #expect(checkpoint.notices == [])
    }

    @Test("The state of the optimizer is by name, or by number through the groups", arguments: [true, false])
    func optimizer(namesParameters: Bool) throws {
        let fixture = ComposerFixture(.encoder, namesParameters: namesParameters)
        let optimizer = try #require(try read(fixture).optimizer)
        #expect(optimizer.name == "StableAdamW")
        #expect(optimizer.groups.map(\.weightDecay) == [0, 3e-4])
        #expect(optimizer.groups.map(\.learningRate) == [2e-3, 2e-3])
        #expect(optimizer.groups[1].maximumLearningRate == 3e-3)
        #expect(optimizer.groups[0].initialLearningRate == 3e-3)
        #expect(optimizer.groups[0].betas == [0.9, 0.98])
        #expect(optimizer.groups[0].epsilon == 1e-6)
        #expect(optimizer.groups[0].keys.allSatisfy { $0.contains("norm") || $0.hasSuffix("bias") })
        #expect(Set(optimizer.groups.flatMap(\.keys)) == Set(fixture.weights.map(\.key)))
        #expect(optimizer.moments.map(\.key) == optimizer.groups.flatMap(\.keys))
        for (number, moments) in optimizer.moments.enumerated() {
            #expect(moments.step == 7)
            let first: [Float] = try moments.first.array()
            #expect(first == first.indices.map { Float(number) - Float($0) / 32 }, "\(moments.key)")
            let second: [Float] = try moments.second.array()
            #expect(second == second.indices.map { Float(number) + Float($0) / 16 }, "\(moments.key)")
        }
    }

    @Test("Clock, rates, data and seed are read")
    func state() throws {
        let checkpoint = try read(ComposerFixture(.decoder))
        var clock = TrainingClock()
        (clock.epoch, clock.batch, clock.sample, clock.token) = (1, 7, 224, 5000)
        (clock.batchInEpoch, clock.sampleInEpoch, clock.tokenInEpoch) = (3, 96, 2100)
        clock.seconds = 86402.5
        #expect(checkpoint.clock == clock)
        #expect(checkpoint.baseLearningRates == [3e-3, 3e-3])
        let dataset = StreamingState(
            epoch: 1,
            sampleInEpoch: 96,
            canonicalNodes: 8,
            shuffleSeed: 9176,
            initialPhysicalNodes: 2
        )
        #expect(checkpoint.dataset == dataset)
        #expect(checkpoint.seed == 21)
        #expect(checkpoint.runName == "tiny")
    }

    @Test("Weights alone are enough")
    func weightsAlone() throws {
        var fixture = ComposerFixture(.encoder)
        for key in ["optimizers", "schedulers", "timestamp", "dataset_state", "integrations", "rank_zero_seed"] {
            fixture.root.remove("state", key)
        }
        let checkpoint = try read(fixture)
        #expect(checkpoint.optimizer == nil)
        #expect(checkpoint.clock == nil)
        #expect(checkpoint.dataset == nil)
        #expect(checkpoint.baseLearningRates == [])
        #expect {
            try checkpoint.configuration()
        } throws: {
            "\($0)".contains("has no model configuration")
        }
    }

    @Test("Segments of compiled and distributed models are passed over, metrics ignored with a notice")
    func wrappers() throws {
        var fixture = ComposerFixture(.encoder)
        guard case .dictionary(let entries) = fixture.root["state", "model"] else { return }
        fixture.root["state", "model"] = .dictionary(
            entries.map { entry in
                guard case .text(let name) = entry.0 else { return entry }
                return (.text("module._orig_mod." + name.replacing("layers.1.", with: "layers.1._orig_mod.")), entry.1)
            }
        )
        fixture.add("train_metrics.LanguageCrossEntropy.sum_loss", [])
        fixture.add("val_metrics.MaskedAccuracy.total", [])
        let checkpoint = try read(fixture)
        #expect(checkpoint.weights.map(\.key) == fixture.weights.map(\.key))
        #expect(
            checkpoint.notices == [
                "ignored 2 values of the model's state that are no weights: "
                    + "\"train_metrics.LanguageCrossEntropy.sum_loss\", \"val_metrics.MaskedAccuracy.total\""
            ]
        )
    }

    @Test("An output matrix of its own is kept")
    func untied() throws {
        var fixture = ComposerFixture(.encoder)
        fixture.add("model.decoder.weight", [11, 4])
        // Its moments would be there too.
        fixture.root.remove("state", "optimizers")
        let checkpoint = try read(fixture)
        #expect(checkpoint.weights.contains { $0.key == "decoder.weight" })
        let configuration = try checkpoint.configuration()
        #expect(!configuration.tiesWordEmbeddings)
        try LanguageModel(configuration).load(checkpoint.weights)
    }

    @Test("What the training code calls the model becomes ours")
    func configuration() throws {
        let configuration = try read(ComposerFixture(.decoder)).configuration()
        #expect(configuration.layerTypes == [.fullAttention, .slidingAttention])
        #expect(configuration.localAttention == 8)
        #expect(configuration.slidingWindow == 4)
        #expect(configuration.globalRope.theta == 160_000)
        #expect(configuration.localRope.theta == 160_000)
        #expect(configuration.maxPositionEmbeddings == 7999)
        #expect(configuration.classifierPooling == .mean || configuration.kind == .decoder)
        #expect(configuration.attentionDropout == 0)
        #expect(configuration.padTokenID == nil)
        #expect(configuration.bosTokenID == nil)
    }

    @Test("A configuration can be given beside the checkpoint: a recipe, transformers' or the training code's")
    func givenConfigurations() throws {
        let checkpoint = try read(ComposerFixture(.encoder))
        try withTemporaryFolder { folder in
            let recipe = """
                model:
                  name: flex_bert
                  model_config:
                    vocab_size: 11
                    hidden_size: 4
                    intermediate_size: 6
                    num_hidden_layers: 2
                    num_attention_heads: 2
                    sliding_window: 6
                    global_attn_every_n_layers: 3
                    rotary_emb_base: 10000.0
                    local_attn_rotary_emb_base: 500
                    norm_kwargs: {eps: 1e-6, bias: false}
                    rotary_emb_dim: null
                    padding: "unpadded"
                """
            let yaml = try checkpoint.configuration(file: folder.write(recipe, "recipe.yaml"))
            #expect(yaml.localAttention == 6)
            #expect(yaml.normEpsilon == 1e-6)
            #expect(yaml.localRope.theta == 500)
            let ours = TinyModel.configuration(.encoder)
            let path = try folder.write(ours.serialized(.version4), "config.json")
            var expected = try ModernBERTConfiguration(path: path)
            #expect(try checkpoint.configuration(file: path) == expected)
            // One of the other kind has the same shape.
            let decoder = try folder.write(TinyModel.configuration(.decoder).serialized(.version4), "decoder.json")
            expected = try checkpoint.configuration(file: decoder)
            #expect(expected.kind == .encoder)
            #expect(expected.localAttention == 8)
            let theirs = try #require(checkpoint.modelConfig)
            let json = try folder.write(JSONValue.object(theirs).text(), "flex.json")
            #expect(try checkpoint.configuration(file: json) == checkpoint.configuration())
        }
    }

    @Test(
        "Architectures that ModernBERT is not are refused by key",
        arguments: [
            ("attention_layer", .text("base"), "config.attention_layer: is \"base\"; expected rope"),
            ("final_norm", .bool(false), "config.final_norm: is false; expected true"),
            ("attn_qkv_bias", .bool(true), "config.attn_qkv_bias: is true, but attn_out_bias is false"),
            ("rotary_emb_dim", .integer(2), "config.rotary_emb_dim: is not supported; expected null"),
            ("sliding_window", .float(8.5), "config.sliding_window: is \"8.5\"; expected a whole number"),
            ("global_attn_every_n_layers", .integer(-1), "is 8, but global_attn_every_n_layers is -1"),
            ("hidden_size", .none, "config.hidden_size: is empty; expected a whole number"),
            ("hidden_size", .integer(5), "\"hidden_size\" is 5"),
        ] as [(String, Saved, String)]
    )
    func otherArchitectures(key: String, value: Saved, message: String) throws {
        var fixture = ComposerFixture(.encoder)
        fixture.root["state", "integrations", "huggingface", "model", "config", "content", key] = value
        let checkpoint = try read(fixture)
        #expect {
            try checkpoint.configuration()
        } throws: {
            "\($0)".contains(message)
        }
    }

    @Test("Recipes that describe no model are refused")
    func brokenRecipes() throws {
        let checkpoint = try read(ComposerFixture(.encoder))
        try withTemporaryFolder { folder in
            for text in ["", "model: 3", "a: [", "model:\n  model_config: [1]", String(repeating: "[", count: 5000)] {
                let path = try folder.write(text, "recipe.yaml")
                #expect(throws: TrainingError.self, "\(text.prefix(20))") { try checkpoint.configuration(file: path) }
            }
            let array = try folder.write("[]", "config.json")
            #expect(throws: TrainingError.self) { try checkpoint.configuration(file: array) }
            #expect(throws: TrainingError.self) { try checkpoint.configuration(file: folder.file("absent.json")) }
        }
    }

    @Test("Broken states are refused by the name of what is wrong")
    func broken() throws {
        #expect(message { $0.root = .list([]) }.contains("\"state\" is missing; expected a training state"))
        #expect(message { $0.root["state"] = .integer(1) }.contains("\"state\" is an integer"))
        #expect(message { $0.root.remove("state", "model") }.contains("state.model is missing"))
        #expect(message { $0.root["state", "model"] = .named([]) }.contains("state.model has no head"))
        #expect(message { $0.add("model.lm_head.norm.bias", [4]) }.contains("state.model has two heads"))
        let object = Saved.object(module: "posix", name: "system", [.text("true")])
        #expect(
            message { $0.root["state", "model", "model.head.norm.weight"] = object }
                .contains("state.model \"model.head.norm.weight\" is an object of \"posix.system\"; expected a tensor")
        )
        #expect(
            message { $0.add("model.module.head.norm.weight", [4]) }
                .contains("\"model.module.head.norm.weight\" is present twice, also as head.norm.weight")
        )
        #expect(
            message { $0.root["state", "timestamp", "Timestamp", "batch"] = .float(1.5) }
                .contains("state.timestamp.batch is a float; expected a whole number")
        )
        #expect(
            message { $0.root["state", "timestamp", "Timestamp", "token"] = .integer(-1) }
                .contains("state.timestamp.token is -1; expected 0 to 9007199254740992")
        )
        #expect(message { $0.root.remove("state", "timestamp", "Timestamp", "epoch") }.contains("epoch is missing"))
        #expect(
            message { $0.root["state", "timestamp", "Timestamp", "total_wct"] = object }
                .contains("state.timestamp.total_wct is an object of \"posix.system\"; expected a timedelta")
        )
        #expect(
            message { $0.root["state", "dataset_state", "train"] = .named([("epoch", .integer(0))]) }
                .contains("state.dataset_state.train.sample_in_epoch is missing")
        )
        #expect(
            message { $0.root["state", "schedulers", "LambdaLR", "base_lrs"] = .list([.text("x")]) }
                .contains("base_lrs is a string; expected a number")
        )
    }

    @Test("Broken optimizer states are refused by parameter")
    func brokenOptimizers() throws {
        let place = ("state", "optimizers", "StableAdamW", "state")
        func changed(_ key: String, _ value: Saved?) -> String {
            message { fixture in
                let name = "model.bert.final_norm.weight"
                guard let value else { return fixture.root.remove(place.0, place.1, place.2, place.3, name, key) }
                fixture.root[place.0, place.1, place.2, place.3, name, key] = value
            }
        }
        #expect(changed("exp_avg", nil).contains("state of model.final_norm.weight.exp_avg is missing"))
        #expect(changed("exp_avg", Saved.none).contains("exp_avg is None; expected a tensor"))
        #expect(changed("step", .float(0.5)).contains("step is 0.5; expected a step"))
        #expect(
            message { fixture in
                let shape = fixture.root["state", "model", "model.head.dense.weight"]
                fixture.root[
                    place.0,
                    place.1,
                    place.2,
                    place.3,
                    "model.bert.final_norm.weight",
                    "exp_avg_sq"
                ] = shape
            }.contains("exp_avg_sq has shape [4, 4]; expected [4], that of the weight")
        )
        #expect(
            message { $0.root.remove(place.0, place.1, place.2, place.3, "model.decoder.bias") }
                .contains("state.optimizers.StableAdamW.state lacks decoder.bias; expected its moments")
        )
        #expect(
            message { $0.root["state", "optimizers", "StableAdamW", "param_groups"] = .integer(1) }
                .contains("param_groups is an integer; expected a list")
        )
        var numbered = ComposerFixture(.encoder, namesParameters: false)
        let groups = Saved.list([
            .named([
                ("params", .list([.integer(0)])), ("lr", .float(1)), ("betas", .tuple([])), ("eps", .float(1)),
            ]), .named([("params", .list([]))]),
        ])
        numbered.root["state", "optimizers", "StableAdamW", "param_groups"] = groups
        #expect {
            try read(numbered)
        } throws: {
            "\($0)".contains("param_groups[0].params has 1 parameters; expected 7: those of the model")
        }
    }

    @Test("A file that is cut off anywhere is refused, and never crashes")
    func truncated() throws {
        let bytes = ComposerFixture(.encoder).bytes
        try withTemporaryFolder { folder in
            for count in stride(from: 0, to: bytes.count - 1, by: 997) {
                let path = try folder.write(Array(bytes[..<count]), "cut.pt")
                #expect(throws: CheckpointError.self, "\(count) bytes") { try ComposerCheckpoint(path: path) }
            }
        }
    }

    @Test("A checkpoint becomes a model's folder of either kind", arguments: ModelKind.allCases)
    func folders(kind: ModelKind) throws {
        try withTemporaryFolder { folder in
            let fixture = ComposerFixture(.encoder)
            let checkpoint = try ComposerCheckpoint(path: folder.write(fixture.bytes, "raw.pt"))
            var configuration = try checkpoint.configuration(as: kind)
            if kind == .decoder {
                #expect {
                    try checkpoint.write(toFolder: folder.file("model"), configuration: configuration)
                } throws: {
                    "\($0)".hasSuffix(
                        "defines no bos_token_id, which decoders need; expected a tokenizer that defines it"
                    )
                }
                (configuration.padTokenID, configuration.bosTokenID, configuration.eosTokenIDs) = (3, 1, [2])
            }
            let parameters = try checkpoint.write(toFolder: folder.file("model"), configuration: configuration)
            let model = try LanguageModel.load(folder: folder.file("model"))
            #expect(model.parameterCount == parameters)
            #expect(model.configuration.kind == kind)
            for (loaded, expected) in zip(model.parameters, fixture.weights) {
                #expect(loaded.key == expected.key)
                #expect(try loaded.tensor.array() == expected.values, "\(expected.key)")
            }
            #expect(FilePath.exists(folder.file("model/generation_config.json")) == (kind == .decoder))
            let card = String(decoding: try folder.read("model/README.md"), as: UTF8.self)
            #expect(card.contains("after 7 steps and 5000 tokens"))
            // With a tokenizer, its ids are those of the model.
            let tokenizer = try TinyModel.tokenizer()
            try checkpoint.write(toFolder: folder.file("full"), configuration: configuration, tokenizer: tokenizer)
            #expect(try ModernBERTConfiguration(folder: folder.file("full")).padTokenID == 3)
            let written = try ModernBERTConfiguration(folder: folder.file("model"))
            #expect(written.clsTokenID == (kind == .decoder ? 1 : nil))
        }
    }

    @Test("Weights that do not fit the configuration are refused, and nothing is written")
    func misfits() throws {
        try withTemporaryFolder { folder in
            let checkpoint = try ComposerCheckpoint(path: folder.write(ComposerFixture(.encoder).bytes, "raw.pt"))
            var configuration = try checkpoint.configuration()
            configuration.intermediateSize = 5
            #expect(throws: StateDictionaryError.self) {
                try checkpoint.write(toFolder: folder.file("model"), configuration: configuration)
            }
            #expect(try folder.names == ["raw.pt"])
        }
    }
}
