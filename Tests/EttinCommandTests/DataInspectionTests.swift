import EttinJSON
import Foundation
import Testing

@Suite("ettin data inspect, verify, merge, mix and extend")
struct DataInspectionTests {
    /// A chunked data set of 60 documents, made once per test.
    private func chunks(_ folder: String) throws -> String {
        let lines = (0..<60).map { number in
            let text = String(repeating: "A cat sits on mat \(number). ", count: 1 + number % 9)
            return "{\"id\": \"doc \(number)\", \"text\": \"\(text)\"}\n"
        }
        let texts = try write(lines.joined(), to: "\(folder)/texts.jsonl")
        let tokenizer = ["--tokenizer", try TinyModels.shared().tokenizer]
        try Command.succeed(["data", "tokenize", texts, "-o", "\(folder)/tokens"] + tokenizer)
        let sizes = ["--chunk-size", "40", "--min-size", "20", "--always-skip", "4", "--size-limit", "4kb"]
        try Command.succeed(["data", "chunk", "\(folder)/tokens", "-o", "\(folder)/chunks"] + tokenizer + sizes)
        return "\(folder)/chunks"
    }

    private func inspect(_ folder: String, _ options: [String] = []) throws -> JSONValue {
        try Command.succeed(["data", "inspect", folder, "--json"] + options).document()
    }

    @Test("inspect counts what the stages counted, and decodes samples")
    func inspection() throws {
        let tokenizer = try TinyModels.shared().tokenizer
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            let manifest = try JSONValue(parsing: String(contentsOfFile: "\(chunks)/manifest.json", encoding: .utf8))
            let found = try inspect(chunks, ["--tokenizer", tokenizer, "--samples", "2", "--first", "1"])
            #expect(
                found.objectValue?.keys == [
                    "samples", "shards", "columns", "bytes", "raw_bytes", "compression", "hashes", "tokens",
                    "percentiles", "lengths", "sources", "examples",
                ]
            )
            #expect(found["samples"] == manifest["results"]?["samples"])
            #expect(found["tokens"] == manifest["results"]?["tokens"])
            #expect(found["shards"]?.intValue ?? 0 > 1)
            #expect(found["columns"]?[1] == ["name": "input_ids", "encoding": "ndarray:uint16"])
            let pairs = found["lengths"]?.arrayValue ?? []
            #expect(pairs.reduce(0) { $0 + ($1[1]?.intValue ?? 0) } == found["samples"]?.intValue)
            #expect(
                pairs.reduce(0) { $0 + ($1[0]?.intValue ?? 0) * ($1[1]?.intValue ?? 0) } == found["tokens"]?.intValue
            )
            let examples = try #require(found["examples"]?.arrayValue)
            #expect(examples.map { $0["sample"] } == [1, 2])
            #expect(examples[0]["text"]?.stringValue?.hasPrefix("[CLS] A cat sits on mat 1.") == true)
            #expect(examples[0]["values"]?["id"] == "doc 1")

            let lines = try Command.succeed(["data", "inspect", chunks, "--tokenizer", tokenizer]).lines
            #expect(lines.first?.hasPrefix("samples      \(found["samples"]?.intValue ?? 0) in ") == true)
            #expect(lines.contains("columns      id str, input_ids ndarray:uint16"))
            #expect(lines.contains { $0.hasPrefix("  32-35       ####") })
            #expect(lines.contains { $0.hasPrefix("  text: \"[CLS] A cat sits on mat 0.") })
        }
    }

    @Test("A sound data set verifies; each damaged shard is one line and the exit code 1")
    func verification() throws {
        let tokenizer = try TinyModels.shared().tokenizer
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            let sound = try Command.succeed(["data", "verify", chunks, "--tokenizer", tokenizer, "--json"])
            let report = try sound.document()
            #expect(report.objectValue?.keys == ["shards", "samples", "tokens", "hashes", "problems"])
            #expect(report["samples"] == (try inspect(chunks))["samples"])
            #expect(report["problems"] == [])
            #expect(sound.errors.hasPrefix("\(chunks) is valid: "))
            try Command.fail(["data", "inspect", chunks, "--column", "no"], saying: "column \"no\" is not there")

            // Ids beyond the vocabulary: one line per shard.
            let unknown = try Command.run(["data", "verify", chunks, "--vocab-size", "20", "--json"])
            let problems = try #require(try unknown.document()["problems"]?.arrayValue)
            #expect(unknown.code == 1)
            #expect(problems.count == report["shards"]?.intValue)
            let lines = unknown.errors.split(separator: "\n")
            #expect(lines.count == problems.count)
            #expect(lines.allSatisfy { $0.hasPrefix("error: ") && $0.contains("expected ids from 0 to 19") })

            let stats = "\(chunks)/stats.json"
            let text = try String(contentsOfFile: stats, encoding: .utf8)
            _ = try write(text.replacing("\"total_tokens_written\": ", with: "\"total_tokens_written\": 9"), to: stats)
            try Command.fail(["data", "verify", chunks], saying: "stats.json: \"total_tokens_written\" is \"9")

            for shard in ["shard.00000.mds.zstd", "shard.00001.mds.zstd"] {
                var bytes = try Data(contentsOf: URL(filePath: "\(chunks)/\(shard)"))
                bytes[bytes.count - 9] ^= 1
                try bytes.write(to: URL(filePath: "\(chunks)/\(shard)"))
            }
            let damaged = try Command.run(["data", "verify", chunks])
            #expect(damaged.code == 1)
            for shard in ["shard.00000.mds.zstd", "shard.00001.mds.zstd"] {
                #expect(damaged.errors.contains("error: \(chunks)/\(shard): hash xxh64 is "))
            }
        }
    }

    @Test("The parts of a divided job, merged, hold what the whole holds")
    func parts() throws {
        let tokenizer = ["--tokenizer", try TinyModels.shared().tokenizer]
        try withTemporaryFolder { folder in
            let whole = try chunks(folder)
            let draws = ["--draws", "document", "--chunk-size", "40", "--min-size", "20", "--always-skip", "4"]
            try Command.succeed(
                ["data", "chunk", "\(folder)/tokens", "-o", "\(folder)/by-document"] + tokenizer + draws
            )
            for part in 0..<3 {
                let job = ["-o", "\(folder)/parts/\(part)", "--shard", "\(part)/3"] + tokenizer + draws
                try Command.succeed(["data", "chunk", "\(folder)/tokens"] + job)
            }
            let merged = try Command.succeed(["data", "merge", "\(folder)/parts", "--json"]).document()
            #expect(merged.objectValue?.keys == ["index", "shards", "samples"])
            let (left, right) = (
                try inspect("\(folder)/parts", ["--samples", "9999"]),
                try inspect("\(folder)/by-document", ["--samples", "9999"])
            )
            #expect(left["examples"] == right["examples"])
            #expect(left["sources"]?.arrayValue?.map { $0["name"] } == ["0", "1", "2"])
            try Command.succeed(["data", "verify", "\(folder)/parts"])

            let some = ["\(folder)/parts/2/", "\(folder)/parts/0"]
            try Command.succeed(["data", "merge"] + some)
            #expect(try inspect("\(folder)/parts")["sources"]?.arrayValue?.map { $0["name"] } == ["2", "0"])
            try Command.fail(["data", "merge", some[0], whole], code: 64, saying: "are in different folders")
            let file = "\(folder)/texts.jsonl"
            try Command.fail(["data", "merge", file], code: 64, saying: "texts.jsonl is a file; expected folders")
            try Command.fail(["data", "merge", some[0]], saying: "has no sub-folder with an index")
            try FileManager.default.copyItem(atPath: whole, toPath: "\(some[0])inner")
            try Command.fail(["data", "merge", some[0]], saying: "holds shards itself, such as \"shard.00000.mds\"")
        }
    }

    @Test("A mixture has its sources' shares, and says what is missing")
    func mixing() throws {
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            let all = try #require(try inspect(chunks)["tokens"]?.intValue)
            let sources = ["few=\(chunks)@500", "many=\(chunks)@100k", chunks]
            let result = try Command.succeed(["data", "mix"] + sources + ["-o", "\(folder)/mixture", "--json"])
            let summary = try result.document()
            let taken = try #require(summary["sources"]?.arrayValue)
            #expect(taken.map { $0["name"] } == ["few", "many", "chunks"])
            #expect((500..<540).contains(taken[0]["tokens"]?.intValue ?? 0))
            #expect(taken[1]["missing_tokens"] == JSONValue(100_000 - all))
            #expect(result.errors.contains("many is \(100_000 - all) tokens short of its share"))
            #expect(taken[2]["tokens"]?.intValue == all)
            let found = try inspect("\(folder)/mixture")
            #expect(found["tokens"] == summary["total_tokens"])
            #expect(found["sources"]?.arrayValue?.map { $0["name"] } == ["few", "many", "chunks"])

            let proportions = ["a=\(chunks)@75%", "b=\(chunks)@25%", "--total-tokens", "40k", "--repeat-limit", "none"]
            let shares = try Command.succeed(["data", "mix"] + proportions + ["-o", "\(folder)/shares", "--json"])
            let tokens = try shares.document()["sources"]?.arrayValue?.map { $0["tokens"]?.intValue ?? 0 } ?? []
            #expect(tokens.count == 2)
            #expect((30_000..<30_040).contains(tokens[0]))
            #expect((10_000..<10_040).contains(tokens[1]))
        }
    }

    @Test("Sources have limits of their own, and a recipe says the same as flags")
    func recipes() throws {
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            let all = try #require(try inspect(chunks)["tokens"]?.intValue)
            func mix(_ arguments: [String], _ name: String) throws -> JSONValue {
                try Command.succeed(["data", "mix"] + arguments + ["-o", "\(folder)/\(name)", "--json"]).document()
            }
            let flags = ["a=\(chunks)@100k", "b=\(chunks)@100k:3", "c=\(chunks)@50k:none", "--repeat-limit", "2"]
            let summary = try mix(flags, "flags")
            let tokens = summary["sources"]?.arrayValue?.map { $0["tokens"]?.intValue ?? 0 } ?? []
            #expect(tokens.prefix(2) == [2 * all, 3 * all])
            #expect((50_000..<50_040).contains(tokens.last ?? 0))
            let path = try write(
                """
                repeat_limit: 2
                sources:
                  - {name: a, path: chunks, tokens: 100k}
                  - {name: b, path: chunks, tokens: 100k, repeat_limit: 3}
                  - {name: c, path: chunks, tokens: 50k, repeat_limit: none}
                """,
                to: "\(folder)/recipe.yaml"
            )
            let recipe = ["--recipe", path, "--input-folder", folder]
            #expect(try mix(recipe, "recipe") == summary)
            for part in ["a", "b", "c"] {
                #expect(try contents("\(folder)/recipe/\(part)") == contents("\(folder)/flags/\(part)"))
            }
            let small = try mix(recipe + ["--total-tokens", "5k"], "small")["sources"]?.arrayValue ?? []
            #expect(small.map { $0["target_tokens"] } == [2000, 2000, 1000])

            // A recipe of the suite, whose folders are looked for where they are said to be.
            let listed = try Command.succeed(["data", "recipes"])
            #expect(listed.lines.map { $0.split(separator: " ")[0] } == ["pretraining", "extension", "decay"])
            let text = try Command.succeed(["data", "recipes", "decay"]).output
            let mine = try write(text, to: "\(folder)/mine.yaml")
            for name in ["decay", mine] {
                try Command.fail(
                    ["data", "mix", "--recipe", name, "--input-folder", folder, "-o", "\(folder)/out"],
                    saying: "\(folder)/dclm_dolmino: is not there"
                )
            }
            let wrong = try write(text.replacing("26.0b", with: "lots"), to: "\(folder)/wrong.yaml")
            try Command.fail(
                ["data", "mix", "--recipe", wrong, "-o", "\(folder)/out"],
                saying: "wrong.yaml: line 7, sources[0].tokens is \"lots\"; expected a number of tokens"
            )
            try Command.fail(
                ["data", "mix", "--recipe", "decy", "-o", "\(folder)/out"],
                saying: "decy: is neither a file nor a recipe of the suite; expected a YAML file or one of pretraining"
            )
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/out"))
        }
    }

    @Test("split holds out whole documents and says how many")
    func splitting() throws {
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            let split = ["data", "split", chunks, "--fraction", "0.2", "-o", "\(folder)/divided", "--json"]
            let result = try Command.succeed(split)
            let summary = try result.document()
            #expect(summary.objectValue?.keys == ["output", "shard", "validation", "train"])
            let (train, validation) = (
                try inspect("\(folder)/divided/train"), try inspect("\(folder)/divided/validation")
            )
            #expect(train["tokens"] == summary["train"]?["tokens"])
            #expect(validation["samples"] == summary["validation"]?["samples"])
            #expect(
                try (validation["tokens"]?.intValue ?? 0) + (train["tokens"]?.intValue ?? 0)
                    == inspect(chunks)["tokens"]?.intValue
            )
            #expect(result.errors.contains("validation: \(validation["samples"]?.intValue ?? 0) samples, "))
        }
    }

    @Test("Samples are taken up to a number of tokens, and a copy keeps them all")
    func extending() throws {
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            let all = try #require(try inspect(chunks)["tokens"]?.intValue)
            let extend = ["data", "extend", chunks, "--json"]
            let twice = try Command.succeed(extend + ["--tokens", "\(2 * all)", "-o", "\(folder)/twice"]).document()
            let keys = ["output", "shard", "samples", "tokens", "missing_tokens", "rounds"]
            #expect(twice.objectValue?.keys == keys)
            #expect(twice["tokens"]?.intValue == 2 * all)
            let options = ["--order", "given", "--columns", "input_ids", "--token-type", "uint32"]
            try Command.succeed(extend + options + ["--compression", "none", "-o", "\(folder)/copy"])
            let copy = try inspect("\(folder)/copy", ["--samples", "9999"])
            #expect(copy["columns"] == [["name": "input_ids", "encoding": "ndarray:uint32"]])
            let given = try inspect(chunks, ["--samples", "9999"])
            let ids = { (value: JSONValue) in value["examples"]?.arrayValue?.map { $0["values"]?["input_ids"] } ?? [] }
            #expect(ids(copy) == ids(given))
        }
    }

    @Test(
        "Impossible options are wrong usage",
        arguments: [
            (["inspect", "x", "--samples=-1"], "--samples is -1; expected 0 or more"),
            (["inspect", "x", "--first=-1"], "--first is -1; expected 0 or more"),
            (["verify", "x", "--vocab-size", "0"], "--vocab-size is 0; expected 1 or more"),
            (["verify", "x", "--vocab-size", "1", "--tokenizer", "t"], "cannot be combined"),
            (["mix", "=f@1", "-o", "o"], "source \"=f@1\" has no name"),
            (["mix", "a=@1", "-o", "o"], "source \"a=@1\" has no folder"),
            (["mix", "a=b@many", "-o", "o"], "the share of \"a=b@many\" is \"many\"; expected a number of tokens"),
            (["mix", "a=b@-1%", "-o", "o"], "is \"-1%\"; expected a positive percentage"),
            (["mix", "a=b@1", "-o", "o", "--total-tokens", "x"], "--total-tokens is \"x\""),
            (["mix", "a=b@1:0", "-o", "o"], "the limit of \"a=b@1:0\" is \"0\"; expected 1 or more, or none"),
            (["mix", "-o", "o"], "no sources are given; expected at least one, or --recipe"),
            (["mix", "a", "--recipe", "decay", "-o", "o"], "\"a\" is given together with --recipe"),
            (
                ["mix", "--recipe", "decay", "--repeat-limit", "2", "-o", "o"],
                "--repeat-limit does not apply to --recipe"
            ),
            (["mix", "a", "--input-folder", "b", "-o", "o"], "--input-folder applies to --recipe"),
            (["recipes", "decy"], "\"decy\" is not a recipe of the suite; expected one of pretraining, "),
            (["split", "a", "-o", "o", "--fraction", "1"], "--fraction is 1.0; expected a number between 0 and 1"),
            (
                ["mix", "a=b@1", "-o", "o", "--repeat-limit", "0"],
                "--repeat-limit is \"0\"; expected 1 or more, or none"
            ),
            (["extend", "x", "-o", "o", "--tokens", "1e"], "--tokens is \"1e\"; expected a number of tokens"),
            (["extend", "x", "-o", "o", "--order", "none"], "'none' is invalid for '--order <order>'"),
        ]
    )
    func options(_ arguments: [String], _ message: String) throws {
        try Command.fail(["data"] + arguments, code: 64, saying: message)
    }

    @Test("What is no data set, and impossible mixtures, are named")
    func refusals() throws {
        try withTemporaryFolder { folder in
            let chunks = try chunks(folder)
            for command in ["inspect", "verify"] {
                try Command.fail(["data", command, folder], saying: "index.json: cannot be opened")
            }
            let output = ["-o", "\(folder)/out"]
            try Command.fail(["data", "mix", "\(chunks)@50%"] + output, saying: "total tokens are not given")
            try Command.fail(["data", "mix", chunks, chunks] + output, saying: "is no folder name or occurs twice")
            try Command.fail(["data", "extend", folder + "/texts.jsonl"] + output, saying: "is no MDS data set")
            try Command.fail(
                ["data", "extend", chunks, "--columns", "no"] + output,
                saying: "column \"no\" is not there"
            )
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/out/index.json"))
        }
    }
}
