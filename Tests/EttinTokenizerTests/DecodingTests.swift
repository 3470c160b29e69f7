import EttinJSON
import EttinTokenizer
import Testing

@Suite("Decoding")
struct DecodingTests {
    @Test("Decoding gives the text back, whatever it is")
    func roundTrip() throws {
        let tokenizer = try smallTokenizer(replacing: ["normalizer": nil])
        for text in ["", " ", "the  cat\r\n", "e\u{301}", "日本語 😀", "\0\u{7F}\u{FFFD}", "한국어", "ไทย", "العربية"] {
            #expect(sameBytes(tokenizer.decode(tokenizer.encodeIDs(text, addSpecialTokens: false)), text))
        }
    }

    @Test("Ids that do not exist are left out")
    func unknownIDs() throws {
        let tokenizer = try smallTokenizer()
        let the = tokenizer.encodeIDs("the", addSpecialTokens: false)
        #expect(tokenizer.decode([-1, Int(Int32.max), 1 << 40, 99999].map { Int($0) } + the.map { Int($0) }) == "the")
        #expect(tokenizer.decode([UInt64.max]) == "")
    }

    @Test("Special tokens are left out when asked for")
    func skipsSpecialTokens() throws {
        let tokenizer = try smallTokenizer()
        let ids = tokenizer.encodeIDs("the [MASK] cat")
        #expect(tokenizer.decode(ids) == "[CLS]the[MASK] cat[SEP]")
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "the cat")
    }

    @Test("Spaces are cleaned up only when asked for")
    func cleanUp() throws {
        let tokenizer = try smallTokenizer(configuration: ["clean_up_tokenization_spaces": true])
        let text = "it 's , we 've n't . x ' y ? 're !"
        let ids = tokenizer.encodeIDs(text, addSpecialTokens: false)
        #expect(tokenizer.decode(ids) == text)
        #expect(tokenizer.decode(ids, cleanUpTokenizationSpaces: true) == "it's, we'ven't. x'y?'re!")
    }

    @Test(
        "A stream of tokens gives the same text and never half a character",
        arguments: ["héllo 日本語 😀👨‍👩‍👧", "\u{FFFD}", "ascii", "e\u{301}한"]
    )
    func streaming(text: String) throws {
        let tokenizer = try smallTokenizer(replacing: ["normalizer": nil])
        let ids = tokenizer.encodeIDs(text)
        var decoder = TokenStreamDecoder(tokenizer, skipSpecialTokens: true)
        var pieces = ids.map { decoder.append($0) }
        #expect(pieces.allSatisfy { text.contains("\u{FFFD}") || !$0.contains("\u{FFFD}") })
        pieces.append(decoder.finish())
        #expect(sameBytes(pieces.joined(), text))
    }

    @Test("Broken sequences in a stream are replaced as in one piece")
    func streamingInvalidBytes() throws {
        let tokenizer = try smallTokenizer(replacing: ["normalizer": nil])
        // One token per byte: the bytes of "é", "€" and "😀" in every order of three.
        let parts: [[Int32]] = ["é", "€", "😀"].map { tokenizer.encodeIDs($0, addSpecialTokens: false) }
        let pool = parts.flatMap { $0 }
        for first in pool {
            for second in pool {
                for third in pool {
                    let ids = [first, second, third]
                    var decoder = TokenStreamDecoder(tokenizer)
                    let streamed = ids.map { decoder.append($0) }.joined() + decoder.finish()
                    #expect(sameBytes(streamed, tokenizer.decode(ids)))
                }
            }
        }
    }

    @Test("Without a decoder, tokens are joined by spaces")
    func withoutDecoder() throws {
        let tokenizer = try smallTokenizer(replacing: ["decoder": nil])
        let ids = tokenizer.encodeIDs("a b", addSpecialTokens: false)
        #expect(tokenizer.decode(ids) == "a Ġ b")
        var decoder = TokenStreamDecoder(tokenizer)
        #expect(ids.map { decoder.append($0) }.joined() + decoder.finish() == "a Ġ b")
    }
}
