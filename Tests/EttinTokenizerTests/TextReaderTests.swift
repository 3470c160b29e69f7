import EttinTokenizer
import Foundation
import TestSupport
import Testing

@Suite("Reading texts")
struct TextReaderTests {
    @Test(
        "Lines end at line feeds, with or without a carriage return",
        arguments: [
            ("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\r\nb", ["a", "b"]), ("a\n\nb\n", ["a", "", "b"]),
            ("a\rb\n", ["a\rb"]), ("e\u{301}\n", ["e\u{301}"]), ("\r\n", [""]),
        ] as [(String, [String])]
    )
    func lines(_ content: String, _ expected: [String]) throws {
        try withTemporaryFolder { folder in
            var reader = try TextReader(folder.write(content, "texts.txt"))
            let texts = try reader.rest()
            #expect(texts.map { Array($0.utf8) } == expected.map { Array($0.utf8) })
        }
    }

    @Test("A byte order mark at the start of a file is no text, and one elsewhere is")
    func mark() throws {
        try withTemporaryFolder { folder in
            let mark = "\u{FEFF}"
            var reader = try TextReader(folder.write("\(mark)a\n\(mark)b", "texts.txt"))
            #expect(try reader.rest().map { Array($0.utf8) } == ["a", "\(mark)b"].map { Array($0.utf8) })
            for name in ["texts.jsonl", "texts.ndjson", "texts.json"] {
                reader = try TextReader(folder.write("\(mark){\"text\": \"a\"}\n", name))
                #expect(try reader.rest() == ["a"])
            }
        }
    }

    @Test("Lines may be longer than any block that is read")
    func longLines() throws {
        try withTemporaryFolder { folder in
            let long = String(repeating: "é", count: 1_500_000)
            var reader = try TextReader(folder.write("a\n\(long)\nb\n\(long)", "texts.txt"))
            #expect(try reader.rest() == ["a", long, "b", long])
        }
    }

    @Test("The format follows the name unless it is given")
    func formats() throws {
        try withTemporaryFolder { folder in
            let line = "{\"id\":1,\"text\":\"a\\nb\"}"
            let path = try folder.write(line + "\r\n", "texts.jsonl")
            var reader = try TextReader(path)
            #expect(try reader.rest() == ["a\nb"])
            reader = try TextReader(path, format: .lines)
            #expect(try reader.rest() == [line])
        }
    }

    @Test("Texts before a bad line are given; the error names its number")
    func errors() throws {
        try withTemporaryFolder { folder in
            let path = try folder.write(Array("a\nb\n".utf8) + [0xC3, 0x0A], "texts.txt")
            var reader = try TextReader(path)
            #expect(try reader.next() == "a")
            #expect(try reader.next() == "b")
            let error = #expect(throws: TokenizerError.self) { _ = try reader.next() }
            #expect(error?.description == "\(path), line 3: is not UTF-8 text")
        }
    }
}
