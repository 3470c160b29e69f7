import EttinJSON
import Foundation
import Testing

@Suite("ettin env, info, models and init")
struct ModelCommandTests {
    @Test("env names libtorch, devices and processor")
    func env() throws {
        let document = try Command.succeed(["env", "--json"]).document()
        #expect(
            document.objectValue?.keys == [
                "ettin_version", "libtorch_version", "libtorch_folder", "libtorch_build", "devices", "cpu_capability",
                "cpu_features", "kernels", "threads",
            ]
        )
        #expect(document["devices"]?[0] == "cpu")
        #expect(try #require(document["threads"]?.intValue) > 0)
        #expect(document["cpu_features"]?.arrayValue?.isEmpty == false)
        let folder = try #require(document["libtorch_folder"]?.stringValue)
        #expect(FileManager.default.fileExists(atPath: folder))
        let text = try Command.succeed(["env"]).output
        #expect(text.contains(folder))
        #expect(text.contains("devices         cpu"))
    }

    @Test("models lists the 24 models of the suite")
    func models() throws {
        let list = try #require(try Command.succeed(["models", "--json"]).document().arrayValue)
        #expect(list.count == 24)
        #expect(Set(list.compactMap { $0["name"]?.stringValue }).count == 24)
        #expect(list[0].objectValue?.keys == ["name", "kind", "size", "parameters", "origin", "purpose"])
        #expect(try Command.succeed(["models"]).lines.count == 24)
    }

    @Test("info describes an encoder's folder")
    func infoOfFolder() throws {
        let models = try TinyModels.shared()
        let document = try Command.succeed(["info", models.encoder, "--json"]).document()
        #expect(document["kind"] == "masked-lm" && document["architecture"] == "encoder")
        #expect(document["command"] == "fill-mask" && document["head"] == "fill-mask" && document["obstacle"] == .null)
        #expect(document["size"] == .null)
        #expect(document["hidden_size"] == 32)
        #expect(document["num_attention_heads"] == 2)
        #expect(document["max_position_embeddings"] == 32)
        #expect(document["vocab_size"] == 300)
        #expect(document["embedding_parameters"] == 9600)
        let parameters = try #require(document["parameters"]?.intValue)
        #expect(document["non_embedding_parameters"]?.intValue == parameters - 9600)
        #expect(
            document["layers"]?[0] == ["type": "full_attention", "left": nil, "right": nil, "rope_theta": 160_000.0]
        )
        #expect(document["layers"]?[1]?["left"] == 64)
        #expect(document["dtypes"] == ["F32"])
        #expect(document["tokenizer"]?["special_tokens"]?["[MASK]"] == 4)
        let files = try #require(document["files"]?.arrayValue)
        #expect(
            files.map { $0["name"]?.stringValue } == [
                "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            ]
        )
        // Four bytes for each float32, and the header.
        #expect(try #require(files[1]["bytes"]?.intValue) > 4 * parameters)
        let text = try Command.succeed(["info", models.encoder]).output
        #expect(text.contains("parameters   \(parameters): 9600 in the embedding"))
    }

    @Test("info describes what cannot be run, and says why")
    func infoOfWhatCannotBeRun() throws {
        func write(_ text: String, _ name: String, _ folder: String) throws {
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        try withTemporaryFolder { folder in
            try write("{}", "gliner_config.json", folder)
            let document = try Command.succeed(["info", folder, "--json"]).document()
            #expect(document["kind"] == "gliner" && document["command"] == .null)
            #expect(document["obstacle"]?.stringValue?.contains("is a GLiNER model") == true)
        }
        try withTemporaryFolder { folder in
            try write(#"{"base_model_name_or_path": "x", "peft_type": "LORA"}"#, "adapter_config.json", folder)
            let text = try Command.succeed(["info", folder]).output
            #expect(text.hasPrefix("kind         adapter\n") && text.contains("\ncannot run   "))
            #expect(text.contains("without that model"))
        }
        try withTemporaryFolder { folder in
            let config = #"{"model_type": "bert", "architectures": ["BertForMaskedLM"]}"#
            try write(config, "config.json", folder)
            let document = try Command.succeed(["info", folder, "--json"]).document()
            #expect(document["kind"] == "masked-lm" && document["architecture"] == .null)
            #expect(document["obstacle"]?.stringValue?.contains("\"model_type\" is \"bert\"") == true)
        }
        try withTemporaryFolder { folder in
            try write(
                #"[{"type": "x.Transformer", "path": ""}, {"type": "x.LSTM", "path": "1_L"}]"#,
                "modules.json",
                folder
            )
            try FileManager.default.copyItem(
                atPath: "\(TinyModels.shared().encoder)/config.json",
                toPath: "\(folder)/config.json"
            )
            let document = try Command.succeed(["info", folder, "--json"]).document()
            #expect(document["obstacle"]?.stringValue?.contains("module 1 is \"x.LSTM\"") == true)
            #expect(document["modules"]?.arrayValue?.count == 2)
        }
    }

    struct Unreadable: CustomTestStringConvertible, Sendable {
        let modules: String
        var files: [String: String] = [:]
        var removed: String?
        let message: String
        var testDescription: String { message }
    }

    private static let transformer = #"{"path": "", "type": "x.Transformer"}"#
    private static let pooling = #"{"path": "1_Pooling", "type": "x.Pooling"}"#
    private static let router = #"[{"path": "", "type": "x.Router"}]"#
    static let unreadable = [
        Unreadable(modules: "[]", message: "modules.json: is not a list of modules"),
        Unreadable(modules: "{}", message: "modules.json: is not a list of modules"),
        Unreadable(
            modules: #"[\#(transformer), \#(pooling), {"type": "x.Dense"}]"#,
            message: "module 2 lacks \"type\" or \"path\""
        ),
        Unreadable(
            modules: #"[\#(transformer), \#(pooling), {"path": "../d1/2_Dense", "type": "x.Dense"}]"#,
            message: "module 2 has the path \"../d1/2_Dense\""
        ),
        Unreadable(
            modules: #"[\#(transformer), \#(pooling), {"path": "2_Dense", "type": "x.Dense"}]"#,
            message: "2_Dense/config.json"
        ),
        Unreadable(modules: "[\(transformer), \(pooling)]", removed: "1_Pooling", message: "1_Pooling/config.json"),
        Unreadable(modules: router, removed: "config.json", message: "router_config.json"),
        Unreadable(
            modules: router,
            files: ["router_config.json": #"{"types": {"a": "x.LSTM"}, "structure": {"query": ["a"]}}"#],
            message: "router_config.json: module \"a\" is \"x.LSTM\""
        ),
        Unreadable(
            modules: "[\(transformer), \(pooling)]",
            files: ["1_Pooling/config.json": #"{"embedding_dimension": 7, "pooling_mode": "cls"}"#],
            message: "is 7; expected 32, the width before it"
        ),
        Unreadable(
            modules: "[\(transformer), \(pooling)]",
            files: ["config_sentence_transformers.json": #"{"truncate_dim": 99}"#],
            message: "\"truncate_dim\" is 99; expected at most 32, the width of an embedding"
        ),
        Unreadable(modules: "[\(transformer), \(pooling)]", removed: "tokenizer.json", message: "tokenizer.json"),
    ]

    @Test("info says of what embed refuses that it cannot be run", arguments: unreadable)
    func infoOfWhatIsRefused(_ model: Unreadable) throws {
        try withTemporaryFolder { folder in
            let path = "\(folder)/model"
            try FileManager.default.copyItem(atPath: TinyModels.shared().encoder, toPath: path)
            try FileManager.default.createDirectory(atPath: "\(path)/1_Pooling", withIntermediateDirectories: false)
            let usual = ["1_Pooling/config.json": "{}", "modules.json": model.modules]
            for (name, text) in usual.merging(model.files, uniquingKeysWith: { $1 }) {
                try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
            }
            if let name = model.removed { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }
            let document = try Command.succeed(["info", path, "--json"]).document()
            #expect(document["command"] == .null)
            let obstacle = document["obstacle"]?.stringValue ?? ""
            #expect(obstacle.contains(model.message), "\(obstacle)")
            let refused = try Command.run(["embed", path, "x"])
            #expect(refused.code == 1 && refused.errors.contains(model.message), "\(refused.errors)")
        }
    }

    @Test("The lowest length holds, and info states it")
    func lengths() throws {
        try withTemporaryFolder { folder in
            let path = "\(folder)/model"
            try FileManager.default.copyItem(atPath: TinyModels.shared().encoder, toPath: path)
            try FileManager.default.createDirectory(atPath: "\(path)/1_Pooling", withIntermediateDirectories: false)
            for (name, text) in [
                ("modules.json", "[\(Self.transformer), \(Self.pooling)]"), ("1_Pooling/config.json", "{}"),
                ("sentence_bert_config.json", #"{"max_seq_length": 1000000}"#),
            ] { try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8) }
            let document = try Command.succeed(["info", path, "--json"]).document()
            #expect(document["max_seq_length"] == document["max_position_embeddings"])
            #expect(document["obstacle"] == .null)
        }
    }

    @Test("embed concatenates poolings and rounds to bytes and bits")
    func embedOptions() throws {
        let encoder = try TinyModels.shared().encoder
        let texts = ["the cat", "a dog", "a cat sat"]
        func rows(_ options: [String]) throws -> [[Int]] {
            try Command.succeed(["embed", encoder] + texts + options).lines.map {
                try JSONValue(parsing: String($0))["embedding"]?.arrayValue?.compactMap(\.intValue) ?? []
            }
        }
        #expect(try rows(["--precision", "ubinary"]).map(\.count) == [4, 4, 4])
        #expect(try rows(["--precision", "binary", "--pooling", "mean,cls"]).map(\.count) == [8, 8, 8])
        let bytes = try rows(["--precision", "uint8"])
        #expect(bytes.allSatisfy { $0.count == 32 && $0.allSatisfy((0...255).contains) })
        try withTemporaryFolder { folder in
            let (sample, output) = ("\(folder)/sample.txt", "\(folder)/x.npy")
            try texts.joined(separator: "\n").write(toFile: sample, atomically: true, encoding: .utf8)
            let calibrated = try rows(["--precision", "uint8", "--calibration", sample])
            #expect(calibrated == bytes)
            let empty = "\(folder)/empty.txt"
            try "".write(toFile: empty, atomically: true, encoding: .utf8)
            let failed = try Command.run(["embed", encoder, "x", "--precision", "int8", "--calibration", empty])
            #expect(failed.code == 1 && failed.errors.contains("\(empty): has no text for --calibration"))
            _ = try Command.succeed([
                "embed", encoder, "x", "--precision", "int8", "--calibration", sample, "-o", output,
            ])
            let file = try Data(contentsOf: URL(fileURLWithPath: output))
            #expect(file.count == 128 + 32 && String(decoding: file, as: UTF8.self).contains("'descr': '|i1'"))
        }
        let alone = try Command.run(["embed", encoder, "x", "--precision", "int8"])
        #expect(alone.code == 1 && alone.errors.contains("--precision is int8 of 1 embedding, which has no range"))
        let wrong = try Command.run(["embed", encoder, "x", "--precision", "binary", "--calibration", "x"])
        #expect(wrong.code == 64)
    }

    @Test("info describes a size, by the published number of parameters", arguments: ["encoder", "decoder"])
    func infoOfSize(_ kind: String) throws {
        let document = try Command.succeed(["info", "17m", "--kind", kind, "--json"]).document()
        #expect(document["architecture"] == .string(kind))
        #expect(document["kind"] == (kind == "encoder" ? "masked-lm" : "causal-lm"))
        #expect(document["size"] == "17m")
        #expect(document["parameters"] == 16_913_600)
        #expect(document["layers"]?.arrayValue?.count == 7)
        #expect(document["tokenizer"] == .null)
    }

    @Test("A decoder has the tokenizer that ends no prompt, and a generation_config.json")
    func decoder() throws {
        let models = try TinyModels.shared()
        let names = try FileManager.default.contentsOfDirectory(atPath: models.decoder)
        #expect(names.contains("generation_config.json"))
        #expect(try Command.succeed(["tokenize", models.decoder, "a"]).output == "[CLS] a\n")
        #expect(try Command.succeed(["tokenize", models.encoder, "a"]).output == "[CLS] a [SEP]\n")
        let document = try Command.succeed(["info", models.decoder, "--json"]).document()
        #expect(document["architectures"] == ["ModernBertDecoderForCausalLM"])
    }

    @Test("The seed decides the weights, the type their bytes")
    func seeds() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            func weights(_ name: String, _ options: [String]) throws -> Data {
                let path = "\(folder)/\(name)"
                let arguments = ["init", path, "--size", "17m", "--kind", "encoder", "--tokenizer", models.tokenizer]
                try Command.succeed(arguments + TinyModels.shape + options)
                return try Data(contentsOf: URL(filePath: "\(path)/model.safetensors"))
            }
            let first = try weights("a", ["--seed", "1"])
            #expect(try weights("b", ["--seed", "1"]) == first)
            #expect(try weights("c", ["--seed", "2"]) != first)
            #expect(try weights("d", ["--seed", "1", "--init", "transformers"]) != first)
            #expect(try weights("e", ["--dtype", "bfloat16"]).count < first.count * 6 / 10)
        }
    }

    @Test("A configuration file can be the shape")
    func configurationFile() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let config = "\(models.decoder)/config.json"
            let arguments = ["init", "\(folder)/new", "--config", config, "--tokenizer", models.tokenizer, "--json"]
            let result = try Command.succeed(arguments)
            let parameters = try Command.succeed(["info", models.decoder, "--json"]).document()["parameters"]
            #expect(try result.document()["parameters"] == parameters)
        }
    }

    @Test(
        "Impossible shapes are refused before anything is written",
        arguments: [
            (["--size", "17m"], Int32(64), "--size needs --kind"),
            ([], 64, "expected either --size or --config"),
            (["--size", "18m", "--kind", "encoder"], 64, "'18m' is invalid for '--size <size>'"),
            (["--size", "17m", "--kind", "both"], 64, "'both' is invalid for '--kind <kind>'"),
            (["--size", "17m", "--kind", "encoder", "--layers", "-1"], 64, "--layers is -1; expected 1 or more"),
            (["--size", "17m", "--kind", "encoder", "--heads", "3"], 1, "\"hidden_size\" is 256"),
            (["--config", "absent.json"], 1, "absent.json: cannot be opened"),
            (["--size", "17m", "--kind", "encoder", "--tokenizer", "absent"], 1, "absent/tokenizer.json"),
        ]
    )
    func impossibleShapes(_ options: [String], _ code: Int32, _ message: String) throws {
        try withTemporaryFolder { folder in
            try Command.fail(["init", "\(folder)/new"] + options, code: code, saying: message)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
        }
    }

    @Test("A folder that holds something is left alone")
    func occupiedFolder() throws {
        let models = try TinyModels.shared()
        let arguments = ["init", models.encoder, "--size", "17m", "--kind", "encoder", "--tokenizer", models.tokenizer]
        try Command.fail(arguments, saying: "is not empty; expected a new or empty folder")
    }
}
