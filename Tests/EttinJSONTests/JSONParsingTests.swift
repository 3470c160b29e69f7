import EttinJSON
import Testing

@Suite("JSON parsing")
struct JSONParsingTests {
    @Test("Every kind of value is read")
    func readsEveryKind() throws {
        let value = try JSONValue(parsing: " {\"a\": [null, true, false, -12.5e+3, \"x\"], \"b\": {}}\r\n\t")
        #expect(value == ["a": [nil, true, false, .number(JSONNumber(spelling: "-12.5e+3")!), "x"], "b": [:]])
        #expect(value["a"]?[3]?.doubleValue == -12500)
        #expect(value["a"]?[1]?.boolValue == true)
        #expect(value["a"]?[0]?.isNull == true)
        #expect(value["a"]?[5] == nil)
        #expect(value["c"] == nil)
        #expect(value.objectValue?.keys == ["a", "b"])
    }

    @Test(
        "Malformed texts are rejected with a position",
        arguments: [
            ("", 0), ("   ", 3), ("{", 1), ("[1,]", 3), ("{\"a\":1,}", 7), ("{\"a\" 1}", 5), ("[1 2]", 3), ("01", 0),
            ("-", 0), ("1.", 2), ("1e", 2), (".5", 0), ("+1", 0), ("tru", 0), ("nulll", 4), ("[1]x", 3), ("\"a", 2),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5), ("\"\u{01}\"", 1), ("\"a\nb\"", 2), ("{a:1}", 1), ("[", 1), ("//x\n1", 0), ("'a'", 0),
            ("{\"a\":}", 5), ("[,1]", 1), ("\"\\", 2), ("\"\\u00", 5), ("NaN", 0), ("[-Infinity]", 1), ("1 1", 2),
            ("]", 0),
        ]
    )
    func rejectsMalformedText(text: String, offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(error?.offset == offset, "\(text): \(error?.description ?? "accepted")")
    }

    @Test(
        "Invalid UTF-8 is rejected",
        arguments: [
            [0xFF], [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82],
            [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98],
            [0xE2, 0x28, 0xA1],
        ] as [[UInt8]]
    )
    func rejectsInvalidUTF8(sequence: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        #expect(throws: JSONError.self) { try JSONValue(parsing: [quote] + sequence + [quote]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [quote] + sequence) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: sequence) }
    }

    @Test("Line and column count characters, the offset counts bytes")
    func positionsInErrors() throws {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: "{\n  \"ä😀\": x}") }
        #expect(error?.line == 2)
        #expect(error?.column == 9)
        #expect(error?.offset == 14)
        #expect(error?.description == "line 2, column 9 (byte 14): expected a value, found 'x'")
    }

    @Test("Escapes are decoded, surrogate pairs included")
    func decodesEscapes() throws {
        let value = try JSONValue(parsing: #""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\u0000é😀""#)
        #expect(value == .string("\"\\/\u{08}\u{0C}\n\r\tA\u{e9}😀\0é😀"))
    }

    @Test(
        "Lone surrogates are rejected unless they may be replaced",
        arguments: [#""\ud800""#, #""\udc00x""#, #""\ud800\ud800""#, #""\ud800\n""#]
    )
    func loneSurrogates(text: String) throws {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        let value = try JSONValue(parsing: text, options: JSONParsingOptions(replacesLoneSurrogates: true))
        #expect(value.stringValue?.unicodeScalars.first == "\u{FFFD}")
    }

    @Test("Python's non-finite literals need an option")
    func nonFiniteNumbers() throws {
        let value = try JSONValue(
            parsing: "[NaN, Infinity, -Infinity]",
            options: JSONParsingOptions(allowsNonFiniteNumbers: true)
        )
        #expect(value[0]?.doubleValue?.isNaN == true)
        #expect(value[1]?.doubleValue == .infinity)
        #expect(value[2]?.doubleValue == -.infinity)
        #expect(value.text() == "[null,null,null]")
        #expect(value.text(JSONWritingOptions(writesNonFiniteNumbers: true)) == "[NaN,Infinity,-Infinity]")
    }

    @Test("A byte order mark in front is skipped, elsewhere it is an error")
    func byteOrderMark() throws {
        #expect(try JSONValue(parsing: "\u{FEFF}[1]") == [1])
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[\u{FEFF}1]") }
    }

    @Test("Nesting is limited, at the limit and one above")
    func nestingDepth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try JSONValue(parsing: nested(512)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: nested(513)) }
        let flat = JSONParsingOptions(maximumDepth: 1)
        #expect(throws: JSONError.self) { try JSONValue(parsing: nested(2), options: flat) }
        let deepest = JSONParsingOptions(maximumDepth: .max)
        #expect(throws: Never.self) { try JSONValue(parsing: nested(1000), options: deepest) }
        let unclosed = String(repeating: "[", count: 1_000_000)
        #expect(throws: JSONError.self) { try JSONValue(parsing: unclosed, options: deepest) }
    }

    @Test("Keys differ by bytes, not by canonical equivalence, and must not repeat")
    func keysCompareByBytes() throws {
        let value = try JSONValue(parsing: "{\"\u{e9}\": 1, \"e\u{301}\": 2}")
        #expect(value["\u{e9}"]?.intValue == 1)
        #expect(value["e\u{301}"]?.intValue == 2)
        #expect(JSONValue.string("\u{e9}") != .string("e\u{301}"))
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: #"{"a": 1, "\u0061": 2}"#) }
        #expect(error?.reason == "the key \"a\" occurs twice in one object")
    }

    @Test("Objects with many members keep order and find keys", arguments: [1, 12, 13, 500])
    func largeObjects(count: Int) throws {
        let text = "{" + (0..<count).map { "\"k\($0)\": \($0)" }.joined(separator: ",") + "}"
        var object = try #require(try JSONValue(parsing: text).objectValue)
        #expect(object.keys == (0..<count).map { "k\($0)" })
        #expect((0..<count).allSatisfy { object["k\($0)"]?.intValue == $0 })
        object["k0"] = nil
        #expect(object["k0"] == nil && object.count == count - 1)
        #expect((1..<count).allSatisfy { object["k\($0)"]?.intValue == $0 })
        object["new"] = true
        #expect(object.members.last?.key == "new" && object["new"] == true)
    }

    @Test("Numbers keep their spelling")
    func numberSpelling() throws {
        let value = try JSONValue(
            parsing: "[1000000000000000019884624838656, 1.0, 1, -0, 9223372036854775807, 1e400, 1E2]"
        )
        #expect(value[0]?.numberValue?.spelling == "1000000000000000019884624838656")
        #expect(value[0]?.intValue == nil)
        #expect(value[0]?.doubleValue == 1e30)
        #expect(value[1]?.intValue == nil && value[1]?.doubleValue == 1 && value[1]?.numberValue?.isIntegral == false)
        #expect(value[2]?.intValue == 1 && value[1] != value[2])
        #expect(value[3]?.intValue == 0)
        #expect(value[4]?.intValue == .max)
        #expect(value[5]?.doubleValue == .infinity)
        #expect(value[6]?.doubleValue == 100)
        for spelling in ["1x", " 1", "\"1\"", ""] { #expect(JSONNumber(spelling: spelling) == nil) }
    }

    @Test("Objects are equal in any order and hash alike")
    func equalityIgnoresOrder() {
        let left: JSONValue = ["a": 1, "b": ["c": nil]]
        let right: JSONValue = ["b": ["c": nil], "a": 1]
        #expect(left == right && left.hashValue == right.hashValue)
        #expect(left != ["a": 1, "b": ["d": nil]])
    }
}
