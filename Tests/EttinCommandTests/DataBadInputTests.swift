import Foundation
import Testing

@Suite("Bad input to ettin data")
struct DataBadInputTests {
    @Test(
        "Impossible options are wrong usage",
        arguments: [
            (["tokenize", "x", "--shard", "2/2"], "--shard is \"2/2\"; expected i/n with i from 0 to n - 1"),
            (["tokenize", "x", "--shard", "1"], "--shard is \"1\""),
            (["tokenize", "x", "--compression", "lz4"], "--compression is \"lz4\"; expected one of br, bz2, gz"),
            (["tokenize", "x", "--compression", "zstd:99"], "--compression is \"zstd:99\"; expected a level from 1"),
            (["tokenize", "x", "--hashes", "sha1,crc"], "--hashes has \"crc\"; expected one or more of md5"),
            (["tokenize", "x", "--size-limit", "0"], "--size-limit is \"0\"; expected 1 to 4294967295 bytes"),
            (["tokenize", "x", "--size-limit", "9999999999gb"], "--size-limit is \"9999999999gb\""),
            (["tokenize", "x", "--threads", "0"], "--threads is 0; expected 1 to 1024"),
            (["tokenize", "x", "--separator", ""], "--separator is empty"),
            (["tokenize", "x", "--separator", "\\q"], "--separator has an unknown escape"),
            (["tokenize", "x", "--format", "parquet2"], "'parquet2' is invalid for '--format <format>'"),
            (["tokenize", "x", "--empty-documents", "eat"], "'eat' is invalid for '--empty-documents <rule>'"),
            (["tokenize", "x", "--longest-document", "much"], "--longest-document is \"much\""),
            (["chunk", "x", "--chunk-size", "2"], "--chunk-size is 2; expected 3 or more"),
            (["chunk", "x", "--min-size", "1023"], "--min-size is 1023; expected 0 to 1022"),
            (["chunk", "x", "--always-skip=-1"], "--always-skip is -1; expected 0 or more"),
            (["chunk", "x", "--seed", "4294967296"], "--seed is 4294967296; expected at most 4294967295"),
            (["chunk", "x", "--draws", "dice"], "'dice' is invalid for '--draws <draws>'"),
        ]
    )
    func options(_ arguments: [String], _ message: String) throws {
        let rest = ["--tokenizer", "absent", "-o", "absent"]
        try Command.fail(["data"] + arguments + rest, code: 64, saying: message)
    }

    @Test("Inputs and tokenizers that are not there, and broken documents, are named")
    func inputs() throws {
        let tokenizer = try TinyModels.shared().tokenizer
        try withTemporaryFolder { folder in
            func fail(_ input: String, _ message: String, tokenizer: String = tokenizer) throws {
                let arguments = ["data", "tokenize", input, "--tokenizer", tokenizer, "-o", "\(folder)/out"]
                try Command.fail(arguments, saying: message)
                #expect(!FileManager.default.fileExists(atPath: "\(folder)/out/index.json"))
                #expect(!FileManager.default.fileExists(atPath: "\(folder)/out/manifest.json"))
                try? FileManager.default.removeItem(atPath: "\(folder)/out")
            }
            let good = try write("A cat.", to: "\(folder)/good.txt")
            try fail(good, "absent", tokenizer: "absent")
            try fail("\(folder)/none.txt", "none.txt: is not there; expected a file, a folder or a pattern")
            try fail("\(folder)/*.none", "*.none: matches nothing")
            try fail(write("x", to: "\(folder)/a.xz"), "a.xz: is a .xz file; expected text or JSON Lines")
            try fail(write("{\"text\":\"a\"}\n{\"text\":1}\n", to: "\(folder)/a.jsonl"), "a.jsonl: line 2")
            let empty = "{\"text\":\"a\"}\n{\"text\":\"\"}\n"
            try fail(write(empty, to: "\(folder)/b.jsonl"), "b.jsonl: line 2 is an empty document")
            let bytes = "\(folder)/c.txt"
            try Data([0x61, 0xFF]).write(to: URL(filePath: bytes))
            try fail(bytes, "c.txt: line 1 is not UTF-8")
            let arguments = ["data", "chunk", good, "--tokenizer", tokenizer, "-o", "\(folder)/out"]
            try Command.fail(arguments, saying: "good.txt: is no MDS data set; expected a folder with an index")
        }
    }

    @Test("A folder that holds another job is refused")
    func otherJob() throws {
        let tokenizer = try TinyModels.shared().tokenizer
        try withTemporaryFolder { folder in
            let input = try write("A cat.", to: "\(folder)/a.txt")
            let arguments = ["data", "tokenize", input, "--tokenizer", tokenizer, "-o", "\(folder)/out"]
            try Command.succeed(arguments)
            try Command.fail(
                arguments + ["--no-add-prefix-space"],
                saying: "holds a finished run whose \"parameters\" differ from this one's; expected the same"
            )
            try Command.fail(arguments + ["--shard", "0/2"], saying: "whose \"shard\" differ")
        }
    }
}
