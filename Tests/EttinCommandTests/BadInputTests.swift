import EttinJSON
import Foundation
import Testing

@Suite("Bad input to the command")
struct BadInputTests {
    @Test(
        "Impossible options are wrong usage",
        arguments: [
            (["embed", "m", "x", "--device", "abacus"], "--device is \"abacus\"; expected cpu, cuda, cuda:N or mps"),
            (["embed", "m", "x", "--dtype", "int3"], "'int3' is invalid for '--dtype <dtype>'"),
            (["embed", "m", "x", "--threads", "0"], "--threads is 0"),
            (["embed", "m", "x", "--output", "out.txt"], "expected a name ending in .jsonl, .npy or .safetensors"),
            (["embed", "m", "x", "--pooling", "sum"], "'sum' is invalid for '--pooling <modes>'"),
            (["embed", "m", "x", "--truncate-dim", "0"], "--truncate-dim is 0"),
            (["embed", "m", "x", "--max-batch-tokens", "0"], "--max-batch-tokens is 0"),
            (["embed", "m", "x", "--prompt", "a", "--prompt-name", "b"], "cannot be combined"),
            (["embed", "m", "x", "--input", "file"], "texts are given both as arguments and with --input"),
            (["embed", "m", "x", "--input-format", "jsonl"], "--input-format applies to files and standard input"),
            (["fill-mask", "m", "x", "--top-k", "0"], "--top-k is 0; expected 1 or more"),
            (["generate", "m", "x", "--temperature", "-1"], "--temperature is -1.0; expected 0, or 0.000001"),
            (["generate", "m", "x", "--temperature", "nan"], "--temperature is nan"),
            (["generate", "m", "x", "--top-p", "2"], "--top-p is 2.0; expected above 0, at most 1"),
            (["generate", "m", "x", "--top-k", "-1"], "--top-k is -1; expected 0 or more"),
            (["generate", "m", "x", "--top-k", "many"], "'many' is invalid for '--top-k <count>'"),
            (["generate", "m", "x", "--max-new-tokens", "0"], "--max-new-tokens is 0; expected 1 or more"),
            (["generate", "m", "x", "--repetition-penalty", "0"], "--repetition-penalty is 0.0; expected 0.000001"),
            (["generate", "m", "x", "--stop", ""], "--stop is an empty text"),
            (["generate", "m", "x", "--batch-size", "0"], "--batch-size is 0"),
            (["tokenize", "m", "x", "--ids", "--json"], "--ids and --json cannot be combined"),
            (["tokenizer", "train", "f", "-o", "o", "--vocab-size", "260"], "vocabulary size is 260; expected 261"),
            (["tokenizer", "train", "f", "-o", "o", "--vocab-size", "300", "--special", "[CLS]"], "\"[CLS]\""),
            (["info", "absent", "--kind", "encoder"], "--kind encoder applies to a size of the suite"),
            (["info", "150m", "--revision", "main"], "--revision main applies to a model on the Hub"),
        ]
    )
    func options(_ arguments: [String], _ message: String) throws {
        try Command.fail(arguments, code: 64, saying: message)
    }

    @Test(
        "A model that is no folder here and not in the cache is refused",
        arguments: ["tokenize", "embed", "fill-mask", "generate", "info"]
    )
    func missingFolder(_ command: String) throws {
        let text = command == "info" ? [] : ["x"]
        let message = "./absent: is not a folder; expected the local folder of a model"
        try Command.fail([command, "./absent"] + text, saying: message)
        try Command.fail(
            [command, "absent"] + text,
            saying: "there is no such folder, and models on the Hub are named"
        )
        try withTemporaryFolder { cache in
            try Command.fail(
                [command, "ettin-encoder-17m@step10"] + text,
                environment: ["HF_HOME": cache, "HF_HUB_OFFLINE": "1"],
                saying: "jhu-clsp/ettin-encoder-17m@step10 is not in the cache, and HF_HUB_OFFLINE disables the network"
            )
        }
        try Command.fail([command, Command.binary.path] + text, saying: "is a file, not a folder")
    }

    @Test(
        "Broken checkpoints are named by file",
        arguments: [
            ("config.json", nil, "config.json: cannot be opened"),
            ("config.json", "{", "config.json: is not JSON"),
            ("config.json", "{\"model_type\":\"bert\"}", "config.json: \"model_type\" is \"bert\""),
            ("model.safetensors", nil, "has no weights"),
            ("model.safetensors", "truncated", "model.safetensors: "),
            ("tokenizer.json", nil, "tokenizer.json: "),
            ("tokenizer.json", "[]", "tokenizer.json: "),
        ] as [(String, String?, String)]
    )
    func brokenCheckpoint(_ file: String, _ content: String?, _ message: String) throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let copy = "\(folder)/model"
            try FileManager.default.copyItem(atPath: models.encoder, toPath: copy)
            let path = URL(filePath: "\(copy)/\(file)")
            let whole = try Data(contentsOf: path)
            try FileManager.default.removeItem(at: path)
            if let content { try (content == "truncated" ? whole.dropLast(100) : Data(content.utf8)).write(to: path) }
            try Command.fail(["embed", copy, "x"], saying: message)
        }
    }

    @Test("A checkpoint with two problems reports each on its own line")
    func severalProblems() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let path = "\(models.encoder)/config.json"
            let text = try String(contentsOfFile: path, encoding: .utf8)
                .replacingOccurrences(of: "\"hidden_size\": 32", with: "\"hidden_size\": -1")
                .replacingOccurrences(of: "\"vocab_size\": 300", with: "\"vocab_size\": 0")
            _ = try write(text, to: "\(folder)/config.json")
            let result = try Command.run(["info", folder])
            #expect(result.code == 1)
            let lines = result.errors.split(separator: "\n")
            #expect(lines.count >= 2)
            #expect(lines.allSatisfy { $0.hasPrefix("error: config.json: ") })
        }
    }

    @Test(
        "Bad texts are named by line",
        arguments: [
            ("", "lines", "standard input: contains no text"),
            ("ok\nbad \u{FFFD}\n", "lines", "standard input, line 2: is not UTF-8 text"),
            ("{\"text\":\"a\"}\n{\"text\":\n", "jsonl", "standard input, line 2: is not JSON: column 9: "),
            ("{\"txt\":\"a\"}\n", "jsonl", "standard input, line 1: has no \"text\""),
            ("{\"text\":1}\n", "jsonl", "standard input, line 1: \"text\" is a JSON number; expected a string"),
            ("[\"a\"]\n", "jsonl", "standard input, line 1: is a JSON array"),
            ("\n", "jsonl", "standard input, line 1: is blank; expected a JSON object with \"text\""),
        ]
    )
    func texts(_ input: String, _ format: String, _ message: String) throws {
        let models = try TinyModels.shared()
        // U+FFFD stands for a byte that no UTF-8 text has.
        let bytes = input.unicodeScalars.flatMap { $0 == "\u{FFFD}" ? [0xFF] : Array(String($0).utf8) }
        try Command.fail(["embed", models.encoder, "--input-format", format], input: bytes, saying: message)
    }

    @Test("An input file that is not there is an error")
    func missingInput() throws {
        let models = try TinyModels.shared()
        try Command.fail(["embed", models.encoder, "--input", "absent.txt"], saying: "absent.txt: No such file")
    }

    @Test("Outputs that cannot be written are an error, and nothing is left")
    func unwritableOutput() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let embed = ["embed", models.encoder, "x", "--output"]
            try Command.fail(embed + ["\(folder)/absent/out.npy"], saying: "absent/out.npy: cannot be created")
            try FileManager.default.createDirectory(atPath: "\(folder)/out.npy", withIntermediateDirectories: false)
            try Command.fail(embed + ["\(folder)/out.npy"], saying: "out.npy: is a folder; expected the name of a file")
            let initialize = ["init", "\(folder)/absent/model", "--size", "17m", "--kind", "encoder"]
            try Command.fail(initialize, saying: "absent/model: cannot be created")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["out.npy"])
        }
    }

    @Test("A failure leaves an earlier output as it was")
    func failureKeepsOutput() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let path = try write("earlier", to: "\(folder)/out.npy")
            try Command.fail(
                ["embed", models.encoder, InferenceCommandTests.overlong, "--output", path],
                saying: "expected at most 32"
            )
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "earlier")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["out.npy"])
        }
    }

    @Test("The wrong kind of model is refused")
    func wrongKind() throws {
        let models = try TinyModels.shared()
        try Command.fail(["generate", models.encoder, "x"], saying: "continues no text")
        try Command.fail(["fill-mask", models.decoder, "[MASK]"], saying: "fills no masks")
        try Command.fail(["fill-mask", models.encoder, "no mask"], saying: "text 1 has no mask")
        try Command.fail(["fill-mask", models.encoder, "[MASK]", "--top-k", "301"], saying: "top-k is 301")
    }

    @Test("A stream of several texts needs JSON to tell them apart")
    func streamOfSeveral() throws {
        let models = try TinyModels.shared()
        try Command.fail(
            ["generate", models.decoder, "a", "b", "--stream"],
            code: 64,
            saying: "--stream is for one text"
        )
    }
}
