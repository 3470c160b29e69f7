import EttinJSON
import EttinTokenizer
import Testing

@Suite("Special tokens and settings")
struct SpecialTokenTests {
    private let configuration: JSONValue = [
        "bos_token": "[CLS]", "eos_token": ["content": "[SEP]", "lstrip": false], "mask_token": ["content": "[MASK]"],
        "pad_token": nil, "model_max_length": 7999,
    ]

    @Test("Special tokens are given as strings or objects")
    func tokenIDs() throws {
        let tokenizer = try smallTokenizer(configuration: configuration)
        #expect(tokenizer.bosTokenID == 1 && tokenizer.eosTokenID == 2 && tokenizer.maskTokenID == 4)
        #expect(tokenizer.padTokenID == nil && tokenizer.clsTokenID == nil)
        #expect(tokenizer.modelMaxLength == 7999)
        #expect(tokenizer.isSpecial(4) && !tokenizer.isSpecial(5) && !tokenizer.isSpecial(-1))
        #expect(!tokenizer.isSpecial(.max))
    }

    @Test("The special tokens map wins unless the configuration lists added tokens")
    func specialTokensMap() throws {
        let map: JSONValue = ["mask_token": ["content": "[MASK]"], "cls_token": "[SEP]"]
        for (configuration, cls) in [
            (#"{"cls_token": "[CLS]"}"#, 2), (#"{"cls_token": "[CLS]", "added_tokens_decoder": {}}"#, 1),
        ] {
            let tokenizer = try Tokenizer(
                tokenizerJSON: smallTokenizerJSON(),
                tokenizerConfig: Array(configuration.utf8),
                specialTokensMap: map.serialized()
            )
            #expect(tokenizer.clsTokenID == Int32(cls) && tokenizer.maskTokenID == (cls == 2 ? 4 : nil))
        }
    }

    @Test("add_bos_token or add_eos_token replace the template; the switch replaces both")
    func bosAndEOS() throws {
        var decoder = try #require(configuration.objectValue)
        decoder["add_bos_token"] = true
        let tokenizer = try smallTokenizer(configuration: .object(decoder))
        #expect(tokenizer.specialTokenRule == .bosEOS(addBOS: true, addEOS: false))
        let plain = tokenizer.encodeIDs("the", addSpecialTokens: false)
        #expect(tokenizer.encodeIDs("the") == [1] + plain)
        let pair = tokenizer.encode("the", pair: "the")
        #expect(pair.ids == [1] + plain + [1] + plain)
        #expect(pair.typeIDs == [0] + plain.map { _ in 0 } + [1] + plain.map { _ in 1 })
        let both = tokenizer.withSpecialTokens(.bosEOS(addBOS: true, addEOS: true))
        #expect(both.encodeIDs("the") == [1] + plain + [2])
        let template = tokenizer.withSpecialTokens(.template)
        #expect(template.encodeIDs("the") == [1] + plain + [2])
        #expect(template.encode("the").specialTokensMask == [true] + plain.map { _ in false } + [true])
        #expect(template.encode("the", addSpecialTokens: false).ids == plain)
    }

    @Test("A maximal length of 10^30 means none")
    func unlimitedLength() throws {
        for text in ["1000000000000000019884624838656", "1e30", "null"] {
            let tokenizer = try Tokenizer(
                tokenizerJSON: smallTokenizerJSON(),
                tokenizerConfig: Array("{\"model_max_length\": \(text)}".utf8)
            )
            #expect(tokenizer.modelMaxLength == nil)
        }
    }

    @Test("Truncation and padding are read and never applied")
    func truncationAndPadding() throws {
        let truncation: JSONValue = ["max_length": 2]
        let tokenizer = try smallTokenizer(replacing: ["truncation": truncation, "padding": ["length": 9]])
        #expect(tokenizer.truncation == truncation)
        #expect(tokenizer.padding["length"] == 9)
        #expect(tokenizer.encode("the cat sat on the mat").count > 2)
    }

    @Test("Trimmed offsets leave out white space")
    func trimmedOffsets() throws {
        let byteLevel: JSONValue = ["type": "ByteLevel", "trim_offsets": true, "add_prefix_space": false]
        let trimmed = try smallTokenizer(replacing: ["post_processor": byteLevel])
        let plain = try smallTokenizer(replacing: ["post_processor": nil])
        #expect(plain.encode("  [MASK]\u{a0}x").offsets == [0..<8, 8..<9, 8..<9, 9..<10])
        #expect(trimmed.encode("  [MASK]\u{a0}x").offsets == [2..<8, 8..<9, 8..<9, 9..<10])
        #expect(plain.encode("x", pair: "x").typeIDs == [0, 1])
    }
}
