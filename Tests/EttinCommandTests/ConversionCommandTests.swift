import EttinJSON
import Foundation
import Testing

@Suite("ettin convert and average")
struct ConversionCommandTests {
    private func weights(_ folder: String) throws -> Data {
        try Data(contentsOf: URL(filePath: "\(folder)/model.safetensors"))
    }

    @Test("An encoder becomes a decoder that generates, and the same encoder again")
    func conversion() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let (decoder, encoder) = ("\(folder)/decoder", "\(folder)/encoder")
            let result = try Command.succeed(["convert", models.encoder, decoder, "--to", "decoder", "--json"])
            let document = try result.document()
            #expect(document["kind"] == "decoder")
            #expect(document["folder"] == .string(decoder))
            let info = try Command.succeed(["info", decoder, "--json"]).document()
            #expect(info["parameters"] == document["parameters"])
            #expect(info["architectures"] == ["ModernBertDecoderForCausalLM"])
            #expect(try Command.succeed(["tokenize", decoder, "a"]).output == "[CLS] a\n")
            try Command.succeed(["generate", decoder, "A cat", "--max-new-tokens", "3"])
            let back = try Command.succeed(["convert", decoder, encoder, "--to", "encoder"])
            #expect(back.output == "")
            #expect(back.errors.contains("wrote encoder with "))
            #expect(try weights(encoder) == weights(models.encoder))
            #expect(try Command.succeed(["tokenize", encoder, "a"]).output == "[CLS] a [SEP]\n")
            let texts = ["A [MASK] sits.", "--json"]
            #expect(
                try Command.succeed(["fill-mask", encoder] + texts).output
                    == Command.succeed(["fill-mask", models.encoder] + texts).output
            )
        }
    }

    @Test("A reranker's head becomes modules and a classification head again, with the same scores")
    func heads() throws {
        try TinyClassifiers.with("ForSequenceClassification", labels: ["relevance"]) { model in
            try withTemporaryFolder { folder in
                let (modular, classifier) = ("\(folder)/modular", "\(folder)/classifier")
                let result = try Command.succeed(["convert", model, modular, "--head", "modular", "--json"])
                #expect(try result.document()["head"] == "modular")
                let back = try Command.succeed(["convert", modular, classifier, "--head", "classification"])
                #expect(back.errors.contains("wrote reranker with a classification head"))
                #expect(FileManager.default.fileExists(atPath: "\(modular)/modules.json"))
                #expect(!FileManager.default.fileExists(atPath: "\(classifier)/modules.json"))
                let call = ["a cat", "A cat sits.", "A dog runs.", "--json"]
                let scores = try [model, modular, classifier].map { try Command.succeed(["rerank", $0] + call).output }
                #expect(scores[1] == scores[0] && scores[2] == scores[0])
                try Command.fail(
                    ["convert", modular, "\(folder)/again", "--head", "modular"],
                    saying: "has a modular head already; expected a reranker with a classification head"
                )
            }
        }
    }

    @Test("What cannot be converted is one line of error, and nothing is written")
    func impossibleConversions() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let new = "\(folder)/new"
            let file = try write("hello", to: "\(folder)/raw.pt")
            let cases: [([String], Int32, String)] = [
                ([models.encoder, new, "--to", "encoder"], 1, "is already an encoder; expected a decoder"),
                ([models.encoder, new], 64, "converting a model needs --to encoder or --to decoder"),
                ([models.encoder, new, "--to", "decoder", "--head", "modular"], 64, "cannot be combined"),
                ([models.encoder, new, "--head", "modular"], 1, "expected a reranker"),
                ([file, new, "--head", "modular"], 64, "--head applies to a reranker"),
                ([models.encoder, new, "--to", "both"], 64, "'both' is invalid for '--to <to>'"),
                (
                    [models.encoder, new, "--to", "decoder", "--config", "x"], 64,
                    "--config applies to a raw checkpoint"
                ),
                ([models.encoder, models.decoder, "--to", "decoder"], 1, "is not empty"),
                ([models.encoder, "\(folder)/absent/new", "--to", "decoder"], 1, "cannot be created"),
                (["\(folder)/absent", new, "--to", "decoder"], 1, "absent"),
                ([file, new], 1, "raw.pt: is not from torch.save"),
                ([file, new, "--revision", "main"], 64, "--revision applies to a model on the Hub"),
            ]
            for (arguments, code, message) in cases {
                try Command.fail(["convert"] + arguments, code: code, saying: message)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["raw.pt"])
        }
    }

    @Test("The average of checkpoints is a model, whatever the order of the checkpoints")
    func average() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let steps = try (1...3).map { seed in
                let path = "\(folder)/step\(seed)"
                let arguments = ["init", path, "--size", "17m", "--kind", "decoder", "--tokenizer", models.tokenizer]
                try Command.succeed(arguments + TinyModels.shape + ["--seed", "\(seed)"])
                return path
            }
            let (first, second) = ("\(folder)/first", "\(folder)/second")
            let document = try Command.succeed(["average"] + steps + ["--output", first, "--json"]).document()
            #expect(document["checkpoints"]?.arrayValue?.count == 3)
            let info = try Command.succeed(["info", first, "--json"]).document()
            #expect(info["parameters"] == document["parameters"])
            let result = try Command.succeed(["average"] + steps.reversed() + ["-o", second])
            #expect(result.errors.contains("wrote the average of 3 checkpoints"))
            #expect(try weights(first) == weights(second))
            #expect(try weights(first) != weights(steps[0]))
            try Command.succeed(["generate", first, "A cat", "--max-new-tokens", "3"])
            try Command.fail(["average", steps[0], "--output", "\(folder)/x"], saying: "was given 1 folder")
            try Command.fail(["average", steps[0], steps[0], "-o", "\(folder)/x"], saying: "is given twice")
            try Command.fail(
                ["average", steps[0], models.decoder, "-o", "\(folder)/x"],
                saying: "different config.json"
            )
            try Command.fail(["average", steps[0], steps[1]], code: 64, saying: "'--output <folder>'")
        }
    }
}
