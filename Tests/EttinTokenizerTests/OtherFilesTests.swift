import EttinJSON
import EttinTokenizer
import TestSupport
import Testing

/// What other files than `tokenizer.json` say of tokens; values from transformers 5.23.
@Suite("Tokens of other files")
struct OtherFilesTests {
    private static let text = "the <extra> cat [MASK] at"

    private func tokenizer(
        _ configuration: JSONValue = [:],
        map: JSONValue? = nil,
        added: JSONValue? = nil
    ) throws -> Tokenizer {
        try Tokenizer(
            tokenizerJSON: smallTokenizerJSON(),
            tokenizerConfig: configuration.serialized(),
            specialTokensMap: map?.serialized(),
            addedTokens: added?.serialized()
        )
    }

    private func token(_ content: String, strips: Bool = false) -> JSONValue {
        [
            "content": .string(content), "lstrip": .bool(strips), "rstrip": .bool(strips), "single_word": false,
            "normalized": false, "special": true,
        ]
    }

    @Test("A token that only one of the other files knows is a token")
    func addedByOtherFiles() throws {
        let plain = try tokenizer()
        #expect(plain.tokenToID("<extra>") == nil)
        let next = Int32(plain.vocabularySize)
        let tokenizers = try [
            tokenizer(["added_tokens_decoder": ["344": token("<extra>")]]), tokenizer(["mask_token": "<extra>"]),
            tokenizer(["extra_special_tokens": ["<extra>"]]), tokenizer(["additional_special_tokens": ["<extra>"]]),
            tokenizer(["extra_special_tokens": ["image_token": "<extra>"]]), tokenizer(["image_token": "<extra>"]),
            tokenizer(map: ["mask_token": "<extra>"]), tokenizer(map: ["additional_special_tokens": ["<extra>"]]),
            tokenizer(added: ["<extra>": 344]),
        ]
        for tokenizer in tokenizers {
            #expect(tokenizer.tokenToID("<extra>") == next && tokenizer.encodeIDs(Self.text).contains(next))
            #expect(tokenizer.vocabularySize == plain.vocabularySize + 1)
            let folder = try TemporaryFolder()
            try tokenizer.save(to: folder.path)
            let saved = try Tokenizer(folder: folder.path)
            #expect(saved.encodeIDs(Self.text) == tokenizer.encodeIDs(Self.text))
        }
    }

    @Test("With a list of added tokens in the configuration, the older files do not count")
    func precedence() throws {
        let configuration: JSONValue = ["added_tokens_decoder": ["4": token("[MASK]")]]
        let both = try tokenizer(configuration, map: ["mask_token": "<extra>"], added: ["<extra>": 344])
        #expect(both.tokenToID("<extra>") == nil && both.maskTokenID == nil)
    }

    @Test("Flags of the configuration replace those of tokenizer.json")
    func flags() throws {
        let ids = try tokenizer().encodeIDs("a [MASK] at")
        let stripped = try tokenizer(["added_tokens_decoder": ["4": token("[MASK]", strips: true)]])
        #expect(stripped.encodeIDs("a [MASK] at") == stripped.encodeIDs("a[MASK]at"))
        #expect(ids != stripped.encodeIDs("a [MASK] at"))
    }

    @Test("An id that is not the token's is named")
    func otherIDs() throws {
        let tokenizer = try tokenizer(["added_tokens_decoder": ["400": token("<extra>")]])
        #expect(tokenizer.tokenToID("<extra>") == 344)
        #expect(tokenizer.notices.contains { $0.contains("\"<extra>\" the id 400, but it is 344") })
        #expect(try self.tokenizer(["added_tokens_decoder": ["344": token("<extra>")]]).notices.isEmpty)
    }

    @Test(
        "What is not done is refused, and what has no effect is named",
        arguments: [
            (#"{"split_special_tokens": true}"#, "split_special_tokens"),
            (#"{"model_max_length": 0}"#, "model_max_length"), (#"{"model_max_length": "512"}"#, "model_max_length"),
            (#"{"model_max_length": 12.5}"#, "model_max_length"), (#"{"truncation_side": "up"}"#, "truncation_side"),
            (#"{"added_tokens_decoder": {"x": {"content": "a"}}}"#, "added_tokens_decoder.x"),
            (#"{"added_tokens_decoder": {"7": "a"}}"#, "added_tokens_decoder.7"),
            (#"{"added_tokens_decoder": []}"#, "added_tokens_decoder"),
        ]
    )
    func refused(configuration: String, field: String) throws {
        #expect {
            try Tokenizer(tokenizerJSON: smallTokenizerJSON(), tokenizerConfig: Array(configuration.utf8))
        } throws: {
            "\($0)".contains("tokenizer_config.json") && "\($0)".contains(field)
        }
    }

    @Test("Keys without effect are named")
    func notices() throws {
        let notices = try tokenizer([
            "tokenizer_class": "BertTokenizer", "add_prefix_space": true, "do_lower_case": true,
            "clean_up_tokenization_spaces": true, "truncation_side": "left",
        ]).notices
        #expect(notices.count == 3)
        #expect(try tokenizer(["truncation_side": "left"]).truncatesLeft)
    }

    @Test("A member of tokenizer.json that the original does not know is refused")
    func unknownMember() throws {
        var object = try #require(try JSONValue(parsing: smallTokenizerJSON()).objectValue)
        object["normaliser"] = nil
        object["extra"] = 1
        #expect {
            try Tokenizer(tokenizerJSON: JSONValue.object(object).serialized())
        } throws: {
            "\($0)".contains("\"extra\" is there, which is not supported")
        }
    }
}
