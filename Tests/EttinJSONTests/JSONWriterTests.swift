import EttinJSON
import Testing

@Suite("JSON writing")
struct JSONWriterTests {
    private let sample: JSONValue = [
        "b": [1, 2.5, [], [:], ["x": nil]], "a": "é\"\\\n\u{01}\u{7F}😀", "ä": true,
    ]

    @Test("Layouts equal Python's json.dumps")
    func layouts() {
        #expect(
            sample.text()
                == #"{"b":[1,2.5,[],{},{"x":null}],"a":"é\"\\\n\u0001"# + "\u{7F}" + #"😀","ä":true}"#
        )
        #expect(
            sample.text(JSONWritingOptions(layout: .singleLine, sortsKeys: true, escapesNonASCII: true))
                == #"{"a": "\u00e9\"\\\n\u0001\u007f\ud83d\ude00", "b": [1, 2.5, [], {}, {"x": null}], "\u00e4": true}"#
        )
        let value: JSONValue = ["b": [1, []], "a": [:]]
        #expect(
            value.text(JSONWritingOptions(layout: .indented(2)))
                == """
                {
                  "b": [
                    1,
                    []
                  ],
                  "a": {}
                }
                """
        )
    }

    @Test(
        "Floats have the fewest digits that read back as the same float",
        arguments: [(0.1, "0.1"), (1, "1.0"), (-2.5e-08, "-2.5e-08"), (3.4028235e+38, "3.4028235e+38")]
            as [(Float, String)]
    )
    func floats(_ value: Float, _ spelling: String) throws {
        #expect(JSONNumber(value).spelling == spelling)
        #expect(Float(spelling) == value)
        #expect(JSONNumber(Float.nan).spelling == "NaN")
    }

    @Test("Keys sort by code points, not by UTF-16 or by locale")
    func sortedKeys() {
        let value: JSONValue = ["\u{FFFD}": 1, "😀": 2, "Z": 3, "a": 4]
        #expect(value.text(JSONWritingOptions(sortsKeys: true)) == "{\"Z\":3,\"a\":4,\"\u{FFFD}\":1,\"😀\":2}")
    }

    @Test(
        "Doubles are spelled as Python's repr spells them",
        arguments: [
            (0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (0.1, "0.1"), (1e-4, "0.0001"), (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"), (1e16, "1e+16"), (9_007_199_254_740_992, "9007199254740992.0"),
            (1234567890123456.7, "1234567890123456.8"), (123456789012345680, "1.2345678901234568e+17"),
            (.leastNonzeroMagnitude, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"), (-2.5, "-2.5"),
            (1e22, "1e+22"),
            (100, "100.0"), (0.00012345, "0.00012345"), (.pi, "3.141592653589793"), (1e100, "1e+100"),
        ] as [(Double, String)]
    )
    func doubleSpelling(value: Double, spelling: String) {
        #expect(JSONNumber(value).spelling == spelling)
        #expect(JSONNumber(value).double == value)
    }

    @Test("Writing piece by piece equals writing whole")
    func piecewise() {
        var writer = JSONWriter(options: JSONWritingOptions(layout: .indented(2)))
        writer.beginObject()
        writer.key("b")
        writer.beginArray()
        writer.write(1)
        Array("ü".utf8).withUnsafeBufferPointer { writer.write(utf8: $0) }
        writer.endArray()
        Array("key".utf8).withUnsafeBufferPointer { writer.key(utf8: $0) }
        writer.write([:])
        writer.endObject()
        let whole: JSONValue = ["b": [1, "ü"], "key": [:]]
        #expect(writer.bytes == whole.serialized(JSONWritingOptions(layout: .indented(2))))
    }
}
