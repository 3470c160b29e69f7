import TestSupport
import Testing

@testable import EttinModel

/// A header that must be refused, and words that the message must hold.
struct BadHeader: CustomTestStringConvertible, Sendable {
    let header: String
    var data = 16
    let words: [String]

    init(_ header: String, data: Int = 16, _ words: String...) {
        self.header = header
        self.data = data
        self.words = words
    }

    var testDescription: String { header }
}

private func entry(_ dtype: String, _ shape: String, _ offsets: String) -> String {
    #"{"dtype":\#(dtype),"shape":\#(shape),"data_offsets":\#(offsets)}"#
}

private func one(_ dtype: String, _ shape: String, _ offsets: String) -> String {
    #"{"t":\#(entry(dtype, shape, offsets))}"#
}

@Suite("Reading safetensors")
struct SafetensorsFileTests {
    private func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
        let folder = try TemporaryFolder()
        return try SafetensorsFile(path: folder.write(bytes, "x.safetensors"))
    }

    @Test("Names come in the order of the data, with dtype, shape and place")
    func descriptors() throws {
        let header =
            #"{"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},"__metadata__":{"format":"pt"},"#
            + #""a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"e":{"dtype":"I64","shape":[3,0],"data_offsets":[10,10]}}"#
        let file = try open(safetensors(header, data: Array(0..<10)))
        #expect(file.names == ["a", "b", "e"])
        #expect(file.metadata == ["format": "pt"])
        let b = try #require(file.descriptor("b"))
        #expect(b.dtype == .float32)
        #expect(b.shape == [2])
        #expect(b.byteCount == 8)
        #expect(b.byteRange == 8 + header.utf8.count + 2..<8 + header.utf8.count + 10)
        #expect(b.file == "x.safetensors")
        #expect(try file.withUnsafeBytes(of: "b") { Array($0) } == Array(2..<10))
        #expect(try file.withUnsafeBytes(of: "e") { $0.count } == 0)
        #expect(file.descriptor("z") == nil)
        #expect(message { try file.bytes("z") }.contains(#"tensor "z" is not there"#))
    }

    @Test("Values stay readable after the file object is gone, aligned for their type")
    func ownership() throws {
        // The header's length makes the data begin at an odd place, so the values must be copied.
        var values = try open(safetensors(one(#""F32""#, "[2]", "[0,8]") + " ", data: floats([1, 2]))).bytes("t")
        let isAligned = Int(bitPattern: values.pointer.baseAddress) % 4 == 0
        #expect(isAligned)
        #expect(values.pointer.bindMemory(to: Float.self).elementsEqual([1, 2]))
        let header = one(#""F32""#, "[2]", "[0,8]")
        let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        values = try open(safetensors(padded, data: floats([3, 4]))).bytes("t")
        #expect(!values.isCopy)
        #expect(values.pointer.bindMemory(to: Float.self).elementsEqual([3, 4]))
    }

    @Test("Every dtype has the library's width", arguments: StoredDType.allCases)
    func widths(dtype: StoredDType) throws {
        let bytes = dtype.bitWidth
        let file = try open(
            safetensors(
                one("\"\(dtype.rawValue)\"", "[2,4]", "[0,\(bytes)]"),
                data: [UInt8](repeating: 1, count: bytes)
            )
        )
        #expect(file.descriptor("t")?.dtype == dtype)
        #expect(file.descriptor("t")?.byteCount == bytes)
        #expect(file.descriptor("t")?.elementCount == 8)
    }

    @Test("A file that is cut off or announces too much is refused")
    func lengths() throws {
        #expect(message { try open([]) }.contains("has 0 bytes"))
        #expect(message { try open([1, 2, 3]) }.contains("too few"))
        #expect(message { try open(little(UInt64.max)) }.contains("18446744073709551615"))
        #expect(message { try open(little(UInt64(Int64.max))) }.contains("at most 100000000"))
        #expect(message { try open(little(UInt64(100_000_001))) }.contains("at most 100000000"))
        #expect(message { try open(little(UInt64(100)) + Array("{}".utf8)) }.contains("of which 2 are there"))
        #expect(message { try open(little(UInt64(0))) }.contains("does not begin"))
        #expect(try open(safetensors("{}")).names.isEmpty)
        #expect(try open(safetensors("{}   ")).names.isEmpty)
        #expect(try open(safetensors(#"{"__metadata__":{}}"#)).names.isEmpty)
    }

    static let bad: [BadHeader] = [
        BadHeader(" {}", "begin"),
        BadHeader("[]", "begin"),
        BadHeader("{", "not JSON"),
        BadHeader("{} x", "not JSON"),
        BadHeader(#"{"t":1,"t":2}"#, "not JSON", "t"),
        BadHeader(#"{"t":null}"#, "null"),
        BadHeader(#"{"t":[]}"#, "array"),
        BadHeader(#"{"t":{}}"#, "no dtype", "no \"shape\"", "no \"data_offsets\""),
        BadHeader(#"{"__metadata__":[]}"#, data: 0, "__metadata__", "object"),
        BadHeader(#"{"__metadata__":{"a":1,"b":null}}"#, data: 0, "\"a\"", "\"b\"", "string"),
        BadHeader(one(#""X32""#, "[4]", "[0,16]"), "unknown dtype", "F8_E4M3FNUZ"),
        BadHeader(one("3", "[4]", "[0,16]"), "dtype"),
        BadHeader(one(#""F32""#, "4", "[0,16]"), "shape"),
        BadHeader(one(#""F32""#, "[-4]", "[0,16]"), "-4"),
        BadHeader(one(#""F32""#, "[4.0]", "[0,16]"), "4.0"),
        BadHeader(one(#""F32""#, "[1e1]", "[0,16]"), "1e1"),
        BadHeader(one(#""F32""#, #"["4"]"#, "[0,16]"), "string"),
        BadHeader(one(#""F32""#, "[9223372036854775808]", "[0,16]"), "9223372036854775808"),
        BadHeader(one(#""F32""#, "[4294967296,4294967296]", "[0,16]"), "cannot fill"),
        BadHeader(one(#""F32""#, "[9223372036854775807]", "[0,16]"), "cannot fill"),
        BadHeader(one(#""F64""#, "[1152921504606846976]", "[0,16]"), "cannot fill"),
        BadHeader(one(#""F4""#, "[3]", "[0,16]"), "cannot fill"),
        BadHeader(one(#""F32""#, "[4]", "[0]"), "1 data_offsets"),
        BadHeader(one(#""F32""#, "[4]", "[0,16,16]"), "3 data_offsets"),
        BadHeader(one(#""F32""#, "[4]", "[16,0]"), "begins at data byte 16"),
        BadHeader(one(#""F32""#, "[4]", "[-16,0]"), "-16"),
        BadHeader(one(#""F32""#, "[4]", "[0,17]"), "of 16"),
        BadHeader(one(#""F32""#, "[4]", "[0,18446744073709551615]"), "18446744073709551615"),
        BadHeader(one(#""F32""#, "[4]", "[9223372036854775806,9223372036854775807]"), "of 16"),
        BadHeader(one(#""F32""#, "[3]", "[0,16]"), "has 16 bytes", "12 for F32 [3]"),
        BadHeader(one(#""F32""#, "[5]", "[0,16]"), "has 16 bytes", "20 for F32 [5]"),
        BadHeader(one(#""F32""#, "[3]", "[0,12]"), "4 bytes behind"),
        BadHeader(one(#""F32""#, "[3]", "[4,16]"), "hole", "data byte 0"),
        BadHeader("{}", "16 bytes behind"),
        BadHeader(
            #"{"a":\#(entry(#""U8""#, "[9]", "[0,9]")),"b":\#(entry(#""U8""#, "[8]", "[8,16]"))}"#,
            "begins at data byte 8",
            "inside tensor \"a\""
        ),
        BadHeader(
            #"{"a":\#(entry(#""U8""#, "[4]", "[0,4]")),"b":\#(entry(#""U8""#, "[4]", "[12,16]"))}"#,
            "hole behind tensor \"a\""
        ),
        BadHeader(
            #"{"a":\#(entry(#""U8""#, "[16]", "[0,16]")),"b":\#(entry(#""U8""#, "[16]", "[0,16]"))}"#,
            "inside tensor \"a\""
        ),
        BadHeader(#"{"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1}}"#, "unknown key \"x\""),
        BadHeader(#"{"t":[[[[[[[[[[[1]]]]]]]]]]]}"#, "not JSON"),
    ]

    @Test("A header that contradicts itself is refused with names and numbers", arguments: bad)
    func badHeaders(bad: BadHeader) throws {
        let text = message { try open(safetensors(bad.header, data: [UInt8](repeating: 0, count: bad.data))) }
        #expect(text.contains("x.safetensors: "))
        for word in bad.words { #expect(text.contains(word), "\(text)") }
    }

    @Test("Bytes that are no UTF-8 are refused")
    func encoding() throws {
        var bytes = safetensors(#"{"tt":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, data: [0])
        bytes[10] = 0xFF
        #expect(message { try open(bytes) }.contains("not JSON"))
    }

    @Test("All problems are told at once, and text from the file is made harmless")
    func several() throws {
        let text = message {
            try open(safetensors(#"{"a\n\u001b":{"dtype":"X","shape":[-1],"data_offsets":[0]},"b":7}"#))
        }
        #expect(text.split(separator: "\n").count == 4)
        #expect(text.contains(#"tensor "a\n\u{1b}""#))
        #expect(!text.utf8.contains(0x1B))
    }

    @Test("Names are told apart by their bytes, not by how they look")
    func canonicalEquivalence() throws {
        let header =
            #"{"\u00e9":\#(entry(#""U8""#, "[1]", "[0,1]")),"e\u0301":\#(entry(#""U8""#, "[1]", "[1,2]"))}"#
        let file = try open(safetensors(header, data: [7, 8]))
        #expect(file.names.count == 2)
        #expect(try file.withUnsafeBytes(of: "\u{e9}") { Array($0) } == [7])
        #expect(try file.withUnsafeBytes(of: "e\u{301}") { Array($0) } == [8])
    }
}
