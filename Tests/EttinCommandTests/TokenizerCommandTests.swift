import EttinJSON
import Foundation
import Testing

@Suite("ettin tokenize and ettin tokenizer train")
struct TokenizerCommandTests {
    @Test("A trained tokenizer has the suite's special tokens, roles and template")
    func trained() throws {
        let models = try TinyModels.shared()
        let file = try JSONValue(parsing: String(contentsOfFile: "\(models.tokenizer)/tokenizer.json", encoding: .utf8))
        let added = try #require(file["added_tokens"]?.arrayValue)
        #expect(added.map { $0["content"]?.stringValue } == ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
        #expect(added.map { $0["lstrip"]?.boolValue } == [false, false, false, false, true])
        let result = try Command.succeed(["tokenize", models.tokenizer, "The cat"])
        #expect(result.output == "[CLS] The Ġcat [SEP]\n")
    }

    @Test("Training says on standard error what it does, and --json sums it up")
    func trainingReport() throws {
        try withTemporaryFolder { folder in
            let corpus = try write("a b c\n", to: "\(folder)/corpus.txt")
            let arguments = ["tokenizer", "train", corpus, "--vocab-size", "400", "--special", "[Q]", "--json"]
            let result = try Command.succeed(arguments + ["-o", "\(folder)/out"])
            // Five special tokens, [Q], 256 bytes and what the three letters give.
            #expect(try result.document()["vocabulary_size"]?.intValue == 264)
            #expect(result.errors.contains("no pairs are left to merge: vocabulary size 264 instead of 400"))
            let tokens = try Command.succeed(["tokenize", "\(folder)/out", "[Q]a"])
            #expect(tokens.output == "[CLS] [Q] a [SEP]\n")
        }
    }

    @Test("--add-prefix-space and --min-frequency reach the trainer")
    func trainingOptions() throws {
        try withTemporaryFolder { folder in
            let corpus = try write("cat cat\n", to: "\(folder)/corpus.txt")
            let arguments = ["tokenizer", "train", corpus, "--vocab-size", "400", "-o", "\(folder)/out"]
            try Command.succeed(arguments + ["--add-prefix-space", "--min-frequency", "2"])
            #expect(try Command.succeed(["tokenize", "\(folder)/out", "cat"]).output == "[CLS] Ġcat [SEP]\n")
            try Command.succeed(arguments + ["--min-frequency", "3"])
            #expect(try Command.succeed(["tokenize", "\(folder)/out", "cat"]).output == "[CLS] c a t [SEP]\n")
        }
    }

    @Test("JSON lines have ids, tokens and offsets in characters")
    func json() throws {
        let models = try TinyModels.shared()
        let result = try Command.succeed(["tokenize", models.tokenizer, "The cat", "é", "--json"])
        let objects = try result.objects()
        #expect(objects.map { $0.objectValue?.keys } == [["ids", "tokens", "offsets"], ["ids", "tokens", "offsets"]])
        #expect(objects[0]["tokens"] == ["[CLS]", "The", "Ġcat", "[SEP]"])
        #expect(objects[0]["offsets"] == [[0, 0], [0, 3], [3, 7], [0, 0]])
        #expect(objects[0]["ids"]?.arrayValue?.count == 4)
        #expect(objects[1]["offsets"] == [[0, 0], [0, 1], [0, 1], [0, 0]])
    }

    @Test("Special tokens can be left out, and ids be printed instead")
    func flags() throws {
        let models = try TinyModels.shared()
        let tokenizer = models.tokenizer
        #expect(try Command.succeed(["tokenize", tokenizer, "a", "--no-special-tokens"]).output == "a\n")
        let ids = try Command.succeed(["tokenize", tokenizer, "a", "--ids"])
        #expect(ids.output.hasPrefix("1 ") && ids.output.hasSuffix(" 2\n"))
    }

    @Test("Decoding turns ids back into text")
    func decoding() throws {
        let models = try TinyModels.shared()
        let ids = try Command.succeed(["tokenize", models.tokenizer, "The cat sits.", "--ids"]).output
        for input in [ids, "[\(ids.trimmingCharacters(in: .newlines).replacingOccurrences(of: " ", with: ", "))]\n"] {
            let arguments = ["tokenize", models.tokenizer, "--decode"]
            #expect(try Command.succeed(arguments, input: input).output == "[CLS]The cat sits.[SEP]\n")
            let plain = try Command.succeed(arguments + ["--no-special-tokens", "--json"], input: input)
            #expect(try plain.document()["text"] == "The cat sits.")
        }
        try Command.fail(["tokenize", models.tokenizer, "--decode", "1 999"], saying: "token id is \"999\"")
        try Command.fail(["tokenize", models.tokenizer, "--decode", "x"], saying: "token id is \"x\"")
    }

    @Test("Arguments, a file, JSON Lines and standard input give the same texts")
    func inputs() throws {
        let models = try TinyModels.shared()
        let tokenizer = models.tokenizer
        let expected = try Command.succeed(["tokenize", tokenizer, "a cat", "", "é"]).output
        try withTemporaryFolder { folder in
            let lines = try write("a cat\r\n\né", to: "\(folder)/texts.txt")
            let jsonl = "{\"text\":\"a cat\",\"id\":1}\n{\"text\":\"\"}\n{\"text\":\"\\u00e9\"}\n"
            let objects = try write(jsonl, to: "\(folder)/texts.jsonl")
            #expect(try Command.succeed(["tokenize", tokenizer, "--input", lines]).output == expected)
            #expect(try Command.succeed(["tokenize", tokenizer, "-i", objects]).output == expected)
            #expect(try Command.succeed(["tokenize", tokenizer], input: "a cat\n\né\n").output == expected)
            #expect(try Command.succeed(["tokenize", tokenizer, "-"], input: "a cat\n\né\n").output == expected)
            let arguments = ["tokenize", tokenizer, "--input-format", "jsonl"]
            #expect(try Command.succeed(arguments, input: jsonl).output == expected)
        }
    }
}
