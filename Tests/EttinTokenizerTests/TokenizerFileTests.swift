import EttinJSON
import EttinTokenizer
import Foundation
import Testing

@Suite("tokenizer.json")
struct TokenizerFileTests {
    @Test("Merges are read as pairs and as lines")
    func mergeForms() throws {
        let file = try JSONValue(parsing: SmallTokenizerFixture.tokenizerJSON)
        let pairs = try #require(file["model"]?["merges"]?.arrayValue)
        let lines = pairs.map { JSONValue.string("\($0[0]?.stringValue ?? "") \($0[1]?.stringValue ?? "")") }
        let tokenizer = try smallTokenizer(model: ["merges": .array(["#version: 0.2"] + lines)])
        let text = "the cat don't café 日本語"
        #expect(try tokenizer.encodeIDs(text) == smallTokenizer().encodeIDs(text))
    }

    @Test("Members may come in any order")
    func memberOrder() throws {
        let file = try #require(try JSONValue(parsing: SmallTokenizerFixture.tokenizerJSON).objectValue)
        let model = try #require(file["model"]?.objectValue)
        var reversed = JSONObject(file.members.reversed().map { ($0.key, $0.value) })
        reversed["model"] = .object(JSONObject(model.members.reversed().map { ($0.key, $0.value) }))
        let tokenizer = try Tokenizer(tokenizerJSON: JSONValue.object(reversed).serialized())
        #expect(try tokenizer.encodeIDs("the cat") == smallTokenizer().encodeIDs("the cat"))
    }

    @Test("Saving and loading changes nothing")
    func saving() throws {
        try withTemporaryFolder { folder throws in
            let tokenizer = try smallTokenizer(configuration: ["mask_token": "[MASK]", "x": 1e30])
            try tokenizer.save(to: "\(folder)/a/b")
            let reloaded = try Tokenizer(folder: "\(folder)/a/b")
            #expect(reloaded.maskTokenID == 4)
            #expect(reloaded.configuration["x"] == 1e30)
            #expect(reloaded.encodeIDs("the [MASK] zz    x") == tokenizer.encodeIDs("the [MASK] zz    x"))
            let saved = try JSONValue(parsing: try bytes("\(folder)/a/b/tokenizer.json"))
            #expect(try saved == JSONValue(parsing: SmallTokenizerFixture.tokenizerJSON))
            try tokenizer.withPrefixSpace(true).save(to: folder)
            #expect(try Tokenizer(folder: folder).addsPrefixSpace)
        }
    }

    struct BadFile: CustomTestStringConvertible {
        let members: [String: JSONValue]
        var model: [String: JSONValue] = [:]
        let message: String
        var testDescription: String { message }
    }

    @Test(
        "What is not supported is named with what was found and what would do",
        arguments: [
            BadFile(members: ["normalizer": ["type": "Uppercase"]], message: #""normalizer.type" is "Uppercase""#),
            BadFile(members: ["normalizer": 3], message: #""normalizer.type" is 3"#),
            BadFile(
                members: ["normalizer": ["type": "Sequence", "normalizers": [["type": "ByteLevel"]]]],
                message: #""normalizer.normalizers[0].type" is "ByteLevel""#
            ),
            BadFile(members: ["pre_tokenizer": 3], message: #""pre_tokenizer.type" is 3"#),
            BadFile(
                members: ["pre_tokenizer": ["type": "UnicodeScripts"]],
                message: #""pre_tokenizer.type" is "UnicodeScripts""#
            ),
            BadFile(members: ["pre_tokenizer": ["type": "Sequence"]], message: #""pre_tokenizer.pretokenizers""#),
            BadFile(members: ["decoder": ["type": "WordPiece"]], message: #""decoder.prefix" is missing"#),
            BadFile(members: ["post_processor": ["type": "BertProcessing"]], message: "post_processor.cls"),
            BadFile(members: ["post_processor": ["type": "TemplateProcessing"]], message: "post_processor.single"),
            BadFile(members: ["added_tokens": 1], message: #""added_tokens" is a number"#),
            BadFile(members: ["added_tokens": [["id": 1]]], message: #""added_tokens[0].content" is missing"#),
            BadFile(members: ["added_tokens": [["content": "x", "lstrip": 1]]], message: "added_tokens[0].lstrip"),
            BadFile(members: [:], model: ["type": "WordLevel"], message: #""model.type" is "WordLevel""#),
            BadFile(members: [:], model: ["dropout": 0.1], message: #""model.dropout" is 0.1"#),
            BadFile(members: [:], model: ["byte_fallback": 1], message: "model.byte_fallback"),
            BadFile(members: [:], model: ["end_of_word_suffix": "</w>"], message: "model.end_of_word_suffix"),
            BadFile(members: [:], model: ["ignore_merges": "no"], message: "model.ignore_merges"),
            BadFile(members: [:], model: ["vocab": 3], message: #""model.vocab" is a number"#),
            BadFile(members: [:], model: ["vocab": []], message: "an object of token ids"),
            BadFile(members: [:], model: ["vocab": ["a": -1]], message: #""model.vocab.a" is -1"#),
            BadFile(members: [:], model: ["vocab": ["a": 99_999_999]], message: "model.vocab.a"),
            BadFile(members: [:], model: ["vocab": ["a": 0, "b": 0]], message: "an id of its own"),
            BadFile(members: [:], model: ["merges": [["a"]]], message: #""model.merges[0]" is a list of 1"#),
            BadFile(members: [:], model: ["merges": ["a b c"]], message: #""model.merges[0]""#),
            BadFile(members: [:], model: ["merges": [["a", "nowhere"]]], message: "in the vocabulary"),
            BadFile(members: ["model": nil], message: "model"),
            BadFile(
                members: [
                    "post_processor": [
                        "type": "TemplateProcessing",
                        "single": [["SpecialToken": ["id": "x"]], ["Sequence": ["id": "A"]]],
                        "pair": [["Sequence": ["id": "A"]], ["Sequence": ["id": "B"]]],
                        "special_tokens": ["x": ["ids": [99_999]]],
                    ]
                ],
                message: "id 99999, which no token has"
            ),
        ]
    )
    func badFiles(file: BadFile) throws {
        var object = try #require(try JSONValue(parsing: SmallTokenizerFixture.tokenizerJSON).objectValue)
        if var model = object["model"]?.objectValue {
            for (key, value) in file.model { model[key] = value }
            object["model"] = .object(model)
        }
        for (key, value) in file.members { object[key] = value }
        let error = #expect(throws: TokenizerError.self) {
            try Tokenizer(tokenizerJSON: JSONValue.object(object).serialized(), location: "here/")
        }
        let description = try #require(error?.description)
        #expect(description.hasPrefix("here/tokenizer.json: ") && description.contains(file.message), "\(description)")
    }

    @Test(
        "Broken JSON is an error with its position",
        arguments: ["", "[]", "{", "{\"model\": {\"vocab\": {\"a\": 1.5}}}"]
    )
    func brokenJSON(text: String) {
        #expect(throws: TokenizerError.self) { try Tokenizer(tokenizerJSON: Array(text.utf8)) }
    }

    @Test("An added token that would share its id is refused, and so is an id far beyond the tokens")
    func impossibleIDs() throws {
        let model: [String: JSONValue] = ["vocab": ["a": 0, "b": 2], "merges": [], "unk_token": nil]
        let added: JSONValue = [["content": "[M]"]]
        let shared = #expect(throws: TokenizerError.self) {
            try smallTokenizer(replacing: ["added_tokens": added, "post_processor": nil], model: model)
        }
        #expect(shared?.description.contains("\"[M]\" numbered 2 behind the vocabulary, as \"b\" is") == true)
        let far = #expect(throws: TokenizerError.self) {
            try smallTokenizer(
                replacing: ["added_tokens": [], "post_processor": nil],
                model: ["vocab": ["a": 0, "b": 16_000_000], "merges": [], "unk_token": nil]
            )
        }
        #expect(far?.description.contains("is 16000000; expected at most 1048584, as there are 2 tokens") == true)
    }

    @Test("Inputs that the fuzzer found interesting are read or refused, never crash")
    func fuzzerSeeds() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = root.appending(path: "Fuzz/seeds/tokenizer").path
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count > 5)
        let small = try smallTokenizer()
        for name in names {
            // The first byte tells the fuzzer what to feed; here all get everything.
            let input = Array(try bytes("\(folder)/\(name)").dropFirst())
            if let value = try? JSONValue(parsing: input) {
                #expect(try JSONValue(parsing: value.serialized()) == value, "\(name)")
            }
            var tokenizers = [small]
            if let tokenizer = try? Tokenizer(tokenizerJSON: input) { tokenizers.append(tokenizer) }
            for tokenizer in tokenizers {
                let encoding = tokenizer.encode(utf8: input)
                let characters = String(decoding: input, as: UTF8.self).unicodeScalars.count
                #expect(encoding.offsets.allSatisfy { $0.upperBound <= characters }, "\(name)")
                #expect(encoding.ids.allSatisfy { tokenizer.idToToken($0) != nil }, "\(name)")
            }
        }
    }

    @Test("A missing folder is an error that names the file")
    func missingFolder() throws {
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(folder: "/nonexistent") }
        #expect(error?.description.hasPrefix("/nonexistent/tokenizer.json: ") == true)
    }

    @Test("A malformed configuration is an error, an absent one is not")
    func malformedConfiguration() throws {
        #expect(throws: TokenizerError.self) {
            try Tokenizer(tokenizerJSON: smallTokenizerJSON(), tokenizerConfig: Array("{".utf8))
        }
        #expect(throws: TokenizerError.self) {
            try Tokenizer(tokenizerJSON: smallTokenizerJSON(), tokenizerConfig: Array("[]".utf8))
        }
        #expect(try smallTokenizer().configuration.isEmpty)
    }
}
