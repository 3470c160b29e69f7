import EttinJSON
import Foundation
import TestSupport
import Testing

@Suite("ettin evaluate retrieval")
struct EvaluationCommandTests {
    /// A task in BEIR's layout; a document is empty.
    private func write(_ folder: TemporaryFolder) throws -> String {
        try FileManager.default.createDirectory(
            atPath: folder.file("beir/qrels"),
            withIntermediateDirectories: true
        )
        let texts = [("d1", "the cat sat on the mat"), ("d2", "a fox at sea"), ("d3", ""), ("d4", "the dog sat")]
        try folder.write(
            texts.map { "{\"_id\": \"\($0)\", \"title\": \"\", \"text\": \"\($1)\"}\n" }.joined(),
            "beir/corpus.jsonl"
        )
        try folder.write(
            "{\"_id\": \"q1\", \"text\": \"cat mat\"}\n{\"_id\": \"q2\", \"text\": \"fox\"}\n",
            "beir/queries.jsonl"
        )
        try folder.write("query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td4\t1\n", "beir/qrels/test.tsv")
        return folder.file("beir")
    }

    @Test("prints a table with a line for each model and cut-off, and for BM25")
    func table() throws {
        try withTemporaryFolder { folder in
            let beir = try write(folder)
            let models = try TinyModels.shared()
            let result = try Command.succeed(
                ["evaluate", "retrieval", models.encoder, models.decoder, beir, "--k", "1,100"]
            )
            let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count == 10, "\(result.output)")
            #expect(lines[0].hasSuffix("test: 2 queries, 4 documents; rules of trec_eval"))
            #expect(lines[5].hasPrefix("  1  BM25 (k1 0.9, b 0.4)") && lines[5].hasSuffix("1.0000   1.0000"))
            let bm25 = try Command.succeed(["evaluate", "retrieval", beir]).output
            #expect(bm25.contains(" 10  BM25 (k1 0.9, b 0.4)   0.8066   0.7500   0.7500"))
        }
    }

    @Test("writes one document, and a run")
    func document() throws {
        try withTemporaryFolder { folder in
            let beir = try write(folder)
            let run = folder.file("run.txt")
            let document = try Command.succeed(
                [
                    "evaluate", "retrieval", try TinyModels.shared().encoder, beir, "--json", "--run", run,
                    "--similarity",
                    "dot",
                ]
            ).document()
            #expect(document["queries"]?.intValue == 2 && document["rules"]?.stringValue == "trec_eval")
            let results = document["results"]?.arrayValue ?? []
            #expect(results.count == 2 && results.first?["similarity"]?.stringValue == "dot")
            #expect(results.last?["model"]?.stringValue == "BM25")
            let keys = results.first?["metrics"]?.objectValue?.keys ?? []
            #expect(keys.count == 12 && keys.first == "ndcg@10" && keys.last == "hit_rate@100")
            let lines = String(decoding: try folder.read("run.txt"), as: UTF8.self).split(separator: "\n")
            #expect(lines.count == 8 && lines[0].hasPrefix("q1 Q0 d") && lines[4].hasPrefix("q2 Q0 d"))
        }
    }

    @Test("ranks what BM25 found by a reranker, with BM25 beside it")
    func reranker() throws {
        try withTemporaryFolder { folder in
            let beir = try write(folder)
            try TinyClassifiers.with("ForSequenceClassification", labels: ["relevance"]) { model in
                let call = ["evaluate", "retrieval", model, beir]
                let table = try Command.succeed(call + ["--k", "1", "--rerank-k", "3"]).output
                #expect(table.contains("\(model) (BM25 top 3)") && table.contains("BM25 (k1 0.9, b 0.4)"))
                let run = folder.file("run.txt")
                let document = try Command.succeed(call + ["--json", "--run", run]).document()
                #expect(document["results"]?[0]?["rerank_k"]?.intValue == 100)
                #expect(document["results"]?[0]?["similarity"]?.stringValue == "cross-encoder")
                // Documents that share a word with the query, by the scores of `ettin rerank`.
                let lines = String(decoding: try folder.read("run.txt"), as: UTF8.self).split(separator: "\n")
                #expect(lines.map { $0.prefix(8) }.sorted() == ["q1 Q0 d1", "q2 Q0 d2"])
                let score = try Command.succeed(["rerank", model, "fox", "a fox at sea", "--json"]).document()
                let value = try #require(score[0]?["score"]?.doubleValue)
                let written = try #require(lines.last?.split(separator: " ").dropLast().last.flatMap { Double($0) })
                #expect(abs(value - written) < 1e-6)
                try Command.fail(call + ["--corpus-prompt", "a"], code: 64, saying: "is a reranker, whose prompt")
                try Command.fail(call + ["--similarity", "dot"], code: 64, saying: "compares by cross-encoder")
            }
            let model = try TinyModels.shared().encoder
            let result = try Command.succeed(["evaluate", "retrieval", model, beir, "--rerank-k", "3"])
            #expect(result.errors.contains("--rerank-k has no effect"))
        }
    }

    @Test("names what does not fit")
    func mistakes() throws {
        try withTemporaryFolder { folder in
            let beir = try write(folder)
            let model = try TinyModels.shared().encoder
            let command = ["evaluate", "retrieval"]
            for (arguments, message) in [
                ([beir, "--k", "0"], "--k is 0; expected 1 or more"),
                ([beir, "--no-bm25"], "there is nothing to measure"),
                ([beir, "--rerank-k", "5"], "--rerank-k applies to models, and none is given"),
                ([beir, "--similarity", "dot"], "--similarity applies to models, and none is given"),
                ([beir, "--corpus-prompt", "a"], "--corpus-prompt applies to models, and none is given"),
                ([model, model, beir, "--run", "x"], "--run is given with 2 models; expected one"),
                ([model, beir, "--truncate-dim", "33"], "--truncate-dim is 33; expected 1 to 32"),
                ([model, beir, "--query-prompt", "a", "--query-prompt-name", "b"], "cannot be combined"),
            ] {
                try Command.fail(command + arguments, code: 64, saying: message)
            }
            try Command.fail(command + [model, beir, "--split", "dev"], saying: "--split test")
            try Command.fail(command + [model, folder.path], saying: "a folder in BEIR's layout")
            try Command.fail(
                command + [model, beir, "--query-prompt-name", "ask"],
                saying: "--prompt-name is \"ask\"; expected none, as the model has no prompts"
            )
            try Command.fail(command + ["./absent", beir], saying: "./absent: is not a folder")
        }
    }
}
