import EttinJSON
import Foundation
import Testing

/// The names and contents of the files of a folder.
func contents(_ folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    return Dictionary(
        uniqueKeysWithValues: try names.map { ($0, try Data(contentsOf: URL(filePath: "\(folder)/\($0)"))) }
    )
}

@Suite("ettin data")
struct DataCommandTests {
    /// A folder of two text files and one of JSON Lines, with five documents.
    private func texts(_ folder: String) throws -> String {
        let texts = "\(folder)/texts"
        try FileManager.default.createDirectory(atPath: "\(texts)/more", withIntermediateDirectories: true)
        _ = try write("The capital of France is Paris.", to: "\(texts)/a.txt")
        _ = try write("A cat sits on the mat.\nA dog runs.", to: "\(texts)/more/b.txt")
        let long = String(repeating: "A cat. ", count: 40)
        let lines = (0..<3).map { "{\"id\": \"doc \($0)\", \"text\": \"\(long)\"}\n" }
        _ = try write(lines.joined(), to: "\(texts)/more/c.jsonl")
        return texts
    }

    private func tokenize(_ inputs: [String], to output: String, _ options: [String] = []) throws -> CommandResult {
        let tokenizer = try TinyModels.shared().tokenizer
        return try Command.succeed(["data", "tokenize"] + inputs + ["--tokenizer", tokenizer, "-o", output] + options)
    }

    private func chunk(_ input: String, to output: String, _ options: [String] = []) throws -> CommandResult {
        let tokenizer = try TinyModels.shared().tokenizer
        let sizes = ["--chunk-size", "40", "--min-size", "20", "--always-skip", "4"]
        return try Command.succeed(
            ["data", "chunk", input, "--tokenizer", tokenizer, "-o", output] + sizes + options
        )
    }

    @Test("Texts become token ids, and these chunks")
    func pipeline() throws {
        try withTemporaryFolder { folder in
            let tokens = try tokenize([texts(folder)], to: "\(folder)/tokens", ["--json"])
            let summary = try tokens.document()
            #expect(summary.objectValue?.keys == ["output", "shard", "samples", "tokens", "skipped_documents"])
            #expect(summary["output"]?.stringValue == "\(folder)/tokens")
            #expect(summary["shard"] == "0/1")
            #expect(summary["samples"] == 5)
            #expect(summary["skipped_documents"] == 0)
            #expect(tokens.errors.hasPrefix("wrote 5 samples, \(summary["tokens"]?.intValue ?? 0) tokens to "))
            let names = ["index.json", "manifest.json", "num_tokens.json", "shard.00000.mds.zstd"]
            #expect(try contents("\(folder)/tokens").keys.sorted() == names)

            let chunks = try chunk("\(folder)/tokens", to: "\(folder)/chunks", ["--json"]).document()
            let keys = ["output", "shard", "documents", "samples", "tokens", "duplicated_tokens", "skipped_tokens"]
            #expect(chunks.objectValue?.keys == keys)
            #expect(chunks["documents"] == 5)
            #expect(chunks["samples"]?.intValue ?? 0 > 10)
            #expect(try contents("\(folder)/chunks").keys.contains("stats.json"))
        }
    }

    @Test("A finished job is not done again, and says so")
    func finished() throws {
        try withTemporaryFolder { folder in
            let texts = try texts(folder)
            let first = try tokenize([texts], to: "\(folder)/tokens", ["--json"])
            let before = try contents("\(folder)/tokens")
            let second = try tokenize([texts], to: "\(folder)/tokens", ["--json"])
            #expect(second.output == first.output)
            #expect(second.errors.contains("tokens is already complete: 5 samples, "))
            #expect(try contents("\(folder)/tokens") == before)
        }
    }

    @Test("The prefix space, separators, keys and rules reach the reader")
    func reading() throws {
        try withTemporaryFolder { folder in
            let file = try write("cat\r\n\ndog\n", to: "\(folder)/lines.txt")
            func counts(_ name: String, _ input: String, _ options: [String]) throws -> [Int?] {
                let summary = try tokenize([input], to: "\(folder)/\(name)", options + ["--json"]).document()
                return [summary["samples"]?.intValue, summary["skipped_documents"]?.intValue]
            }
            #expect(try counts("whole", file, []) == [1, 0])
            #expect(try counts("lines", file, ["--separator", "\\n", "--empty-documents", "skip"]) == [2, 1])
            #expect(try counts("kept", file, ["--separator", "\\n", "--empty-documents", "keep"]) == [3, 0])
            #expect(try counts("text", file, ["--separator", "\\r\\n\\n"]) == [2, 0])
            let object = try write("{\"body\": \"cat\"}\n", to: "\(folder)/objects")
            #expect(try counts("key", object, ["--format", "jsonl", "--text-key", "body"]) == [1, 0])
            #expect(try counts("glob", "\(folder)/l*.t?t", []) == [1, 0])
            let (with, without) = ("\(folder)/with", "\(folder)/without")
            let plain = ["--compression", "none", "--hashes", "none", "--text-key", "body", "--format", "jsonl"]
            _ = try tokenize([object], to: with, plain)
            _ = try tokenize([object], to: without, plain + ["--no-add-prefix-space"])
            #expect(try contents(with)["shard.00000.mds"] != contents(without)["shard.00000.mds"])
        }
    }

    @Test("Compression, hashes and size limit are those of the index")
    func writing() throws {
        try withTemporaryFolder { folder in
            let options = ["--compression", "zstd:7", "--hashes", "sha1,xxh3_64", "--size-limit", "1kb"]
            _ = try tokenize([texts(folder)], to: "\(folder)/tokens", options)
            let text = try String(contentsOfFile: "\(folder)/tokens/index.json", encoding: .utf8)
            let shards = try #require(try JSONValue(parsing: text)["shards"]?.arrayValue)
            #expect(shards.count > 1)
            #expect(shards[0]["compression"] == "zstd:7")
            #expect(shards[0]["hashes"] == ["sha1", "xxh3_64"])
            #expect(shards[0]["size_limit"] == 1024)
        }
    }

    @Test("A job that was killed and started again writes the bytes of one that was not", .timeLimit(.minutes(2)))
    func resuming() throws {
        try withTemporaryFolder { folder in
            let tokenizer = try TinyModels.shared().tokenizer
            let lines = (0..<9000).map { number in
                "{\"text\":\"A cat \(number) sits on mat \(number % 77) and runs to Paris \(number % 13).\"}\n"
            }
            let texts = try write(lines.joined(), to: "\(folder)/texts.jsonl")
            let jobs = [
                ["data", "tokenize", texts, "--size-limit", "32kb", "--tokenizer", tokenizer],
                [
                    "data", "chunk", "\(folder)/0-whole", "--size-limit", "32kb", "--tokenizer", tokenizer,
                    "--chunk-size", "24", "--min-size", "12", "--always-skip", "3",
                ],
            ]
            for (number, job) in jobs.enumerated() {
                let (whole, killed) = ("\(folder)/\(number)-whole", "\(folder)/\(number)-killed")
                try Command.succeed(job + ["-o", whole])
                let process = Process()
                process.executableURL = Command.binary
                process.arguments = job + ["-o", killed]
                process.standardError = FileHandle.nullDevice
                try process.run()
                while process.isRunning, !FileManager.default.fileExists(atPath: "\(killed)/shard.00002.mds.zstd") {
                    usleep(500)
                }
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                #expect(process.terminationReason == .uncaughtSignal, "the job ended before it could be killed")
                #expect(!FileManager.default.fileExists(atPath: "\(killed)/index.json"))
                try Command.succeed(job + ["-o", killed])
                #expect(try contents(killed) == contents(whole))
            }
        }
    }
}
