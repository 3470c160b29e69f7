import EttinJSON
import Testing

@Suite("JSON pull reader")
struct JSONReaderTests {
    private func read<Result>(
        _ text: String,
        _ body: (inout JSONReader) throws -> Result
    ) rethrows -> Result {
        try Array(text.utf8).withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes)
            return try body(&reader)
        }
    }

    @Test("A vocabulary is read without values being built")
    func readsVocabulary() throws {
        let entries = try read(#"{"model": {"vocab": {"a": 1, "\u0120b": 2}, "merges": [["a", "b"], "c d"]}}"#) {
            reader in
            var entries: [String] = []
            try reader.beginObject()
            #expect(try reader.nextKey().map { String(decoding: $0, as: UTF8.self) } == "model")
            try reader.beginObject()
            _ = try reader.nextKey()
            try reader.beginObject()
            while let key = try reader.nextKey() {
                let name = String(decoding: key, as: UTF8.self)
                entries.append("\(name)=\(try reader.readInt())")
            }
            _ = try reader.nextKey()
            try reader.beginArray()
            while try reader.nextElement() {
                switch try reader.peekKind() {
                case .string: entries.append(try reader.readString())
                default: entries.append(try reader.readValue().text())
                }
            }
            #expect(try reader.nextKey() == nil)
            #expect(try reader.nextKey() == nil)
            try reader.finish()
            return entries
        }
        #expect(entries == ["a=1", "Ġb=2", #"["a","b"]"#, "c d"])
    }

    @Test(
        "Skipping a value checks it and returns its bytes",
        arguments: ["1", "[]", "{}", "[[],[{}]]", #"{"a":[1,{"b":"]"}],"c":null}"#, "true", #""\u0041""#]
    )
    func skipsValues(text: String) throws {
        try read("[ \(text) ]") { reader in
            try reader.beginArray()
            #expect(try reader.nextElement())
            #expect(try reader.skipValue() == 2..<2 + text.utf8.count)
            #expect(try !reader.nextElement())
            try reader.finish()
        }
        for end in 0..<text.utf8.count where text != "1" {
            #expect(throws: JSONError.self, "\(text.prefix(end))") {
                try read(String(decoding: text.utf8.prefix(end), as: UTF8.self)) { try $0.skipValue() }
            }
        }
    }

    @Test("A value of another kind than asked for is an error that says what is there")
    func wrongKind() {
        let error = #expect(throws: JSONError.self) { try read("[1]") { try $0.beginObject() } }
        #expect(error?.reason == "expected an object, found '['")
        #expect(throws: JSONError.self) { try read("1") { try $0.readStringBytes() } }
        #expect(throws: JSONError.self) { try read("\"1\"") { try $0.readInt() } }
        #expect(throws: JSONError.self) { try read("1") { try $0.readBool() } }
        #expect(throws: JSONError.self) { try read("1") { try $0.readNull() } }
        #expect(throws: JSONError.self) { try read("{}") { try $0.beginArray() } }
    }

    @Test("Integers are exact at the ends of their range and rejected beyond")
    func integers() throws {
        #expect(try read("9223372036854775807") { try $0.readInt() } == .max)
        #expect(try read("-9223372036854775808") { try $0.readInt() } == .min)
        for text in ["9223372036854775808", "-9223372036854775809", "1.0", "1e2"] {
            #expect(throws: JSONError.self) { try read(text) { try $0.readInt() } }
        }
    }

    @Test("Random bytes and mutated documents never crash")
    func survivesMutation() {
        let seed = Array(#"{"a": [1, -2.5e3, "x\u00e9\ud83d\ude00", null, true, {"k": {}}], "ü": "\n"}"#.utf8)
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("{}[]\",:\\u0019eE+-.tfn \u{e9}".utf8) + [0xFF, 0x00, 0xED]
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[position] = alphabet.randomElement(using: &generator)!
                case 1: bytes.remove(at: position)
                default: bytes.insert(alphabet.randomElement(using: &generator)!, at: position)
                }
            }
            if let value = try? JSONValue(parsing: bytes) {
                #expect((try? JSONValue(parsing: value.serialized())) == value)
            }
        }
    }
}
