import EttinJSON
import EttinTokenizer
import Foundation
import TestSupport
import Testing

/// Tokenizers that are not byte-level BPE with NFC; `Interop/test_tokenizer_types.py` compares larger ones.
@Suite("Types of tokenizers")
struct TokenizerTypesTests {
    private static func file(_ name: String) throws -> JSONObject {
        let fixture = try #require(TokenizerTypesFixture.all.first { $0.name == name })
        return try #require(try JSONValue(parsing: fixture.file).objectValue)
    }

    private static func tokenizer(_ object: JSONObject) throws -> Tokenizer {
        try Tokenizer(tokenizerJSON: JSONValue.object(object).serialized(), location: "here/")
    }

    @Test("Ids, offsets and decodings equal the original's", arguments: TokenizerTypesFixture.all.map(\.name))
    func texts(name: String) throws {
        let fixture = try #require(TokenizerTypesFixture.all.first { $0.name == name })
        let tokenizer = try Tokenizer(tokenizerJSON: Array(fixture.file.utf8))
        for sample in try #require(try JSONValue(parsing: fixture.cases).arrayValue) {
            let text = try #require(sample[0]?.stringValue)
            let encoding = tokenizer.encode(text)
            #expect(encoding.ids == sample[1]?.integers, "\(text)")
            #expect(encoding.offsets == sample[2]?.ranges, "\(text)")
            #expect(tokenizer.encodeIDs(text) == encoding.ids, "\(text)")
            for (skips, position) in [(false, 3), (true, 4)] {
                let decoded = tokenizer.decode(encoding.ids, skipSpecialTokens: skips)
                #expect(sameBytes(decoded, sample[position]?.stringValue), "\(text)")
                var stream = TokenStreamDecoder(tokenizer, skipSpecialTokens: skips)
                let pieces = encoding.ids.map { stream.append($0) }.joined() + stream.finish()
                #expect(sameBytes(pieces, decoded), "\(text)")
            }
        }
    }

    @Test("Saving and loading changes nothing", arguments: TokenizerTypesFixture.all.map(\.name))
    func saving(name: String) throws {
        let object = try Self.file(name)
        try withTemporaryFolder { folder throws in
            try Self.tokenizer(object).save(to: folder)
            #expect(try JSONValue(parsing: try bytes("\(folder)/tokenizer.json")) == .object(object))
        }
    }

    @Test("One word of many megabytes is merged in bounded time, and cut words are merged as whole ones")
    func longWords() throws {
        let tokenizer = try Self.tokenizer(Self.file("gemma"))
        let short = tokenizer.encodeIDs("catcatthecat", addSpecialTokens: false)
        let long = tokenizer.encodeIDs(String(repeating: "catcatthecat", count: 50_000), addSpecialTokens: false)
        #expect(long.count >= short.count * 40_000 && long.count <= short.count * 50_000)
        // A rule across the cut: `n▁` is one token here, so that words may not be cut behind an n.
        var object = try Self.file("gemma")
        var model = try #require(object["model"]?.objectValue)
        var vocabulary = try #require(model["vocab"]?.objectValue)
        vocabulary["n\u{2581}"] = JSONValue(vocabulary.count)
        model["vocab"] = .object(vocabulary)
        model["merges"] = .array((try #require(model["merges"]?.arrayValue)) + [["n", "\u{2581}"]])
        object["model"] = .object(model)
        let joined = try Self.tokenizer(object)
        let id = try #require(joined.tokenToID("n\u{2581}"))
        #expect(joined.encodeIDs("cat n a", addSpecialTokens: false).contains(id))
        #expect(joined.encodeIDs("cat t a", addSpecialTokens: false).count == 5)
    }

    @Test("A text of many megabytes is normalised without places, which ids alone do not need")
    func longTexts() throws {
        var object = try Self.file("gemma")
        object["normalizer"] = [
            "type": "Sequence",
            "normalizers": [
                ["type": "Prepend", "prepend": "\u{2581}"],
                ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"],
            ],
        ]
        object["pre_tokenizer"] = nil
        let tokenizer = try Self.tokenizer(object)
        let short = tokenizer.encode("the cat ", addSpecialTokens: false).ids
        let blank = try #require(tokenizer.tokenToID("\u{2581}"))
        #expect(short.last == blank)
        let text = String(repeating: "the cat ", count: 1_000_000)
        let ids = tokenizer.encodeIDs(text, addSpecialTokens: false)
        #expect(ids.count == 2_000_001 && ids.last == blank)
        #expect(Array(ids.prefix(4)) == Array(short.prefix(2)) + short.prefix(2))
    }

    @Test("Only the first word gets a blank in front, with offsets, without, and from a file")
    func firstWord() throws {
        var object = try Self.file("unigram")
        object["normalizer"] = nil
        object["post_processor"] = nil
        object["pre_tokenizer"] = [
            "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": true,
        ]
        object["added_tokens"] = [["id": 4, "content": "\u{65E5}", "normalized": true]]
        object["model"] = [
            "type": "Unigram", "unk_id": 0,
            "vocab": [["<unk>", 0], ["\u{2581}b", -1], ["\u{2581}", -3], ["b", -2]],
        ]
        let tokenizer = try Self.tokenizer(object)
        let samples: [(text: String, ids: [Int32])] = [
            ("\u{65E5}b", [4, 3]), ("b\u{65E5}b\u{65E5}b", [1, 4, 3, 4, 3]),
        ]
        for (text, expected) in samples {
            #expect(tokenizer.encode(text).ids == expected)
            #expect(tokenizer.encodeIDs(text) == expected)
            try withTemporaryFolder { folder throws in
                try text.write(toFile: "\(folder)/text", atomically: true, encoding: .utf8)
                var ids: [Int32] = []
                try tokenizer.encodeFile("\(folder)/text") { ids += $0 }
                #expect(ids == expected)
            }
        }
    }

    @Test("A token that is added and in the vocabulary, with two texts, has that of where it was found")
    func twoTexts() throws {
        let file: JSONObject = [
            "added_tokens": [["id": 1, "content": "a", "normalized": true]],
            "normalizer": ["type": "Prepend", "prepend": "\u{2581}"],
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false],
            "model": [
                "type": "BPE", "vocab": ["\u{2581}": 0, "a": 1, "b": 2, "Ġ": 3, "â": 4, "ĸ": 5, "ģ": 6], "merges": [],
            ],
        ]
        let tokenizer = try Self.tokenizer(file)
        let made = tokenizer.encode("bab")
        #expect(made.tokens == ["â", "ĸ", "ģ", "b", "a", "b"])
        #expect(made.offsets == [0..<1, 0..<1, 0..<1, 0..<1, 1..<2, 2..<3])
        let added = tokenizer.encode("ab")
        #expect(added.tokens == ["\u{2581}a", "b"] && added.offsets == [0..<1, 1..<2])
    }

    @Test("A rule that joins what is unknown to a blank behind it reaches across cuts")
    func unknownInRules() throws {
        var object = try Self.file("gemma")
        object["normalizer"] = nil
        object["pre_tokenizer"] = nil
        object["post_processor"] = nil
        object["added_tokens"] = nil
        object["model"] = [
            "type": "BPE", "unk_token": "[U]", "vocab": ["[U]": 0, "\u{2581}": 1, "a": 2, "[U]\u{2581}": 3],
            "merges": [["[U]", "\u{2581}"]],
        ]
        #expect(try Self.tokenizer(object).encodeIDs("ax\u{2581}a\u{2581}") == [2, 3, 2, 1])
    }

    @Test("Spaces in decoded texts are cleaned up as tokenizer_config.json says, but not those of BPE")
    func cleanUp() throws {
        let models: [(model: JSONValue, decoded: String)] = [
            (["type": "Unigram", "unk_id": 0, "vocab": [["u", 0], ["a", -1], [".", -1]]], "a."),
            (
                [
                    "type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100, "vocab": ["u": 0, "a": 1, ".": 2],
                ], "a."
            ),
            (["type": "BPE", "unk_token": "u", "vocab": ["u": 0, "a": 1, ".": 2], "merges": []], "a ."),
        ]
        for (model, decoded) in models {
            try withTemporaryFolder { folder throws in
                let file = String(decoding: JSONValue.object(["model": model]).serialized(), as: UTF8.self)
                try file.write(toFile: "\(folder)/tokenizer.json", atomically: true, encoding: .utf8)
                let configuration = #"{"clean_up_tokenization_spaces": true}"#
                try configuration.write(toFile: "\(folder)/tokenizer_config.json", atomically: true, encoding: .utf8)
                let tokenizer = try Tokenizer(folder: folder)
                #expect(tokenizer.decode([1, 2]) == decoded)
                #expect(tokenizer.decode([1, 2], cleanUpTokenizationSpaces: false) == "a .")
            }
        }
    }

    @Test("A space in front is a matter of byte-level tokenizers alone")
    func prefixSpace() throws {
        let bert = try Self.tokenizer(Self.file("bert"))
        #expect(!bert.withPrefixSpace(true).addsPrefixSpace)
        #expect(bert.withPrefixSpace(true).encodeIDs("the cat") == bert.encodeIDs("the cat"))
        let bytes = try Self.tokenizer(Self.file("gpt_4o"))
        #expect(bytes.withPrefixSpace(true).encodeIDs("cat") == bytes.encodeIDs(" cat"))
        var object = try Self.file("gpt_4o")
        object["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": [try #require(object["pre_tokenizer"])]]
        #expect(try Self.tokenizer(object).withPrefixSpace(true).encodeIDs("cat") == bytes.encodeIDs(" cat"))
    }

    @Test("A file is tokenised as one text")
    func files() throws {
        for fixture in TokenizerTypesFixture.all {
            let tokenizer = try Tokenizer(tokenizerJSON: Array(fixture.file.utf8))
            let text = String(repeating: "the cat  sat\non é mats, ", count: 50)
            try withTemporaryFolder { folder throws in
                try text.write(toFile: "\(folder)/text", atomically: true, encoding: .utf8)
                var ids: [Int32] = []
                try tokenizer.encodeFile("\(folder)/text", blockBytes: 64, threads: 2) { ids += $0 }
                #expect(ids == tokenizer.encodeIDs(text, addSpecialTokens: false), "\(fixture.name)")
            }
        }
    }

    struct Broken: CustomTestStringConvertible {
        let type: String
        let path: [String]
        let value: JSONValue?
        let message: String
        var testDescription: String { message }
    }

    @Test(
        "What is impossible or not supported is named with what was found and what would do",
        arguments: [
            Broken(type: "gemma", path: ["model", "type"], value: "WordLevel", message: #"is "WordLevel""#),
            Broken(type: "gemma", path: ["decoder"], value: ["type": "CTC"], message: #""decoder.type" is "CTC""#),
            Broken(type: "gemma", path: ["pre_tokenizer", "behavior"], value: "x", message: "pre_tokenizer.behavior"),
            Broken(type: "gemma", path: ["pre_tokenizer", "pattern"], value: 1, message: "pre_tokenizer.pattern"),
            Broken(
                type: "gemma",
                path: ["normalizer", "pattern"],
                value: ["String": ""],
                message: #""normalizer.pattern.String" is """#
            ),
            Broken(
                type: "gemma",
                path: ["normalizer", "pattern"],
                value: ["String": "a", "Regex": "b"],
                message: "normalizer.pattern"
            ),
            Broken(type: "gemma", path: ["pre_tokenizer", "invert"], value: nil, message: "pre_tokenizer.invert"),
            Broken(
                type: "unigram",
                path: ["post_processor"],
                value: ["type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": true],
                message: "post_processor.add_prefix_space"
            ),
            Broken(
                type: "bert",
                path: ["post_processor", "sep"],
                value: ["[SEP]", 99_999],
                message: #""post_processor.sep" is id 99999"#
            ),
            Broken(type: "gemma", path: ["normalizer", "content"], value: nil, message: "normalizer.content"),
            Broken(type: "gemma", path: ["model", "merges"], value: nil, message: "model.merges"),
            Broken(type: "bert", path: ["model", "unk_token"], value: "x", message: #""model.unk_token" is "x""#),
            Broken(
                type: "bert",
                path: ["model", "max_input_chars_per_word"],
                value: -1,
                message: #""model.max_input_chars_per_word" is -1"#
            ),
            Broken(type: "bert", path: ["model", "continuing_subword_prefix"], value: nil, message: "is missing"),
            Broken(type: "bert", path: ["model", "vocab"], value: [["a", 1]], message: "an object of token ids"),
            Broken(type: "bert", path: ["post_processor", "cls"], value: ["x"], message: "post_processor.cls"),
            Broken(type: "bert", path: ["normalizer", "lowercase"], value: 1, message: "normalizer.lowercase"),
            Broken(type: "unigram", path: ["model", "unk_id"], value: nil, message: #""model.unk_id" is missing"#),
            Broken(type: "unigram", path: ["model", "unk_id"], value: 1e300, message: "model.unk_id"),
            Broken(type: "unigram", path: ["model", "vocab"], value: [["a"]], message: #""model.vocab[0]""#),
            Broken(type: "unigram", path: ["model", "vocab"], value: [["a", nil]], message: "without a score"),
            Broken(type: "unigram", path: ["model", "vocab"], value: ["a": 0], message: "a list of tokens"),
            Broken(
                type: "unigram",
                path: ["normalizer"],
                value: ["type": "Precompiled", "precompiled_charsmap": "/////w=="],
                message: "normalizer.precompiled_charsmap"
            ),
            Broken(type: "unigram", path: ["pre_tokenizer", "replacement"], value: "ab", message: "one character"),
            Broken(
                type: "unigram",
                path: ["decoder"],
                value: ["type": "Strip", "content": " ", "start": 9_999_999, "stop": 0],
                message: #""decoder.start" is 9999999"#
            ),
        ]
    )
    func broken(file: Broken) throws {
        var object = try Self.file(file.type)
        if file.path.count == 1 {
            object[file.path[0]] = file.value
        } else {
            var part = try #require(object[file.path[0]]?.objectValue)
            part[file.path[1]] = file.value
            object[file.path[0]] = .object(part)
        }
        let error = #expect(throws: TokenizerError.self) { try Self.tokenizer(object) }
        let description = try #require(error?.description)
        #expect(description.hasPrefix("here/tokenizer.json: ") && description.contains(file.message), "\(description)")
    }

    @Test(
        "An expression beyond what is supported is refused by its part",
        arguments: [
            ("(?<=a)b", "(?<="), (#"\p{Han}+"#, #"\p{Han}"#), ("(a+)+", "a repetition in a repetition"),
            ("a*", "no characters"),
            ("a{9999}", "{9999}"), ("(a", "an unmatched ("), ("[a", "a class without"), (#"\Gx"#, #"\G"#),
            ("(?:ab)++", "a possessive group"), ("[a&&b]", "&& in a class"), ("[[:alpha:]]", "[ in a class"),
            ("(?:)*", "nothing"), ("a)", "an unmatched )"),
            (#"[\w-x]"#, "-x behind a class"),
        ]
    )
    func expressions(source: String, part: String) throws {
        var object = try Self.file("gemma")
        object["pre_tokenizer"] = [
            "type": "Split", "pattern": ["Regex": .string(source)], "behavior": "Isolated", "invert": false,
        ]
        let error = #expect(throws: TokenizerError.self) { try Self.tokenizer(object) }
        let description = try #require(error?.description)
        #expect(description.contains("pre_tokenizer.pattern.Regex") && description.contains(part), "\(description)")
    }
}
