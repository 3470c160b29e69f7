import EttinFiles
import TestSupport
import Testing

@testable import EttinModel

@Suite("ZIP archives")
struct ZipArchiveTests {
    private func open(_ builder: ZipBuilder) throws -> ZipArchive {
        try open(builder.bytes)
    }

    private func open(_ bytes: [UInt8]) throws -> ZipArchive {
        let folder = try TemporaryFolder()
        return try ZipArchive(MappedFile(path: folder.write(bytes, "x.zip")))
    }

    private let plain = ZipBuilder([("a/b", Array("hello".utf8)), ("c", [])])

    private func changed(_ change: (inout ZipBuilder) -> Void) -> ZipBuilder {
        var builder = plain
        change(&builder)
        return builder
    }

    @Test("Stored entries are found with and without 64-bit records and comments", arguments: [false, true])
    func entries(is64Bit: Bool) throws {
        let archive = try open(
            changed {
                $0.is64Bit = is64Bit
                $0.comment = Array("PK\u{5}\u{6} a comment".utf8)
            }
        )
        #expect(archive.entries.map(\.name) == ["a/b", "c"])
        let entry = try #require(archive["a/b"])
        #expect(try archive.slice(entry).withUnsafeBytes { Array($0) } == Array("hello".utf8))
        #expect(archive["d"] == nil)
    }

    @Test("An archive without entries is read")
    func empty() throws {
        #expect(try open(ZipBuilder([])).entries.isEmpty)
    }

    @Test(
        "Names that would leave the archive are refused",
        arguments: ["", "../a", "a/../b", "/etc/passwd", "a//b", "./a", "a\\b", "C:a", "a\u{0}b", "a\nb", ".."]
    )
    func names(name: String) {
        #expect(message { try open(ZipBuilder([(name, [1])])) }.contains("plain relative path"))
    }

    @Test("Compression, encryption, duplicates and overlaps are refused in words")
    func refusals() {
        #expect(message { try open(changed { $0.entries[0].method = 8 }) }.contains("compressed (method 8)"))
        #expect(message { try open(changed { $0.entries[0].flags = 1 }) }.contains("encrypted"))
        #expect(message { try open(changed { $0.entries[1].name = "a/b" }) }.contains("twice"))
        #expect(message { try open(changed { $0.entries[1].localName = "x" }) }.contains("another name"))
        #expect(message { try open(changed { $0.entries[1].offset = 0 }) }.contains("another name"))
        #expect(message { try open(changed { $0.entries[0].size = 9 }) }.contains("lies over"))
        #expect(message { try open(changed { $0.entries[0].size = 0x7FFF_FFFF }) }.contains("has 2147483647 bytes"))
        #expect(message { try open(changed { $0.entries[0].size = .max }) }.contains("64-bit sizes"))
        #expect(message { try open(changed { $0.entries[0].offset = 9999 }) }.contains("outside"))
        #expect(message { try open(changed { $0.entries[1].offset = 1 }) }.contains("no header"))
        #expect(message { try open(changed { $0.count = 9 }) }.contains("9 entries"))
        #expect(message { try open(changed { $0.count = 1 }) }.contains("behind the last entry"))
    }

    @Test("Every cut and every changed byte gives a value or an error", arguments: [false, true])
    func damage(is64Bit: Bool) throws {
        let bytes = changed { $0.is64Bit = is64Bit }.bytes
        for count in 0..<bytes.count {
            #expect(throws: CheckpointError.self) { try open(Array(bytes[..<count])) }
        }
        for place in bytes.indices {
            for value in [0, 1, 0x7F, 0xFF] as [UInt8] {
                var damaged = bytes
                damaged[place] = value
                do { _ = try open(damaged) } catch is CheckpointError {}
            }
        }
    }
}
