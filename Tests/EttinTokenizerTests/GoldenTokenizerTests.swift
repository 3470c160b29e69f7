import EttinJSON
import EttinTokenizer
import TestSupport
import Testing

@Suite(
    "The published tokenizer",
    .tags(.golden),
    .enabled(if: SharedData.isAvailable, "skipped: needs the shared data folder (ETTIN_SHARED or ../shared)")
)
struct GoldenTokenizerTests {
    /// Loaded once: a debug build takes seconds for it.
    private static let loaded = Result {
        try Tokenizer(folder: "\(SharedData.folder ?? "")/data/tokenizer/modernbert")
    }

    private let tokenizer: Tokenizer

    init() throws {
        tokenizer = try Self.loaded.get()
    }

    @Test("Ids, offsets and decodings equal the original's")
    func goldenTexts() throws {
        let cases = try SharedData.lines("data/tokenizer/golden.jsonl")
        #expect(cases.count > 200)
        for golden in cases {
            let text = try #require(golden["text"]?.stringValue)
            let encoding = tokenizer.encode(text, addSpecialTokens: false)
            #expect(encoding.ids == golden["ids"]?.integers, "\(text)")
            #expect(encoding.offsets == golden["offsets"]?.ranges, "\(text)")
            #expect(tokenizer.encodeIDs(text, addSpecialTokens: false) == encoding.ids, "\(text)")
            #expect(sameBytes(tokenizer.decode(encoding.ids), golden["decoded"]?.stringValue), "\(text)")
            #expect(
                sameBytes(
                    tokenizer.decode(encoding.ids, skipSpecialTokens: true),
                    golden["decoded_skip_special"]?.stringValue
                ),
                "\(text)"
            )
        }
    }

    @Test("Pairs get special tokens and type ids as the original gives them")
    func goldenPairs() throws {
        for golden in try SharedData.lines("data/tokenizer/golden_pairs.jsonl") {
            let encoding = tokenizer.encode(
                try #require(golden["text"]?.stringValue),
                pair: try #require(golden["pair"]?.stringValue)
            )
            #expect(encoding.ids == golden["ids"]?.integers)
            #expect(encoding.typeIDs == golden["type_ids"]?.integers)
        }
    }

    @Test("A batch on several threads gives what single texts give, in order")
    func goldenBatch() throws {
        let texts = try SharedData.lines("data/tokenizer/golden.jsonl").compactMap { $0["text"]?.stringValue }
        let single = texts.map { tokenizer.encodeIDs($0) }
        for threads in [1, 2, 7] {
            #expect(tokenizer.encodeIDsBatch(texts, threads: threads) == single)
            #expect(tokenizer.encodeBatch(texts, threads: threads).map(\.ids) == single)
        }
        #expect(tokenizer.encodeBatch(texts.reversed(), threads: 2).map(\.ids) == single.reversed())
    }

    @Test("A space may be put in front of each text, as pre-training did")
    func prefixSpace() {
        let prefixed = tokenizer.withPrefixSpace(true)
        #expect(prefixed.encodeIDs("Hello[MASK]world", addSpecialTokens: false) == [24387, 50284, 1533])
        #expect(prefixed.encodeIDs("a  b", addSpecialTokens: false) == [247, 50276, 270])
        #expect(tokenizer.encodeIDs("Hello world", addSpecialTokens: false) == [12092, 1533])
    }

    @Test("Special tokens, sizes and limits are those of the files")
    func specialTokens() {
        #expect(tokenizer.vocabularySize == 50368)
        #expect(tokenizer.unkTokenID == 50280 && tokenizer.clsTokenID == 50281 && tokenizer.sepTokenID == 50282)
        #expect(tokenizer.padTokenID == 50283 && tokenizer.maskTokenID == 50284)
        #expect(tokenizer.bosTokenID == nil && tokenizer.eosTokenID == nil)
        #expect(tokenizer.modelMaxLength == nil)
        #expect(tokenizer.tokenToID("[unused82]") == 50367 && tokenizer.idToToken(50367) == "[unused82]")
        #expect(tokenizer.idToToken(50368) == nil && tokenizer.idToToken(-1) == nil)
    }

    @Test("Saving writes the published files byte for byte")
    func savesPublishedFiles() throws {
        let source = "\(try #require(SharedData.folder))/data/tokenizer/modernbert"
        try withTemporaryFolder { folder throws in
            try tokenizer.save(to: "\(folder)/new")
            for name in ["tokenizer.json", "tokenizer_config.json"] {
                let saved = try bytes("\(folder)/new/\(name)")
                #expect(try saved == bytes("\(source)/\(name)"), "\(name)")
            }
        }
    }
}

@Suite(
    "The tokenizer of Gemma's type",
    .tags(.golden),
    .enabled(if: SharedData.isAvailable, "skipped: needs the shared data folder (ETTIN_SHARED or ../shared)")
)
struct GoldenGemmaTests {
    @Test("Ids, offsets and decodings equal the original's")
    func goldenTexts() throws {
        let folder = try #require(SharedData.folder) + "/golden/descendants/mmbert-like"
        let tokenizer = try Tokenizer(folder: folder)
        let cases = try JSONValue(parsing: try bytes("\(folder)/expected.json"))["tokenizer_cases"]?.arrayValue ?? []
        #expect(cases.count == 16)
        for golden in cases {
            let text = try #require(golden["text"]?.stringValue)
            let encoding = tokenizer.encode(text)
            #expect(encoding.ids == golden["ids"]?.integers, "\(text)")
            #expect(encoding.offsets == golden["offsets"]?.ranges, "\(text)")
            let decoded = tokenizer.decode(encoding.ids, skipSpecialTokens: true)
            #expect(sameBytes(decoded, golden["decoded"]?.stringValue), "\(text)")
        }
    }
}
