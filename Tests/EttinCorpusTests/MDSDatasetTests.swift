import EttinFiles
import EttinJSON
import Foundation
import TestSupport
import Testing

@testable import EttinCorpus

/// Makes a data set of samples with an id and as many token ids as their number says, and returns its folder.
func makeDataset(
    _ folder: TemporaryFolder,
    _ name: String,
    sampleCount: Int,
    firstToken: Int32 = 0,
    options: MDSWriter.Options = MDSWriter.Options()
) throws -> String {
    let path = folder.file(name)
    let columns: [(name: String, encoding: MDSEncoding)] = [
        ("id", .string), ("input_ids", .array(element: .uint16, shape: nil)), ("len", .integer),
    ]
    let writer = try MDSWriter(folder: path, columns: columns, options: options)
    for sample in 0..<sampleCount {
        let ids = (0...sample % 50).map { firstToken + Int32($0 + sample) }
        try writer.append([
            "id": .string("doc-\(sample)"), "input_ids": .array(try MDSArray(tokenIDs: ids, element: .uint16)),
            "len": .integer(Int64(ids.count)),
        ])
    }
    try writer.finish()
    return path
}

@Suite("MDS data sets")
struct MDSDatasetTests {
    @Test("Samples are found in all shards, whatever the compression", arguments: [nil, "zstd", "gz", "snappy"])
    func randomAccess(compression: String?) throws {
        let folder = try TemporaryFolder()
        let options = MDSWriter.Options(
            compression: try compression.map { try Compression(name: $0) },
            hashes: [.xxh64, .sha1],
            sizeLimit: 1500
        )
        let path = try makeDataset(folder, "x", sampleCount: 200, options: options)
        for decompression in [MDSDataset.Decompression.intoMemory, .intoFile] {
            let dataset = try MDSDataset(folder: path, decompression: decompression, openShardLimit: 2)
            #expect(dataset.sampleCount == 200)
            #expect(dataset.index.shards.count > 10)
            for sample in [199, 0, 57, 58, 198, 3] {
                #expect(try dataset.values(at: sample)["id"] == .string("doc-\(sample)"))
                #expect(try dataset.tokenIDs(at: sample).count == sample % 50 + 1)
            }
            #expect(dataset.index.shards.allSatisfy { $0.hashes == ["sha1", "xxh64"] })
            let report = dataset.verified(tokenColumn: "input_ids", vocabularySize: 300)
            #expect(report.problems.isEmpty)
            #expect(report.tokenCount == (0..<200).reduce(0) { $0 + $1 % 50 + 1 })
        }
    }

    @Test("A shard is no larger than the limit, except for one sample beyond it")
    func sizeLimit() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 100, options: MDSWriter.Options(sizeLimit: 400))
        let shards = try MDSDataset(folder: path).index.shards
        #expect(shards.allSatisfy { $0.raw.byteCount <= 400 || $0.sampleCount == 1 })
        #expect(shards.contains { $0.sampleCount > 1 })
        #expect(shards.map(\.sampleCount).reduce(0, +) == 100)
        let one = try makeDataset(folder, "y", sampleCount: 100, options: MDSWriter.Options(sizeLimit: nil))
        #expect(try MDSDataset(folder: one).index.shards.count == 1)
    }

    @Test("A data set without samples has an index and nothing else")
    func empty() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 0)
        #expect(try MDSDataset(folder: path).sampleCount == 0)
        #expect(try FilePath.names(inFolder: path) == ["index.json"])
    }

    @Test("Data sets in sub-folders become one, level by level")
    func merging() throws {
        let folder = try TemporaryFolder()
        for (part, count) in [("a/x", 10), ("a/y", 20), ("b/x", 5)] {
            _ = try makeDataset(folder, part, sampleCount: count)
        }
        try MDSIndex.merge(folder: folder.file("a"))
        try MDSIndex.merge(folder: folder.file("b"))
        let merged = try MDSIndex.merge(folder: folder.path)
        #expect(merged.shards.map(\.raw.basename) == ["a/x", "a/y", "b/x"].map { $0 + "/shard.00000.mds" })
        let numbers = try TemporaryFolder()
        for number in [0, 2, 9, 10, 11] { _ = try makeDataset(numbers, "\(number)", sampleCount: 1) }
        let numbered = try MDSIndex.merge(folder: numbers.path).shards.map { $0.raw.basename.split(separator: "/")[0] }
        #expect(numbered == ["0", "2", "9", "10", "11"])
        let dataset = try MDSDataset(folder: folder.path)
        #expect(dataset.sampleCount == 35)
        #expect(try dataset.values(at: 34)["id"] == .string("doc-4"))
        let other = try TemporaryFolder()
        #expect(throws: CorpusError.self) { try MDSIndex.merge(folder: other.path) }
    }

    @Test("Weights say how much an epoch draws from each stream")
    func weights() throws {
        let folder = try TemporaryFolder()
        let small = try MDSDataset(folder: makeDataset(folder, "a", sampleCount: 10))
        let large = try MDSDataset(folder: makeDataset(folder, "b", sampleCount: 30))
        let none = try MDSDataset(folder: makeDataset(folder, "c", sampleCount: 0))
        let plain = try MDSStreams([(small, .once), (none, .once), (large, .repeated(1.5))])
        #expect(plain.streams.map(\.drawCount) == [10, 0, 45])
        #expect(plain.location(of: 10).stream == 2)
        #expect(plain.location(of: 10).sample == 0)
        let shares = try MDSStreams([(small, .proportion(1)), (large, .proportion(2))], epochSampleCount: 100)
        #expect(shares.streams.map(\.drawCount) == [33, 67])
        #expect(throws: CorpusError.self) { try MDSStreams([(small, .proportion(1)), (large, .once)]) }
        #expect(throws: CorpusError.self) { try MDSStreams([(small, .once), (large, .proportion(1))]) }
        #expect(throws: CorpusError.self) { try MDSStreams([(small, .proportion(0))]) }
        #expect(throws: CorpusError.self) { try MDSStreams([(none, .samples(3))]) }
    }

    @Test("A value that is missing, too many or of another kind is refused, and nothing of it stays")
    func refusedValues() throws {
        let folder = try TemporaryFolder()
        let writer = try MDSWriter(folder: folder.file("x"), columns: [("a", .string), ("b", .integer)])
        #expect(throws: CorpusError.self) { try writer.append(["a": .string("x")]) }
        #expect(throws: CorpusError.self) { try writer.append(["a": .string("x"), "b": .string("y")]) }
        #expect(throws: CorpusError.self) { try writer.append(["a": .string(""), "b": .integer(1), "c": .integer(1)]) }
        try writer.append(["a": .string("x"), "b": .integer(1)])
        try writer.finish()
        #expect(try MDSDataset(folder: folder.file("x")).values(at: 0) == ["a": .string("x"), "b": .integer(1)])
        #expect(throws: CorpusError.self) { try MDSWriter(folder: folder.file("x"), columns: [("a", .string)]) }
        #expect(throws: CorpusError.self) { try MDSArray(tokenIDs: [65_536], element: .uint16) }
        #expect(throws: CorpusError.self) { try MDSArray(tokenIDs: [-1], element: .uint32) }
    }
}

@Suite("Damaged MDS data sets")
struct MDSDamageTests {
    private func problems(_ folder: TemporaryFolder, _ change: (inout [UInt8]) -> Void) throws -> String {
        let path = try makeDataset(folder, "x", sampleCount: 3, options: MDSWriter.Options(hashes: [.sha256]))
        var bytes = try folder.read("x/shard.00000.mds")
        change(&bytes)
        try folder.write(bytes, "x/shard.00000.mds")
        return try MDSDataset(folder: path).verified(tokenColumn: "input_ids", vocabularySize: 60).problems
            .map(\.description).joined(separator: "\n")
    }

    @Test("A cut shard, a wrong count, wrong offsets and a changed byte are named")
    func damage() throws {
        #expect(try problems(TemporaryFolder()) { $0.removeLast(5) }.contains("bytes; expected the"))
        #expect(try problems(TemporaryFolder()) { $0[0] = 4 }.contains("holds 4 samples; expected the 3"))
        #expect(try problems(TemporaryFolder()) { $0[4] = 0 }.contains("puts its samples at"))
        #expect(try problems(TemporaryFolder()) { $0[9] = 0xFF }.contains("sample 0 lies at"))
        #expect(try problems(TemporaryFolder()) { $0[$0.count - 1] = 1 }.contains("hash sha256 is"))
    }

    @Test("Ids beyond the vocabulary are named with their sample")
    func vocabulary() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 3, firstToken: 58)
        let report = try MDSDataset(folder: path).verified(tokenColumn: "input_ids", vocabularySize: 60)
        #expect(report.problems.count == 1)
        #expect(report.problems[0].description.contains("sample 1 column \"input_ids\" holds the id 60"))
        #expect(try MDSDataset(folder: path).verified(tokenColumn: "none").problems.count == 1)
    }

    @Test("Any changed byte of a shard gives values or an error, never a crash")
    func everyByte() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 4)
        let index = try MDSIndex(folder: path)
        let bytes = try folder.read("x/shard.00000.mds")
        for position in bytes.indices {
            for value in [0, 0xFF, bytes[position] ^ 0x10] as [UInt8] {
                var changed = bytes
                changed[position] = value
                guard let shard = try? MDSShard(path: "x", bytes: changed, description: index.shards[0]) else {
                    continue
                }
                for sample in 0..<shard.sampleCount {
                    let values = try? shard.values(sample: sample)
                    #expect(values == nil || values?.count == 3)
                }
            }
        }
    }

    @Test(
        "An index that lies is refused with the place",
        arguments: [
            ("\"shard.00000.mds\"", "\"../shard.00000.mds\"", "basename"),
            ("\"shard.00000.mds\"", "\"/etc/passwd\"", "basename"), ("\"mds\"", "\"csv\"", "format"),
            ("\"samples\": 3", "\"samples\": -3", "samples"), ("[null, null, 8]", "[null, null, 4]", "column_sizes"),
            ("\"len\"]", "\"id\"]", "column_names"), ("\"int\"]", "\"pkl\"]", "pkl"), ("\"int\"]", "7]", "encodings"),
            ("\"bytes\": ", "\"bytes\": 99999999999", "bytes"), ("\"version\": 2}", "\"version\": 3}", "version"),
            ("{\"shards\"", "{\"shard\"", "shards"), ("{", "", "JSON"),
        ]
    )
    func lyingIndex(old: String, new: String, place: String) throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 3)
        let text = String(decoding: try folder.read("x/index.json"), as: UTF8.self)
        let range = try #require(text.range(of: old, options: old == "{" ? [] : .backwards))
        try folder.write(text.replacingCharacters(in: range, with: new), "x/index.json")
        let error = #expect(throws: CorpusError.self) { try MDSDataset(folder: path) }
        #expect(error?.description.contains(place) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("index.json") == true)
    }

    @Test("A shard that is not there and an unknown hash are named")
    func missing() throws {
        let folder = try TemporaryFolder()
        let path = try makeDataset(folder, "x", sampleCount: 3, options: MDSWriter.Options(hashes: [.md5]))
        let text = String(decoding: try folder.read("x/index.json"), as: UTF8.self)
        try folder.write(text.replacingOccurrences(of: "md5", with: "blake2b"), "x/index.json")
        let report = try MDSDataset(folder: path).verified()
        #expect(report.problems.map(\.kind) == [.unsupported])
        try FilePath.remove(path + "/shard.00000.mds")
        let error = #expect(throws: CorpusError.self) { try MDSDataset(folder: path).values(at: 0) }
        #expect(error?.kind == .missing)
    }
}
