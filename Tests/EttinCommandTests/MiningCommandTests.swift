import EttinJSON
import Foundation
import TestSupport
import Testing

@Suite("ettin mine-negatives")
struct MiningCommandTests {
    private static let pairs = """
        {"question": "What is the capital?", "answer": "Paris is the capital."}
        {"question": "Where is the cat?", "answer": "A cat sits on the mat."}
        {"question": "Where is the cat?", "answer": "The cat is here."}
        {"question": "Who runs?", "answer": "A dog runs."}

        """

    @Test("Rows go to standard output or a file, statistics to standard error")
    func rows() throws {
        let model = try TinyModels.shared().encoder
        try withTemporaryFolder { folder in
            let data = try write(Self.pairs, to: "\(folder)/pairs.jsonl")
            let corpus = try write("A dog barks.\nParis has trains.\nNobody runs.\n", to: "\(folder)/corpus.txt")
            let call = ["mine-negatives", model, "--dataset", data, "--corpus", corpus, "--num-negatives", "2"]
            let printed = try Command.succeed(call)
            #expect(try printed.objects().count == 8)
            #expect(try printed.objects().allSatisfy { $0.objectValue?.keys == ["question", "answer", "negative"] })
            #expect(printed.errors.contains("Metric       Positive       Negative     Difference"))
            #expect(printed.errors.contains("3 unique anchors in 4 rows"))
            let quiet = try Command.succeed(call + ["--no-verbose", "-o", "\(folder)/rows.jsonl", "--json"])
            #expect(try String(contentsOfFile: "\(folder)/rows.jsonl", encoding: .utf8) == printed.output)
            #expect(try quiet.document()["rows"]?.intValue == 8 && !quiet.errors.contains("Metric"))
            try Command.succeed(call + ["--output-format", "labeled-pair", "-o", "\(folder)/rows.csv"])
            let lines = try String(contentsOfFile: "\(folder)/rows.csv", encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 11 && lines[0] == "question,answer,label")
            #expect(lines[1] == "What is the capital?,Paris is the capital.,1")
            // What was kept changes nothing.
            for _ in 0..<2 {
                let kept = try Command.succeed(call + ["--cache-folder", "\(folder)/cache"])
                #expect(kept.output == printed.output)
            }
        }
    }

    @Test("What is not done as asked is named")
    func refusals() throws {
        let model = try TinyModels.shared().encoder
        try withTemporaryFolder { folder in
            let data = try write(Self.pairs, to: "\(folder)/pairs.jsonl")
            func fail(_ flags: [String], code: Int32 = 1, saying text: String) throws {
                try Command.fail(["mine-negatives", model, "--dataset", data] + flags, code: code, saying: text)
            }
            try fail(["--range-min", "5", "--range-max", "5"], saying: "expected less than --range-max, which is 5")
            try fail(
                ["--positive-column-name", "text"],
                saying: "column \"text\" of --positive-column-name is not there"
            )
            try fail(["--cross-encoder", model, "--max-score", "1"], saying: "expected a reranker")
            try fail(["--corpus", "\(folder)/none.txt"], saying: "none.txt")
            try fail(["-o", "\(folder)/rows.csv", "--output-scores"], code: 64, saying: "ending in .jsonl")
            try fail(["--json"], code: 64, saying: "needs --output")
            // Before the model is looked for.
            let named = try write("{\"a\": \"x\", \"negative_1\": \"y\"}\n", to: "\(folder)/named.jsonl")
            try Command.fail(
                ["mine-negatives", "./absent", "--dataset", named, "--output-format", "n-tuple"],
                saying: "makes a column \"negative_1\", which the data have too"
            )
            let empty = try write("{\"a\": \"x\", \"b\": \"\"}\n", to: "\(folder)/empty.jsonl")
            try Command.fail(
                ["mine-negatives", model, "--dataset", empty, "-o", "\(folder)/out.jsonl"],
                saying: "empty.jsonl: line 1: column \"b\" is empty; expected a text"
            )
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/out.jsonl"))
            let noted = try Command.succeed(
                ["mine-negatives", model, "--dataset", data, "--cross-encoder", model, "--margin", "0"].dropLast(2)
                    + ["--as-triplets"]
            )
            #expect(noted.errors.contains("--cross-encoder has no effect") && noted.errors.contains("deprecated"))
            #expect(noted.errors.contains("the corpus has 4 texts"))
        }
    }
}
