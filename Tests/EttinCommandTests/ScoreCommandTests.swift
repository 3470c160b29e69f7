import EttinJSON
import Foundation
import TestSupport
import Testing

@Suite("ettin score")
struct ScoreCommandTests {
    private static let words = ["cat", "dog", "mat", "Paris", "France", "runs", "sits", "capital"]

    /// Rows whose texts have different lengths.
    private static func rows(_ count: Int) -> String {
        (0..<count).map { row in
            let text = (0...(row * 7 % 11)).map { words[(row + $0 * 3) % words.count] }.joined(separator: " ")
            return
                "{\"id\": \(row), \"query\": \"\(words[row / 5 % 8])\", \"document\": \"\(text)\", \"weight\": 0.5}\n"
        }.joined()
    }

    private func withReranker<Result>(_ body: (_ model: String, _ folder: TemporaryFolder) throws -> Result) throws
        -> Result
    {
        try TinyClassifiers.with("ForSequenceClassification", labels: ["relevance"]) { model in
            try TestSupport.withTemporaryFolder { try body(model, $0) }
        }
    }

    @Test("Rows keep their columns and get the scores of ettin rerank, raw unless told otherwise")
    func scores() throws {
        try withReranker { model, folder in
            let data = try write(Self.rows(30), to: folder.file("pairs.jsonl"))
            let call = ["score", model, data, "--columns", "query,document"]
            let result = try Command.succeed(call)
            let rows = try result.objects()
            #expect(rows.count == 30)
            #expect(rows.allSatisfy { $0.objectValue?.keys == ["id", "query", "document", "weight", "label"] })
            #expect(rows[7]["id"]?.intValue == 7 && rows[7]["weight"]?.text() == "0.5")
            #expect(result.errors.contains("wrote 30 rows: 30 pairs scored, "))
            for (flags, name) in [([], "identity"), (["--activation", "sigmoid", "--column", "p"], "sigmoid")] {
                let expected = try Command.succeed(
                    ["rerank", model, "--activation", name, "--json"],
                    input: rows.map { "{\"query\": \($0["query"]!.text()), \"document\": \($0["document"]!.text())}\n" }
                        .joined()
                ).objects()
                let scores = try Command.succeed(call + flags).objects()
                for (row, other) in zip(scores, expected) {
                    let value = try #require(row[flags.isEmpty ? "label" : "p"]?.doubleValue)
                    #expect(abs(value - (other["score"]?.doubleValue ?? .nan)) < 1e-6)
                }
            }
            let file = folder.file("out.jsonl")
            let report = try Command.succeed(call + ["-o", file, "--json"]).document()
            #expect(try String(contentsOfFile: file, encoding: .utf8) == result.output)
            #expect(report["rows"]?.intValue == 30 && report["scored_pairs"]?.intValue == 30)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(names == [".out.jsonl.json", "out.jsonl", "pairs.jsonl"])
            // A complete file is left alone, and replaced without --resume.
            #expect(try Command.succeed(call + ["-o", file, "--resume"]).errors.contains("already complete: 30 rows"))
            let sigmoid = ["-o", file, "--resume", "--activation", "sigmoid"]
            try Command.fail(call + sigmoid, saying: "\"activation\" of the run that wrote it is \"identity\"")
            try Command.succeed(call + ["-o", file, "--shard", "0/2"])
            #expect(try Data(contentsOf: URL(filePath: file)).isEmpty)
            try Command.fail(call + ["-o", file, "--resume"], saying: "\"shard\" of the run that wrote it is \"0/2\"")
            // Neither the data nor what another program wrote is taken for the output of a run.
            let bytes = try folder.read("pairs.jsonl")
            try Command.fail(
                call + ["-o", folder.file("pairs.jsonl")],
                code: 64,
                saying: "a file of the data; expected another"
            )
            #expect(try folder.read("pairs.jsonl") == bytes)
            try Data(bytes).write(to: URL(filePath: folder.file("other.jsonl")))
            try Command.fail(
                call + ["-o", folder.file("other.jsonl"), "--resume"],
                saying: "the record of the run that wrote it"
            )
        }
    }

    @Test("Lists of documents, and several columns of them, get lists of scores")
    func lists() throws {
        try withReranker { model, folder in
            let data = try write(
                "{\"q\": \"cat\", \"p\": \"a mat\", \"n\": [\"a dog\", \"Paris\"]}\n{\"q\": \"dog\", \"p\": \"cat\", \"n\": [\"mat\"]}\n",
                to: folder.file("lists.jsonl")
            )
            let both = try Command.succeed(["score", model, data, "--columns", "q,p,n", "--column", "scores"]).objects()
            let lists = try Command.succeed(["score", model, data, "--columns", "q,n"]).objects()
            let texts = try Command.succeed(["score", model, data]).objects()
            #expect(both.map { $0["scores"]?.arrayValue?.count } == [3, 2])
            #expect(lists.map { $0["label"]?.arrayValue?.count } == [2, 1])
            #expect(texts[1]["label"]?.doubleValue != nil)
            let labeled = try write(
                "{\"label\": 1, \"q\": \"cat\", \"p\": \"a mat\"}\n",
                to: folder.file("labeled.jsonl")
            )
            let replaced = try Command.succeed(["score", model, labeled, "--columns", "q,p", "--replace"]).objects()
            #expect(replaced[0].objectValue?.keys == ["q", "p", "label"] && replaced[0]["label"] == texts[0]["label"])
            let table = try write("question,passage\ncat,\"a mat, a dog\"\n", to: folder.file("pairs.csv"))
            #expect(try Command.succeed(["score", model, table]).objects()[0]["label"]?.doubleValue != nil)
        }
    }

    @Test("An interrupted file is continued to the same bytes, and shards make the whole")
    func resume() throws {
        try withReranker { model, folder in
            let data = try write(Self.rows(900), to: folder.file("pairs.jsonl"))
            let call = ["score", model, data, "--columns", "query,document", "-o"]
            try Command.succeed(call + [folder.file("whole.jsonl")])
            let whole = try folder.read("whole.jsonl")
            var shards: [UInt8] = []
            for shard in 0..<3 {
                try Command.succeed(call + [folder.file("\(shard).jsonl"), "--shard", "\(shard)/3"])
                shards += try folder.read("\(shard).jsonl")
            }
            #expect(shards == whole)
            // The system takes a part of a block of lines, as when a process is killed while it writes.
            let output = folder.file("out.jsonl")
            let shell = Process()
            shell.executableURL = URL(filePath: "/bin/sh")
            shell.arguments = ["-c", "ulimit -f 1; exec \"$@\"", "sh", Command.binary.path] + call + [output]
            shell.standardError = FileHandle.nullDevice
            try shell.run()
            shell.waitUntilExit()
            #expect(shell.terminationStatus == 1)
            let part = folder.file(".out.jsonl.part")
            let sidecar = try folder.read(".out.jsonl.part.json")
            let kept = try folder.read(".out.jsonl.part")
            #expect(!kept.isEmpty && whole.starts(with: kept) && !FileManager.default.fileExists(atPath: output))
            try Command.fail(call + [output], saying: "has an unfinished run")
            try Command.fail(
                call + [output, "--resume", "--max-length", "20"],
                saying: ".part.json: \"max_length\" of the unfinished run is null; expected 20"
            )
            let other = try write(Self.rows(899), to: folder.file("other.jsonl"))
            try Command.fail(
                ["score", model, other] + call[3...] + [output, "--resume"],
                saying: "\"data\" of the unfinished"
            )
            for count in [0, 1, kept.count, whole.count / 2, whole.count - 1, whole.count] {
                try Data(whole.prefix(count)).write(to: URL(filePath: part))
                try Data(sidecar).write(to: URL(filePath: folder.file(".out.jsonl.part.json")))
                let result = try Command.succeed(call + [output, "--resume"])
                #expect(result.errors.contains("resuming behind row") == (count > 100))
                #expect(try folder.read("out.jsonl") == whole)
                #expect(!FileManager.default.fileExists(atPath: part))
                try FileManager.default.removeItem(atPath: output)
            }
            // Killed between the file's name and the end.
            try Data(whole).write(to: URL(filePath: output))
            try Data(sidecar).write(to: URL(filePath: folder.file(".out.jsonl.part.json")))
            #expect(try Command.succeed(call + [output, "--resume"]).errors.contains("already complete"))
        }
    }

    @Test("Pairs that are too long are truncated and counted")
    func truncation() throws {
        try withReranker { model, folder in
            let long = String(repeating: "cat sits ", count: 60)
            let data = try write(
                "{\"query\": \"cat\", \"document\": \"\(long)\"}\n{\"query\": \"cat\", \"document\": \"dog\"}\n",
                to: folder.file("long.jsonl")
            )
            let result = try Command.succeed(["score", model, data])
            #expect(result.errors.contains("truncated 1 of 2 pairs"))
            let short = try Command.succeed(["score", model, data, "--max-length", "9"])
            #expect(try short.objects()[0]["label"] != result.objects()[0]["label"])
            #expect(try short.objects()[1]["label"] == result.objects()[1]["label"])
        }
    }

    @Test("What does not fit is named before anything is scored")
    func refusals() throws {
        try withReranker { model, folder in
            let good = "{\"query\": \"cat\", \"document\": \"dog\"}\n"
            func fail(_ rows: String, _ flags: [String] = [], code: Int32 = 1, saying text: String) throws {
                let data = try write(rows, to: folder.file("data.jsonl"))
                try Command.fail(
                    ["score", model, data, "-o", folder.file("out.jsonl")] + flags,
                    code: code,
                    saying: text
                )
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["data.jsonl"])
            }
            try fail(
                good + "{\"query\": \"cat\", \"document\": \"\"}\n",
                saying: "data.jsonl: line 2: column \"document\" holds an empty text; expected a text"
            )
            try fail(
                good + "{\"query\": [\"cat\"], \"document\": \"dog\"}\n",
                saying: "line 2: column \"query\" holds a list; expected a text"
            )
            try fail(
                good + "{\"query\": \"cat\"}\n",
                saying: "line 2: column \"document\" holds null; expected a text, or a list of texts"
            )
            try fail(
                good + "{\"query\": \"cat\", \"document\": []}\n",
                saying: "line 2: column \"document\" is an empty list"
            )
            try fail(
                good + "{\"query\": \"cat\", \"document\": [\"dog\", 3]}\n",
                saying: "column \"document\" holds a list with a whole number"
            )
            try fail(
                good,
                ["--columns", "query,passage"],
                saying:
                    "column \"passage\" is not there; expected --columns with names among \"query\" and \"document\""
            )
            try fail("{\"query\": \"cat\"}\n", saying: "has 1 column; expected two, of queries and of documents")
            try fail(good, ["--columns", "query,query"], saying: "column \"query\" is named twice")
            try fail(good, ["--column", "query"], saying: "column \"query\" is there already; expected --column with")
            try fail(
                "{\"a\": \"cat\", \"b\": \"dog\", \"label\": 1}\n",
                saying:
                    "column \"label\" is there already; expected --column with another name for the scores, or --replace"
            )
            try fail(good, ["--shard", "2/2"], code: 64, saying: "--shard is \"2/2\"")
            try fail(good, ["--max-length", "33"], saying: "--max-length is 33; expected 1 to 32")
            try fail(good, ["--max-length", "2"], saying: "line 1: the pair has 3 tokens in the part")
            try Command.fail(["score", model, "x.jsonl", "-o", "out.csv"], code: 64, saying: "ending in .jsonl, or -")
            try Command.fail(["score", model, "x.jsonl", "--resume"], code: 64, saying: "--resume continues a file")
            try Command.fail(["score", model, folder.file("none.jsonl")], saying: "none.jsonl: is not there")
            try TinyClassifiers.with("ForSequenceClassification", labels: ["a", "b"]) { classifier in
                let data = try write(good, to: folder.file("data.jsonl"))
                try Command.fail(
                    ["score", classifier, data],
                    saying: "expected a reranker, which has one label and not 2"
                )
            }
        }
    }
}
