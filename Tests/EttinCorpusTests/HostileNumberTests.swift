import EttinFiles
import EttinJSON
import EttinTokenizer
import Foundation
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Hostile numbers in MDS data sets")
struct HostileMDSTests {
    @Test(
        "Counts that the bytes of a shard cannot hold are refused when the index is read",
        arguments: [7, 500_000_000, 1 << 31, 1 << 40, 1 << 62, Int.max, -1, Int.min]
    )
    func samples(_ count: Int) throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 3)
        let index = String(decoding: try folder.read("x/index.json"), as: UTF8.self)
        try folder.write(
            index.replacingOccurrences(of: "\"samples\": 3", with: "\"samples\": \(count)"),
            "x/index.json"
        )
        guard count != 7 else {
            // What the bytes could hold and do not is found with the shard.
            #expect(try MDSDataset(folder: path).verified().problems.count == 1)
            return
        }
        let error = #expect(throws: CorpusError.self) { try MDSDataset(folder: path) }
        #expect(error?.description.contains("index.json: shard 0 \"samples\" is \"\(count)\"; expected") == true)
        #expect(throws: CorpusError.self) { try MDSIndex.merge(folder: folder.path) }
        for order in [SampleStage.Order.permutation(seed: 1), .given] {
            let options = StageOptions(output: folder.file("out"))
            #expect(throws: CorpusError.self) { try SampleStage(input: path, order: order).run(options) }
        }
    }

    @Test("Shards that are not there, or of another size, are found before anything is allotted by their samples")
    func files() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 300, options: MDSWriter.Options(sizeLimit: 4000))
        let bytes = try folder.read("x/shard.00002.mds")
        func message() -> String {
            let stage = SampleStage(input: path, order: .permutation(seed: 1))
            let options = StageOptions(output: folder.file("out"))
            return #expect(throws: CorpusError.self) { try stage.run(options) }?.description ?? ""
        }
        try folder.write(Array(bytes.dropLast()), "x/shard.00002.mds")
        #expect(message().contains("shard.00002.mds: has \(bytes.count - 1) bytes; expected the \(bytes.count) that"))
        try FilePath.remove(folder.file("x/shard.00002.mds"))
        #expect(message().contains("shard.00002.mds: is not there, compressed or not"))
        #expect(!FilePath.exists(folder.file("out")))
    }

    @Test(
        "Few bytes that claim to hold many are refused before anything is allotted",
        arguments: CompressionTests.names
    )
    func expansion(_ name: String) throws {
        let compression = try Compression(name: name)
        let zeros = [UInt8](repeating: 0, count: 1000)
        let packed = try zeros.withUnsafeBytes { try compression.compress($0, file: "x") }
        for size in [Compression.alwaysAllowedBytes + 1, 4 << 30, Int.max] {
            let error = #expect(throws: CorpusError.self) {
                try packed.withUnsafeBytes { try compression.decompress($0, byteCount: size, file: "x") }
            }
            #expect(error?.description.contains("is said to hold \(size) bytes in \(packed.count)") == true)
        }
    }

    @Test("Weights that ask for more samples than can be counted are refused")
    func weights() throws {
        let folder = try TemporaryFolder()
        let data = try MDSDataset(folder: makeDataset(folder, "a", sampleCount: 10))
        for weight in [MDSStreams.Weight.repeated(1e300), .repeated(1e18), .samples(Int.max), .samples(1 << 54)] {
            let error = #expect(throws: CorpusError.self) { try MDSStreams([(data, .once), (data, weight)]) }
            #expect(error?.description.contains("\(1 << 40)") == true)
        }
        #expect(MDSStreams.split(Int.max, [1, 1]).allSatisfy { $0 > 1 << 61 })
        #expect(MDSStreams.split(10, [1e308, 1e308]) == [5, 5])
    }

    @Test("Token targets that do not fit together are refused")
    func targets() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "a", sampleCount: 10)
        let sources = (0..<2).map { MixStage.Source(name: "\($0)", input: path, share: .tokens(Int.max)) }
        let error = #expect(throws: CorpusError.self) {
            try MixStage(sources: sources).run(StageOptions(output: folder.file("out")))
        }
        #expect(error?.description.contains("do not fit 64 bits") == true)
    }
}

/// Writes small Parquet files with numbers of any kind.
private enum ParquetMaker {
    static func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
    }

    static func number(_ value: Int) -> [UInt8] {
        varint(UInt64(bitPattern: Int64(value << 1) ^ Int64(value >> 63)))
    }

    /// A field behind one whose number is `skipped` less: 5 and 6 are integers, 8 is text, 9 a list, 12 a structure.
    static func field(_ skipped: Int, _ kind: UInt8, _ content: [UInt8]) -> [UInt8] {
        [UInt8(skipped) << 4 | kind] + content
    }

    static func text(_ text: String) -> [UInt8] { varint(UInt64(text.utf8.count)) + Array(text.utf8) }

    /// A file with the one column `text`, which may be null, in one page.
    static func file(rows: Int, pageRows: Int? = nil, encoding: Int, page content: [UInt8], dictionary: [UInt8]? = nil)
        -> [UInt8]
    {
        var pages: [UInt8] = []
        func append(_ kind: Int, _ details: Int, _ values: Int, _ encoding: Int, _ content: [UInt8]) {
            pages += field(1, 5, number(kind)) + field(1, 5, number(content.count)) + field(1, 5, number(content.count))
            pages += field(details, 12, field(1, 5, number(values)) + field(1, 5, number(encoding)))
            if kind == 0 { pages += field(1, 5, number(3)) + field(1, 5, number(3)) }
            pages += [0, 0] + content
        }
        if let dictionary { append(2, 4, 1, 0, dictionary) }
        let dataStart = 4 + pages.count
        append(0, 2, pageRows ?? rows, encoding, content)
        var metadata = field(1, 5, number(6)) + field(2, 9, [0x18] + text("text")) + field(1, 5, number(0))
        metadata += field(1, 6, number(rows)) + field(2, 6, number(pages.count)) + field(2, 6, number(dataStart))
        if dictionary != nil { metadata += field(2, 6, number(4)) }
        let column = field(3, 12, metadata + [0]) + [0]
        let group = field(1, 9, [0x1C] + column) + field(2, 6, number(rows)) + [0]
        let root = field(4, 8, text("schema")) + field(1, 5, number(1)) + [0]
        let leaf =
            field(1, 5, number(6)) + field(2, 5, number(1)) + field(1, 8, text("text")) + field(2, 5, number(0)) + [0]
        let footer =
            field(1, 5, number(1)) + field(1, 9, [0x2C] + root + leaf) + field(1, 6, number(rows))
            + field(1, 9, [0x1C] + group) + [0]
        let size = UInt32(footer.count)
        return Array("PAR1".utf8) + pages + footer + (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
            + Array("PAR1".utf8)
    }

    /// The levels of a page: one run of the same level.
    static func levels(_ count: Int, _ level: UInt8) -> [UInt8] {
        let run = varint(UInt64(count) << 1) + [level]
        return [UInt8(run.count), 0, 0, 0] + run
    }
}

@Suite("Hostile numbers in Parquet files")
struct HostileParquetTests {
    private func rows(_ bytes: [UInt8], _ most: Int = .max) throws -> [ParquetValue] {
        let folder = try TemporaryFolder()
        var rows = try ParquetFile(path: folder.write(bytes, "a.parquet")).rows(of: ["text"])
        var found: [ParquetValue] = []
        while found.count < most, let row = try rows.next() { found.append(row[0]) }
        return found
    }

    @Test("Runs of many rows in few bytes are decoded some at a time", arguments: [1, 65_536, 200_000, 1 << 26])
    func runs(_ count: Int) throws {
        let most = min(count, 200_000)
        let nulls = ParquetMaker.file(rows: count, encoding: 0, page: ParquetMaker.levels(count, 0))
        #expect(try rows(nulls, most) == Array(repeating: .null, count: most))
        let index = [1] + ParquetMaker.varint(UInt64(count) << 1) + [0]
        let same = ParquetMaker.file(
            rows: count,
            encoding: 8,
            page: ParquetMaker.levels(count, 1) + index,
            dictionary: [2, 0, 0, 0] + Array("ab".utf8)
        )
        #expect(try rows(same, most) == Array(repeating: .string("ab"), count: most))
    }

    @Test("Differences that take no bytes are limited")
    func differences() throws {
        let count = 1 << 26
        var page = ParquetMaker.levels(count, 1)
        // Blocks of 2²⁰ lengths in one part, whose difference is always zero in zero bits.
        page += ParquetMaker.varint(1 << 20) + [1] + ParquetMaker.varint(UInt64(count)) + [0]
        for _ in 0..<64 { page += [0, 0] }
        let error = #expect(throws: CorpusError.self) {
            try rows(ParquetMaker.file(rows: count, encoding: 6, page: page))
        }
        #expect(error?.description.contains("differences in") == true)
    }

    @Test(
        "Counts that contradict one another are refused",
        arguments: [(-1, 3), (Int.max, 3), (3, -1), (3, 1 << 31), (3, 1 << 27), (1 << 40, 3)]
    )
    func counts(rows count: Int, pageRows: Int) throws {
        let bytes = ParquetMaker.file(rows: count, pageRows: pageRows, encoding: 0, page: ParquetMaker.levels(3, 0))
        #expect(throws: CorpusError.self) { try rows(bytes) }
    }
}

@Suite("Readers of JSON Lines")
struct JSONLinesAgreementTests {
    @Test(
        "All readers take the same lines and refuse the same",
        arguments: [
            ("", true), (", \"x\": NaN", true), (", \"x\": {\"a\": 1, \"b\": -Infinity}", true),
            (", \"x\": 1, \"x\": 2", false),
            (", \"x\": {\"a\": 1, \"a\": 2}", false), (", \"x\": \"\\ud800\"", false), (",", false),
            (", \"x\": 01", false),
            ("} {\"y\": 1", false), ("}\n{\"text\": \"b\", \"input_ids\": [], \"step\": 1", true), ("}\n", false),
            ("}\n\u{FEFF}{\"text\": \"b\", \"input_ids\": [], \"step\": 1", false),
        ]
    )
    func agreement(_ rest: String, _ isTaken: Bool) throws {
        let line = "{\"text\": \"a\", \"input_ids\": [1], \"step\": 1\(rest)}\n"
        for mark in ["", "\u{FEFF}"] {
            let folder = try TemporaryFolder()
            let path = try folder.write(mark + line, "a.jsonl")
            func takes(_ body: () throws -> Void) -> Bool {
                do {
                    try body()
                    return true
                } catch {
                    return false
                }
            }
            #expect(takes { _ = try documents([path]) } == isTaken)
            #expect(
                takes {
                    var reader = try TextReader(path)
                    _ = try reader.rest()
                } == isTaken
            )
            #expect(
                takes {
                    let rows = try OrderRowFile(path: path)
                    while try rows.next() != nil {}
                } == isTaken
            )
        }
    }

    @Test("Messages name the options that help")
    func options() throws {
        let folder = try TemporaryFolder()
        func message(_ text: String, _ name: String = "a.jsonl") throws -> String {
            let path = try folder.write(text, name)
            return #expect(throws: CorpusError.self) { try documents([path]) }?.description ?? ""
        }
        #expect(try message("{\"text\": \"a\"}\n\n").contains("line 2 is blank; expected an object with the field"))
        #expect(try message("{\"text\": \"a\"}\n\n").contains("--empty-documents skip or keep"))
        #expect(try message("{\"text\": \"\"}\n").contains("is an empty document; expected text, or --empty-documents"))
        #expect(try message("{\"content\": \"a\"}\n").contains("--text-key names another field"))
        #expect(try message("[\n{\"text\": \"a\"}\n]\n").contains("jq -c '.[]' turns an array into lines"))
        #expect(try message("{\n\"text\": \"a\"\n}\n").contains("jq -c . puts an object of several lines on one"))
    }
}
