import EttinJSON
import Foundation
import Testing

@Suite("ettin report")
struct ReportCommandTests {
    /// A pair as lockstep training leaves it: logs, ledgers, one checkpoint each, and held-out data.
    private static func writePair(_ folder: String) throws {
        let models = try TinyModels.shared()
        let texts = (0..<6).map { "{\"text\":\"A cat sits on the mat \($0), and a dog runs.\"}\n" }.joined()
        let corpus = try write(texts, to: "\(folder)/held-out.jsonl")
        let data = "\(folder)/held-out"
        try Command.succeed(["data", "tokenize", corpus, "--tokenizer", models.tokenizer, "-o", data])
        for (kind, model) in [("encoder", models.encoder), ("decoder", models.decoder)] {
            let run = "\(folder)/pair/\(kind)"
            try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: model, toPath: "\(run)/step20")
            let facts: JSONValue = [
                "name": "tiny", "kind": .string(kind), "objective": kind == "encoder" ? "mlm" : "clm",
                "vocab_size": 300, "data": .string(data), "eval_data": .string(data),
            ]
            _ = try write(facts.text(), to: "\(run)/run.json")
            _ = try write(metrics, to: "\(run)/metrics.jsonl")
            _ = try write(ledger, to: "\(run)/ledger.jsonl")
        }
    }

    /// One step of data whose hash is zero; the chain is the SHA-256 of 64 zero bytes.
    private static let ledger =
        "{\"step\":0,\"samples\":8,\"tokens\":100,\"data\":\"\(String(repeating: "0", count: 64))\","
        + "\"chain\":\"f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b\"}\n"

    private static let metrics =
        (1...20).map { batch in
            "{\"time/batch\":\(batch),\"time/token\":\(batch * 100),\"time/seconds\":\(batch),"
                + "\"loss/train/total\":\(8.0 / Double(batch))}\n"
        }.joined() + "{\"time/batch\":20,\"time/token\":2000,\"metrics/eval/LanguageCrossEntropy\":2.5}\n"

    @Test("a pair becomes a page, and both halves fill and continue held-out texts")
    func page() throws {
        try withTemporaryFolder { folder in
            try Self.writePair(folder)
            let output = "\(folder)/report.html"
            let result = try Command.succeed(["report", "\(folder)/pair", "-o", output, "--json", "--threads", "1"])
            #expect(result.errors == "wrote \(output)\n")
            let document = try result.document()
            #expect(document["pairs"]?[0]?["pair"] == true)
            let samples = try #require(document["samples"]?.arrayValue)
            #expect(samples.count == 4)
            for sample in samples {
                let text = try #require(sample["text"]?.stringValue)
                #expect(text.contains("[MASK]") && sample["answer"]?.stringValue?.isEmpty == false)
                let answers = try #require(sample["answers"]?.arrayValue)
                #expect(answers.map { $0["run"] } == ["encoder", "decoder"])
                #expect(answers[0]["masks"]?[0]?.arrayValue?.count == 5)
                #expect(answers[1]["prompt"]?.stringValue.map { text.hasPrefix($0) } == true)
            }
            let page = try String(contentsOfFile: output, encoding: .utf8)
            #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains("href=\"pair/encoder/metrics.jsonl\""))
            #expect(page.contains("encoder fills") && page.contains("decoder continues"))
            // The same runs give the same page.
            try Command.succeed(["report", "\(folder)/pair/encoder", "\(folder)/pair/decoder", "-o", "\(folder)/again"])
            #expect(try String(contentsOfFile: "\(folder)/again", encoding: .utf8) == page)
        }
    }

    @Test("prompts take the place of held-out texts, and without samples no model is read")
    func prompts() throws {
        try withTemporaryFolder { folder in
            try Self.writePair(folder)
            let arguments = ["report", "\(folder)/pair", "--json"]
            let prompts = ["--prompt", "A cat [MASK] on", "--prompt", "The capital"]
            let document = try Command.succeed(arguments + prompts).document()
            #expect(document["samples"]?.arrayValue?.map { $0["text"] } == ["A cat [MASK] on", "The capital [MASK]"])
            #expect(document["samples"]?[0]?["answers"]?[1]?["prompt"] == "A cat")
            _ = try write("broken", to: "\(folder)/pair/encoder/step20/config.json")
            #expect(try Command.succeed(arguments + ["--no-samples"]).document()["samples"] == .null)
            try Command.fail(arguments, saying: "pair/encoder/step20: config.json: is not JSON")
        }
    }

    @Test("bad input is one error that names it, and leaves no page")
    func badInput() throws {
        try withTemporaryFolder { folder in
            try Self.writePair(folder)
            let output = "\(folder)/out/report.html"
            try FileManager.default.createDirectory(atPath: "\(folder)/out", withIntermediateDirectories: true)
            let encoder = "\(folder)/pair/encoder"
            func fail(_ arguments: [String], code: Int32 = 1, saying text: String) throws {
                try Command.fail(["report"] + arguments, code: code, saying: text)
                #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/out").isEmpty)
            }
            try fail(
                ["\(folder)/absent", "-o", output],
                saying: "/absent: is not a folder; expected the folder of a run"
            )
            try fail([folder, "-o", output], saying: "has no run.json; expected the folder of a run, or of a pair")
            try fail([encoder, encoder, "-o", output], saying: "pair/encoder: is given twice")
            try fail([encoder, "-o", "\(folder)/none/report.html"], saying: "/none/report.html: cannot be created")
            try fail([encoder, "-o", "\(folder)/out"], saying: "/out: is a folder; expected the name of a file")
            try fail([encoder], code: 64, saying: "expected --output, --json or both")
            try fail(
                [encoder, "-o", output, "--no-samples", "--prompt", "x"],
                code: 64,
                saying: "--prompt and --no-samples cannot be combined"
            )
            try fail([], code: 64, saying: "Missing expected argument '<runs>")
            let prompt = ["--prompt", String(repeating: "cat ", count: 40)]
            try fail([encoder, "-o", output] + prompt, saying: "prompt 1: has 44 tokens; expected at most 32")
            _ = try write(Self.metrics + "[]\n", to: "\(encoder)/metrics.jsonl")
            try fail([encoder, "-o", output], saying: "metrics.jsonl:22: is a JSON array, or begins one")
        }
    }

    @Test("data of another tokenizer are refused")
    func otherTokenizer() throws {
        try withTemporaryFolder { folder in
            try Self.writePair(folder)
            let text = (0..<3000).map { "\($0 * 7919 % 4001)\n" }.joined()
            let corpus = try write(text, to: "\(folder)/text")
            try Command.succeed(["tokenizer", "train", corpus, "--vocab-size", "400", "--output", "\(folder)/other"])
            try FileManager.default.removeItem(atPath: "\(folder)/held-out")
            let arguments = ["--tokenizer", "\(folder)/other", "-o", "\(folder)/held-out"]
            try Command.succeed(["data", "tokenize", corpus] + arguments)
            try Command.fail(["report", "\(folder)/pair", "--json"], saying: "was made with another tokenizer")
            // Without the manifest the ids say it.
            try FileManager.default.removeItem(atPath: "\(folder)/held-out/manifest.json")
            try Command.fail(["report", "\(folder)/pair", "--json"], saying: "but the tokenizer has ")
        }
    }
}
