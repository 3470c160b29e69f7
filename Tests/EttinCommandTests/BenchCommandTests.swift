import EttinJSON
import Foundation
import Testing

@Suite("ettin bench")
struct BenchCommandTests {
    static let fields = [
        "dtype", "batch", "min_length", "max_length", "tokens", "new_tokens", "rounds", "p50_ms", "p90_ms", "p99_ms",
        "min_ms", "mean_ms", "tokens_per_second", "sequences_per_second", "dense_gflop", "attention_gflop",
        "dense_gflop_per_second", "gemm_gflop_per_second", "dense_share_of_gemm", "peak_memory_bytes",
    ]

    private func bench(_ arguments: [String]) throws -> JSONValue {
        try Command.succeed(["bench"] + arguments + ["--warmup", "0", "--rounds", "2", "--json"]).document()
    }

    @Test("Every case of the grid has all figures, type by type")
    func grid() throws {
        let models = try TinyModels.shared()
        let grid = ["--batch", "1,3", "--length", "4,32", "--dtype", "float32,bfloat16"]
        let document = try bench([models.encoder, "--threads", "1"] + grid)
        #expect(document["task"] == "encode")
        #expect(document["threads"] == 1)
        #expect(document["model"]?["kind"] == "encoder")
        let results = try #require(document["results"]?.arrayValue)
        #expect(
            results.map { $0["dtype"]?.stringValue } == Array(repeating: "float32", count: 4)
                + Array(repeating: "bfloat16", count: 4)
        )
        #expect(results.prefix(4).map { $0["batch"]?.intValue } == [1, 1, 3, 3])
        #expect(results.prefix(4).map { $0["max_length"]?.intValue } == [4, 32, 4, 32])
        for result in results {
            #expect(result.objectValue?.keys == Self.fields)
            #expect(result["rounds"] == 2)
            let times = ["min_ms", "p50_ms", "p90_ms", "p99_ms"].compactMap { result[$0]?.doubleValue }
            #expect(times.count == 4 && times == times.sorted() && times[0] > 0)
            let rate = try #require(result["tokens_per_second"]?.doubleValue)
            let tokens = try #require(result["tokens"]?.doubleValue)
            #expect(abs(rate * times[1] / 1000 - tokens) < 1e-6 * tokens)
        }
    }

    @Test("A decoder's new tokens are counted")
    func generate() throws {
        let models = try TinyModels.shared()
        let arguments = ["--task", "generate", "--batch", "2", "--length", "5", "--new-tokens", "7"]
        let document = try bench([models.decoder] + arguments)
        let result = try #require(document["results"]?[0])
        #expect(result["tokens"] == 14)
        #expect(result["new_tokens"] == 7)
        #expect(try bench([models.decoder, "--batch", "1", "--length", "5"])["results"]?[0]?["new_tokens"] == .null)
    }

    @Test("Texts have their own lengths, and over-long ones are shortened only if asked for")
    func texts() throws {
        let models = try TinyModels.shared()
        try withTemporaryFolder { folder in
            let texts = ["a cat", "The capital of France is Paris.", InferenceCommandTests.overlong]
            let path = try write(texts.joined(separator: "\n") + "\n", to: "\(folder)/texts.txt")
            try Command.fail(["bench", models.encoder, "--texts", path], saying: "text 3 has ")
            let arguments = ["bench", models.encoder, "--texts", path, "--truncate", "--max-batch-tokens", "40"]
            let run = try Command.succeed(arguments + ["--rounds", "2", "--json"])
            #expect(run.errors == "truncated 1 of 3 texts\n")
            let result = try #require(try run.document()["results"]?[0])
            #expect(result["batch"] == 3)
            #expect(result["max_length"] == 32)
            let lengths = try Command.succeed(["tokenize", models.encoder, texts[0], texts[1], "--json"]).objects()
                .compactMap { $0["ids"]?.arrayValue?.count }
            #expect(result["min_length"]?.intValue == lengths.min())
            #expect(result["tokens"]?.intValue == lengths.reduce(32, +))
        }
    }

    @Test("People get a table with one line for each case")
    func table() throws {
        let models = try TinyModels.shared()
        let arguments = ["bench", models.encoder, "--batch", "1,2", "--length", "4", "--rounds", "1", "--warmup", "0"]
        let lines = try Command.succeed(arguments).lines
        #expect(lines.count == 5)
        #expect(lines[0].hasPrefix("encoder of "))
        #expect(lines[1].hasPrefix("float32 matrix products reach "))
        #expect(lines[2].contains("tokens/s"))
        #expect(Set(lines[2...].map(\.count)).count == 1)
    }

    @Test(
        "Impossible options are wrong usage",
        arguments: [
            (["--batch", "0"], "--batch is 0; expected 1 or more"),
            (["--batch", "1,,2"], "'1,,2' is invalid for '--batch <list>'"),
            (["--length", "-4"], "--length is -4; expected 1 or more"),
            (["--length", "many"], "'many' is invalid for '--length <list>'"),
            (["--dtype", "float32,int3"], "'float32,int3' is invalid for '--dtype <list>'"),
            (["--task", "dream"], "'dream' is invalid for '--task <task>'"),
            (["--rounds", "0"], "--rounds is 0; expected 1 or more"),
            (["--warmup", "-1"], "--warmup is -1; expected 0 or more"),
            (["--seconds", "nan"], "--seconds is nan; expected a number above 0"),
            (["--rounds", "1", "--seconds", "1"], "--rounds and --seconds cannot be combined"),
            (["--new-tokens", "4"], "--new-tokens applies to --task generate"),
            (["--task", "generate", "--new-tokens", "0"], "--new-tokens is 0; expected 1 or more"),
            (["--truncate"], "--truncate applies to --texts"),
            (["--texts", "f", "--batch", "1"], "--batch is for random tokens"),
            (["--texts", "f", "--length", "1"], "--length applies to random tokens"),
            (["--texts", "f", "--task", "generate"], "--texts applies to --task encode"),
            (["--threads", "0"], "--threads is 0"),
        ]
    )
    func options(_ arguments: [String], _ message: String) throws {
        try Command.fail(["bench", "m"] + arguments, code: 64, saying: message)
    }

    @Test("What the model cannot do is refused by name")
    func model() throws {
        let models = try TinyModels.shared()
        try Command.fail(["bench", "./absent"], saying: "./absent: is not a folder")
        let long = ["bench", models.encoder, "--length", "16,33"]
        try Command.fail(long, saying: "length is 33; expected 1 to 32")
        let generate = ["bench", models.decoder, "--task", "generate", "--length", "20"]
        try Command.fail(generate + ["--new-tokens", "13"], saying: "length is 20; expected 1 to 19")
        try Command.fail(generate + ["--new-tokens", "32"], saying: "new-tokens is 32; expected less than the 32")
        try Command.fail(
            ["bench", models.encoder, "--batch", "99999999999", "--length", "4"],
            saying: "batch is 99999999999"
        )
        let encoder = ["bench", models.encoder, "--task", "generate", "--length", "4", "--new-tokens", "2"]
        try Command.fail(encoder, saying: "which continues no text; expected \"modernbert-decoder\"")
        try Command.fail(["bench", models.encoder, "--texts", "./absent.txt"], saying: "./absent.txt")
        try Command.fail(["bench", models.encoder, "--texts", "/dev/null"], saying: "/dev/null: contains no text")
    }
}
