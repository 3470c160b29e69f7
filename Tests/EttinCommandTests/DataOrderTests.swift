import EttinJSON
import Foundation
import Testing

@Suite("ettin data export-order and import-order")
struct DataOrderTests {
    /// A data set of ten documents.
    private func tokens(_ folder: String) throws -> String {
        let lines = (0..<10).map { "{\"text\": \"cat \($0)\"}\n" }
        let texts = try write(lines.joined(), to: "\(folder)/texts.jsonl")
        let tokenizer = try TinyModels.shared().tokenizer
        try Command.succeed(["data", "tokenize", texts, "-o", "\(folder)/tokens", "--tokenizer", tokenizer])
        return "\(folder)/tokens"
    }

    private func rows(_ path: String) throws -> [JSONValue] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
    }

    @Test(
        "Every order visits all samples of an epoch once, in steps of the batch size",
        arguments: [
            "keyed", "permutation", "sequential", "naive", "py1s", "py1e", "py1br", "py2s", "unshuffled",
        ]
    )
    func export(_ order: String) throws {
        try withTemporaryFolder { folder in
            let tokens = try tokens(folder)
            let path = "\(folder)/order.jsonl"
            // With 64 nodes, streaming's choice for some, there are more nodes than samples.
            let isStreaming = !["keyed", "permutation", "sequential"].contains(order)
            let options = ["--order", order, "--no-drop-last"] + (isStreaming ? ["--canonical-nodes", "1"] : [])
            let arguments = ["data", "export-order", tokens, "--batch-size", "4"] + options
            let summary = try Command.succeed(arguments + ["-o", path, "--json"]).document()
            #expect(summary.objectValue?.keys == ["output", "shard", "steps", "samples", "tokens", "bytes"])
            #expect(summary["steps"] == 3)
            let rows = try rows(path)
            #expect(rows.map { $0["step"] } == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3])
            let examples =
                try Command.succeed(["data", "inspect", tokens, "--samples", "10", "--json"])
                .document()["examples"]?.arrayValue ?? []
            let given = examples.compactMap { $0["values"]?["input_ids"]?.text() }
            let visited = rows.compactMap { $0["input_ids"]?.text() }
            #expect(visited.sorted() == given.sorted())
            #expect((visited == given) == ["sequential", "unshuffled"].contains(order))

            // Steps that begin in the middle, also in the next epoch, are those of a run from the start.
            let long = try Command.succeed(arguments + ["--steps", "5", "-o", "\(folder)/long.jsonl"])
            #expect(long.errors.hasPrefix("wrote 5 steps, 18 samples, "))
            try Command.succeed(arguments + ["--first-step", "2", "--steps", "4", "-o", "\(folder)/late.jsonl"])
            #expect(try self.rows("\(folder)/late.jsonl") == Array(self.rows("\(folder)/long.jsonl").dropFirst(4)))
        }
    }

    @Test("Nodes of streaming take turns, and weights draw parts of data sets")
    func streaming() throws {
        try withTemporaryFolder { folder in
            let tokens = try tokens(folder)
            func export(_ arguments: [String], _ name: String) throws -> (steps: [JSONValue?], rows: [String?]) {
                let path = "\(folder)/\(name).jsonl"
                try Command.succeed(["data", "export-order"] + arguments + ["--no-drop-last", "-o", path])
                let rows = try rows(path)
                return (rows.map { $0["step"] }, rows.map { $0["input_ids"]?.text() })
            }
            let order = ["--batch-size", "4", "--order", "unshuffled", "--canonical-nodes"]
            let one = try export([tokens] + order + ["1"], "one").rows
            // Ten samples in four rows: 0-1, 2-4, 5-6 and 7-9.
            let four = try export([tokens] + order + ["4"], "four")
            #expect(four.rows == [0, 2, 5, 7, 1, 3, 6, 8, 1, 4, 6, 9].map { one[$0] })
            #expect(four.steps == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
            // The ranks take every second one.
            let ranks = try export([tokens] + order + ["4", "--ranks-per-node", "2"], "ranks").rows
            #expect(ranks == [0, 5, 2, 7, 1, 6, 3, 8, 1, 6, 4, 9].map { one[$0] })
            let drawn = try export(["\(tokens)@repeat=2", "\(tokens)@choose=3"] + order + ["1"], "drawn").rows
            #expect(drawn.count == 23 && Array(drawn[..<20]) == one + one)

            for (arguments, message) in [
                ([tokens, "--order", "keyed", "--nodes", "2"], "--nodes is given with --order keyed; expected it"),
                (["\(tokens)@repeat=2"], "@repeat, @choose or @proportion is given with --order keyed"),
                ([tokens, "--order", "keyed", "--nodes", "1"], "--nodes is given with --order keyed; expected it"),
                (["\(tokens)@repeat=x"], "ends in @repeat=x; expected @repeat=TIMES"),
                (["\(tokens)@repat=2"], "ends in @repat=2; expected @repeat=TIMES"),
                ([tokens, "--order", "py1s", "--nodes", "3"], "--batch-size: is 4 for 3 ranks; expected a multiple"),
                ([tokens, "--order", "py1e", "--canonical-nodes", "11"], "--canonical-nodes: is 11, but an epoch has"),
                ([tokens, "--order", "py1s", "--ranks-per-node", "0"], "--ranks-per-node is 0; expected 1 or more"),
            ] {
                let output = ["-o", "\(folder)/x"]
                let run = try Command.run(["data", "export-order", "--batch-size", "4"] + output + arguments)
                #expect(run.code != 0 && run.errors.contains(message), "\(run.errors)")
                #expect(!FileManager.default.fileExists(atPath: "\(folder)/x"))
            }
        }
    }

    @Test("An order goes into shards and comes back as it was")
    func importing() throws {
        let tokenizer = try TinyModels.shared().tokenizer
        try withTemporaryFolder { folder in
            let export = ["data", "export-order", try tokens(folder), "--batch-size", "3"]
            try Command.succeed(export + ["-o", "\(folder)/order.jsonl"])
            try Command.succeed(export + ["-o", "\(folder)/shards"])
            let imported = ["data", "import-order", "\(folder)/order.jsonl", "--tokenizer", tokenizer]
            let summary = try Command.succeed(imported + ["-o", "\(folder)/imported", "--json"]).document()
            #expect(summary["steps"] == 3)
            #expect(summary["samples"] == 9)
            var (given, made) = (try contents("\(folder)/shards"), try contents("\(folder)/imported"))
            // Alone what they say of where the rows come from differs.
            #expect(given.removeValue(forKey: "manifest.json") != made.removeValue(forKey: "manifest.json"))
            #expect(given == made)
            try Command.succeed(["data", "verify", "\(folder)/imported", "--tokenizer", tokenizer])
            try Command.succeed(["data", "import-order", "\(folder)/imported", "-o", "\(folder)/back.jsonl"])
            #expect(try rows("\(folder)/back.jsonl") == rows("\(folder)/order.jsonl"))
            let some = ["data", "import-order", "\(folder)/imported", "--first-step", "2", "--steps", "1"]
            try Command.succeed(some + ["-o", "\(folder)/some.jsonl"])
            #expect(try rows("\(folder)/some.jsonl") == Array(rows("\(folder)/order.jsonl")[3..<6]))
        }
    }

    @Test("A phase of the published order, a folder of Parquet files for each checkpoint, is imported as one")
    func published() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Fixtures/parquet/steps_000001_to_000005.parquet")
        try withTemporaryFolder { folder in
            for number in 1...2 {
                let part = "\(folder)/decay_00000\(number)"
                try FileManager.default.createDirectory(atPath: part, withIntermediateDirectories: true)
                if number == 1 { try Data(contentsOf: file).write(to: URL(filePath: "\(part)/steps.parquet")) }
            }
            let row = "{\"input_ids\": [7], \"step\": 9}\n"
            let last = try write(row, to: "\(folder)/last.jsonl")
            let inputs = ["\(folder)/decay_000001", last]
            let summary = try Command.succeed(
                ["data", "import-order"] + inputs + ["-o", "\(folder)/order.jsonl", "--json"]
            ).document()
            #expect(summary["steps"] == 6)
            #expect(summary["samples"] == 41)
            let rows = try rows("\(folder)/order.jsonl")
            #expect(rows[14]["input_ids"] == [14, 15, 16, 17])
            #expect(rows[14]["step"] == 1)
            #expect(rows[40] == ["input_ids": [7], "step": 9])
            try Command.fail(
                ["data", "import-order", "\(folder)/decay_000002", "-o", "\(folder)/none"],
                saying: "decay_000002"
            )
        }
    }

    @Test("The parts of a divided job, joined, hold what the whole holds")
    func parts() throws {
        try withTemporaryFolder { folder in
            let export = ["data", "export-order", try tokens(folder), "--batch-size", "2", "--steps", "13"]
            try Command.succeed(export + ["-o", "\(folder)/whole.jsonl"])
            let whole = try rows("\(folder)/whole.jsonl")
            for index in 0..<3 {
                let part = ["--shard", "\(index)/3", "-o"]
                let summary = try Command.succeed(export + part + ["\(folder)/parts/\(index)", "--json"]).document()
                #expect(summary["shard"] == .string("\(index)/3"))
                try Command.succeed(export + part + ["\(folder)/lines/\(index).jsonl"])
            }
            try Command.succeed(["data", "merge", "\(folder)/parts"])
            try Command.succeed(["data", "verify", "\(folder)/parts"])
            try Command.succeed(["data", "import-order", "\(folder)/parts", "-o", "\(folder)/joined.jsonl"])
            #expect(try rows("\(folder)/joined.jsonl") == whole)
            let lines = (0..<3).map { "\(folder)/lines/\($0).jsonl" }
            try Command.succeed(["data", "import-order"] + lines + ["-o", "\(folder)/all.jsonl"])
            #expect(try rows("\(folder)/all.jsonl") == whole)
            let finished = try Command.succeed(export + ["-o", "\(folder)/whole.jsonl"])
            #expect(finished.errors.contains("whole.jsonl is already complete: 13 steps, 26 samples, "))
            try Command.fail(export + ["-o", "\(folder)/parts/0"], saying: "whose \"shard\" differ")
        }
    }

    @Test("Bad orders and options are named, and nothing is left")
    func refusals() throws {
        let tokenizer = try TinyModels.shared().tokenizer
        try withTemporaryFolder { folder in
            let tokens = try tokens(folder)
            let before = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            let out = ["-o", "\(folder)/out"]
            func fail(_ rows: String, _ message: String, _ options: [String] = [], leaves: [String] = []) throws {
                let path = try write(rows, to: "\(folder)/rows")
                try Command.fail(["data", "import-order", path] + options + out, saying: message)
                try FileManager.default.removeItem(atPath: path)
                // What a later run would go on with.
                if !leaves.isEmpty {
                    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/out") == leaves)
                    try FileManager.default.removeItem(atPath: "\(folder)/out")
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
            }
            let good = "{\"input_ids\": [1, 2], \"step\": 2}\n"
            try fail(good + "{\"input_ids\": [1], \"step\": 1}\n", "step 1 comes after step 2")
            try fail(good + "{\"input_ids\": [1]}\n", "rows: line 2 has no \"step\"")
            try fail(
                good + "{\"input_ids\": [999], \"step\": 3}\n",
                "step 3 holds the id 999",
                ["--tokenizer", tokenizer],
                leaves: [".progress.jsonl"]
            )
            try fail(good, "step 5 is past the end", ["--first-step", "5"])
            let table = ["data", "import-order", "\(folder)/a.parquet"]
            try Command.fail(table + out, saying: "a.parquet: is not there")
            let lines = ["-o", "\(folder)/out.jsonl"]
            for (flag, value) in [("--compression", "none"), ("--hashes", "sha1")] {
                let message = "\(flag) is \"\(value)\" but the output is JSON Lines; \(flag) applies to MDS shards"
                try Command.fail(table + lines + [flag, value], code: 64, saying: message)
            }
            try Command.fail(table + out + ["--first-step=-1"], code: 64, saying: "--first-step is -1; expected 0 or")
            for shard in ["3/3", "-1/3", "0/0", "1"] {
                try Command.fail(table + out + ["--shard=\(shard)"], code: 64, saying: "--shard is \"\(shard)\"")
            }
            let export = ["data", "export-order", tokens] + out
            try Command.fail(export + ["--batch-size", "11"], saying: "is 11, but an epoch has 10 samples")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == before)
            try Command.fail(export + ["--batch-size", "0"], code: 64, saying: "--batch-size is 0; expected 1 or more")
            for flag in ["--steps", "--first-step"] {
                let number = "9223372036854775807"
                let arguments = export + ["--batch-size", "1", flag, number]
                try Command.fail(arguments, code: 64, saying: "\(flag) is \(number); expected 1 to 1099511627776")
            }
            try Command.fail(
                export + ["--batch-size", "1", "--seed", "4294967296"],
                code: 64,
                saying: "--seed is 42949"
            )
        }
    }
}
