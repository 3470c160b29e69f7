import Testing

@testable import EttinCorpus

@Suite("Compression")
struct CompressionTests {
    static let names = ["br", "br:3", "bz2", "bz2:1", "gz", "gz:0", "gz:6", "snappy", "zstd", "zstd:7"]

    static let contents: [[UInt8]] = [
        [],
        [7],
        Array(String(repeating: "the same words again and again, ", count: 9000).utf8),
        (0..<200_000).map { UInt8(truncatingIfNeeded: ($0 &* $0) >> 3 ^ $0 >> 7) },
    ]

    @Test("What was compressed decompresses to itself", arguments: names, contents)
    func roundTrip(name: String, content: [UInt8]) throws {
        let compression = try Compression(name: name)
        let packed = try content.withUnsafeBytes { try compression.compress($0, file: "x") }
        let unpacked = try packed.withUnsafeBytes {
            try compression.decompress($0, byteCount: content.count, file: "x")
        }
        #expect(unpacked == content)
        #expect(compression.description == name)
    }

    @Test("Cut bytes and wrong sizes are errors", arguments: names)
    func damage(name: String) throws {
        let content = Self.contents[2]
        let compression = try Compression(name: name)
        let packed = try content.withUnsafeBytes { try compression.compress($0, file: "x") }
        for (bytes, size) in [
            (Array(packed.dropLast(3)), content.count), (packed, content.count - 1), (packed, content.count + 1),
            ([], content.count), (Array(packed.prefix(1)), content.count),
        ] {
            let error = #expect(throws: CorpusError.self) {
                try bytes.withUnsafeBytes { try compression.decompress($0, byteCount: size, file: "some.mds") }
            }
            #expect(error?.kind == .malformed)
            #expect(error?.file == "some.mds")
        }
    }

    @Test("Snappy bytes that point outside are errors, whatever byte is changed")
    func hostileSnappy() throws {
        let content = Array(Self.contents[2].prefix(3000))
        let packed = content.withUnsafeBytes { Snappy.compress($0) }
        for position in packed.indices {
            for value in [0, 0xFF, packed[position] ^ 1] as [UInt8] {
                var damaged = packed
                damaged[position] = value
                // The result may be other text or an error; it has the promised size and never a crash.
                let result = damaged.withUnsafeBytes {
                    try? Snappy.decompress($0, byteCount: content.count, file: "x")
                }
                #expect(result == nil || result?.count == content.count)
            }
        }
    }

    @Test(
        "Unknown names and levels are refused by name",
        arguments: ["zst", "zstd:23", "zstd:", "snappy:1", "br:-1", ""]
    )
    func refusals(name: String) {
        let error = #expect(throws: CorpusError.self) { try Compression(name: name, file: "index.json") }
        #expect(error?.description.contains("\"\(name)\"") == true)
    }
}
