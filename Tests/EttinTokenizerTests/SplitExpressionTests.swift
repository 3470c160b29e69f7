import EttinJSON
import EttinTokenizer
import Testing

/// What split expressions match, by the words that they cut texts into; the values are those of tokenizers 0.23.3.
@Suite("Split expressions")
struct SplitExpressionTests {
    /// A tokenizer that makes one token of each word.
    private static func tokenizer(_ preTokenizer: JSONValue) throws -> Tokenizer {
        let file: JSONObject = [
            "pre_tokenizer": preTokenizer,
            "model": [
                "type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 1_000_000, "vocab": ["u": 0],
            ],
        ]
        return try Tokenizer(tokenizerJSON: JSONValue.object(file).serialized())
    }

    private static func split(_ expression: String) throws -> Tokenizer {
        try tokenizer([
            "type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false,
        ])
    }

    struct Case: CustomTestStringConvertible {
        let expression: String
        let text: String
        let words: [Range<Int>]
        var testDescription: String { "\(expression) in \(text)" }

        init(_ expression: String, _ text: String, _ words: [Range<Int>]) {
            (self.expression, self.text, self.words) = (expression, text, words)
        }
    }

    @Test(
        "Words are those of Oniguruma",
        arguments: [
            // Superscripts are word characters outside of brackets only.
            Case(#"\w+"#, "a²b ½", [0..<3, 3..<4, 4..<5]),
            Case(#"[\w]+"#, "a²b ½", [0..<1, 1..<2, 2..<3, 3..<5]),
            Case(#"[^\w]+"#, "a²b ½", [0..<1, 1..<2, 2..<3, 3..<5]),
            // What precedes a match is looked at, even when it is a match itself.
            Case(#"a|\bb"#, "ab b", [0..<1, 1..<3, 3..<4]),
            Case(#"a|\Bb"#, "ab b", [0..<1, 1..<2, 2..<4]),
            Case("a(?i)b|c", "aBC abc c C", [0..<2, 2..<4, 4..<6, 6..<11]),
            Case("(?:x(?i)y|z)w", "xYw xZw zw", [0..<3, 3..<4, 4..<7, 7..<10]),
            Case("x{2}?y", "xxxy xy y", [0..<1, 1..<4, 4..<6, 6..<7, 7..<8, 8..<9]),
            Case("x{2}??y", "xxy", [0..<3]),
            Case("x{1,2}?y", "xxxy", [0..<1, 1..<4]),
            Case("x{2}+y", "xxxxxy", [0..<1, 1..<6]),
        ]
    )
    func words(sample: Case) throws {
        let tokenizer = try Self.split(sample.expression)
        #expect(tokenizer.encode(sample.text).offsets == sample.words)
    }

    @Test("The Whitespace pre-tokenizer has the word characters of Unicode")
    func whitespace() throws {
        let tokenizer = try Self.tokenizer(["type": "Whitespace"])
        #expect(tokenizer.encode("a²b c\u{200D}d ½").offsets == [0..<1, 1..<2, 2..<3, 4..<7, 8..<9])
    }

    @Test(
        "What has failed once is not tried again, so that no expression takes exponential time",
        .timeLimit(.minutes(1)),
        arguments: [
            "(?:a|aa)+b", "(?:a?){26}b", "(?:a|aa){1,40}b", "(?:a|a)+(?:a|aa)+b", "a*a*a*a*a*a*a*a*b",
            "(?:a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?){2}b", "(?:(?=(?:a|aa)+b)a|a(?!(?:a|aa)+c))+d",
        ]
    )
    func awkward(expression: String) throws {
        let tokenizer = try Self.split(expression)
        let run = String(repeating: "a", count: 300)
        #expect(tokenizer.encode(run).offsets == [0..<300])
        // What matches is found none the less.
        let end = expression.hasSuffix("d") ? "d" : "b"
        let offsets = tokenizer.encode(run + "x" + run + end).offsets
        #expect(offsets.last?.upperBound == 602 && offsets.count >= 2)
    }
}
