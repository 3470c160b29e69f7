import EttinJSON
import EttinTokenizer
import Testing

@Suite("Encoding")
struct EncodingTests {
    @Test("Ids, offsets, tokens, pairs and decodings equal the original's", .tags(.golden))
    func fixtureCases() throws {
        let tokenizer = try smallTokenizer()
        let cases = try #require(try JSONValue(parsing: SmallTokenizerFixture.cases).arrayValue)
        #expect(cases.count > 20)
        for golden in cases {
            let text = try #require(golden["text"]?.stringValue)
            let encoding = tokenizer.encode(text, addSpecialTokens: false)
            #expect(encoding.ids == golden["ids"]?.integers, "\(text)")
            #expect(encoding.offsets == golden["offsets"]?.ranges, "\(text)")
            #expect(JSONValue.array(encoding.tokens.map { .string($0) }) == golden["tokens"], "\(text)")
            #expect(tokenizer.encodeIDs(text, addSpecialTokens: false) == encoding.ids, "\(text)")
            #expect(tokenizer.encode(utf8: Array(text.utf8), addSpecialTokens: false).ids == encoding.ids)
            #expect(sameBytes(tokenizer.decode(encoding.ids), golden["decoded"]?.stringValue), "\(text)")
            let plain = tokenizer.decode(encoding.ids, skipSpecialTokens: true)
            #expect(sameBytes(plain, golden["decoded_skip_special"]?.stringValue), "\(text)")
            let pair = tokenizer.encode(text, pair: "the cat")
            #expect(pair.ids == golden["pair_ids"]?.integers)
            #expect(pair.typeIDs == golden["pair_type_ids"]?.integers)
            #expect(pair.specialTokensMask.map { $0 ? 1 : 0 } == golden["pair_special"]?.integers)
            #expect(tokenizer.encodeIDs(text, pair: "the cat") == pair.ids)
        }
    }

    @Test(
        "Ill-formed UTF-8 is read as the replacement character, once per maximal part",
        arguments: [
            ([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xE2, 0x82], "\u{FFFD}"),
            ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xF0, 0x9F, 0x98, 0x20], "\u{FFFD} "), ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"), ([0x80], "\u{FFFD}"),
        ] as [([UInt8], String)]
    )
    func invalidUTF8(bytes: [UInt8], repaired: String) throws {
        let tokenizer = try smallTokenizer()
        let encoding = tokenizer.encode(utf8: bytes)
        #expect(encoding.ids == tokenizer.encode(repaired).ids)
        #expect(encoding.offsets == tokenizer.encode(repaired).offsets)
    }

    @Test("Canonically equivalent tokens stay different tokens")
    func keysAreBytes() throws {
        let tokenizer = try Tokenizer(
            tokenizerJSON: Array(
                """
                {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"},
                 "added_tokens": [{"content": "\u{e9}"}, {"content": "e\u{301}"}]}
                """.utf8
            )
        )
        #expect(tokenizer.tokenToID("\u{e9}") == 1 && tokenizer.tokenToID("e\u{301}") == 2)
        #expect(tokenizer.encodeIDs("e\u{301}\u{e9}") == [2, 1])
        #expect(tokenizer.vocabularySize == 3)
    }

    @Test("Words longer than the linear limit merge as short ones do", arguments: [1, 95, 96, 97, 98, 5000])
    func longWords(length: Int) throws {
        let vocabulary: JSONValue = ["a": 0, "b": 1, "aa": 2, "aaaa": 3, "ab": 4, "aab": 5]
        let merges: JSONValue = [["a", "b"], ["a", "a"], ["aa", "aa"], ["aa", "b"]]
        let tokenizer = try smallTokenizer(
            replacing: ["added_tokens": [], "post_processor": nil],
            model: ["vocab": vocabulary, "merges": merges]
        )
        let ids = tokenizer.encodeIDs(String(repeating: "a", count: length))
        let rest: [[Int32]] = [[], [0], [2], [2, 0]]
        #expect(ids == Array(repeating: 3, count: length / 4) + rest[length % 4])
        let encoding = tokenizer.encode(String(repeating: "a", count: length))
        #expect(encoding.offsets.last?.upperBound == length)
        #expect(tokenizer.encodeIDs(String(repeating: "a", count: length) + "b").last == 4)
    }

    @Test("Bytes that the vocabulary lacks vanish, or become the unknown token, fused if asked for")
    func missingBytes() throws {
        let vocabulary: JSONValue = ["u": 0, "a": 1, "b": 2, "ab": 3]
        func ids(_ model: [String: JSONValue]) throws -> [Int32] {
            var model = model
            model["vocab"] = vocabulary
            model["merges"] = [["a", "b"]]
            return try smallTokenizer(replacing: ["added_tokens": [], "post_processor": nil], model: model)
                .encodeIDs("xyabxab")
        }
        #expect(try ids([:]) == [3, 3])
        #expect(try ids(["unk_token": "u"]) == [0, 0, 3, 0, 3])
        #expect(try ids(["unk_token": "u", "fuse_unk": true]) == [0, 3, 0, 3])
        #expect(throws: TokenizerError.self) { try ids(["unk_token": "nowhere"]) }
    }

    @Test("A word that is a token is taken whole when merges are ignored")
    func ignoresMerges() throws {
        let model: [String: JSONValue] = [
            "vocab": ["a": 0, "b": 1, "c": 2, "abc": 3, "ab": 4], "merges": [["a", "b"]], "ignore_merges": true,
        ]
        let tokenizer = try smallTokenizer(replacing: ["added_tokens": [], "post_processor": nil], model: model)
        #expect(tokenizer.encodeIDs("abc") == [3])
        #expect(tokenizer.encodeIDs("abcc") == [4, 2, 2])
    }

    @Test("Many threads encode with one tokenizer at the same time")
    func concurrentUse() async throws {
        let tokenizer = try smallTokenizer()
        let texts = (0..<64).map { "the cat \($0) sat on e\u{301} \($0 * 977) [MASK]" }
        let expected = texts.map { tokenizer.encode($0).ids }
        await withTaskGroup { group in
            for _ in 0..<16 {
                group.addTask { texts.map { tokenizer.encode($0).ids } }
            }
            for await ids in group { #expect(ids == expected) }
        }
    }

    @Test("Batches of none, one and many equal single texts", arguments: [0, 1, 2, 1000])
    func batches(count: Int) throws {
        let tokenizer = try smallTokenizer()
        let texts = (0..<count).map { "text \($0) \(String(repeating: "the ", count: $0 % 17))" }
        let pairs = texts.map { (text: $0, pair: "dog") }
        #expect(tokenizer.encodeBatch(texts, threads: 3).map(\.ids) == texts.map { tokenizer.encode($0).ids })
        #expect(tokenizer.encodeIDsBatch(texts, threads: 3) == texts.map { tokenizer.encodeIDs($0) })
        #expect(
            tokenizer.encodeBatch(pairs: pairs, threads: 3).map(\.ids)
                == texts.map { tokenizer.encode($0, pair: "dog").ids }
        )
    }
}
