import EttinJSON
import Testing

@Suite("Lines of JSON")
struct JSONLineTests {
    private func keys(_ line: String, isFirst: Bool = true, replaces: Bool = false) throws -> [String] {
        var keys: [String] = []
        try Array(line.utf8).withUnsafeBytes { bytes in
            try JSONLine.read(bytes, isFirst: isFirst, expected: "{}", replacesInvalidText: replaces) { reader, key in
                keys.append(String(decoding: key, as: UTF8.self))
                try reader.skipValue()
            }
        }
        return keys
    }

    private func object(_ line: String, isFirst: Bool = true) throws -> JSONObject {
        try Array(line.utf8).withUnsafeBytes { try JSONLine.object($0, isFirst: isFirst, expected: "{}") }
    }

    @Test(
        "Lines that both ways of reading take",
        arguments: [
            "{}", "{\"a\": NaN, \"b\": -Infinity}\r", " {\"a\": {\"c\": 1}, \"b\": {\"c\": 1}} ", "\u{FEFF}{\"a\": 1}",
        ]
    )
    func taken(_ line: String) throws {
        #expect(try keys(line) == object(line).keys)
    }

    @Test(
        "Lines that neither takes, and why",
        arguments: [
            ("", "is blank; expected {} on every line"), (" \t\r", "is blank"),
            ("[{\"a\": 1}]", "is a JSON array, or begins one; expected {} on every line; jq -c '.[]'"),
            ("3", "is a JSON number; expected {}"), ("{\"a\": 1, \"a\": 2}", "the key \"a\" occurs twice"),
            ("{\"a\": {\"b\": 1, \"b\": 2}}", "the key \"b\" occurs twice"),
            ("{\"a\": 1,}", "a comma must be followed"),
            ("{", "whole on one line; jq -c ."), ("{\"a\": 1", "whole on one line"), ("{} {}", "expected the end"),
            ("{\"a\": \"\\ud800\"}", "half of a surrogate pair"), ("{'a': 1}", "expected a key in quotes"),
            ("\u{FEFF}\u{FEFF}{}", "begins with a byte order mark"), ("{\"a\": 01}", "must not start with a zero"),
            ("{\"a\": \(String(repeating: "[", count: 600))", "nested more than"),
        ]
    )
    func refused(_ line: String, _ reason: String) {
        let faults = [
            #expect(throws: JSONLine.Fault.self) { try keys(line) },
            #expect(throws: JSONLine.Fault.self) { try object(line) },
        ]
        for fault in faults { #expect(fault?.description.contains(reason) == true, "\(fault?.description ?? "")") }
    }

    @Test("A byte order mark is one at the start of a file alone")
    func mark() {
        let fault = #expect(throws: JSONLine.Fault.self) { try keys("\u{FEFF}{}", isFirst: false) }
        #expect(
            fault?.description == "begins with a byte order mark; expected one at the start of the file only, if any"
        )
    }

    @Test("Invalid text is refused or replaced")
    func invalidText() throws {
        let line: [UInt8] = Array("{\"a\": \"".utf8) + [0xFF] + Array("\\ud800\"}".utf8)
        try line.withUnsafeBytes { bytes in
            #expect(throws: JSONLine.Fault.self) { try JSONLine.read(bytes, isFirst: true, expected: "{}") { _, _ in } }
            var text: String?
            try JSONLine.read(bytes, isFirst: true, expected: "{}", replacesInvalidText: true) { reader, _ in
                text = try reader.readString()
            }
            #expect(text == "\u{FFFD}\u{FFFD}")
        }
    }
}
