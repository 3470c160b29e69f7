import EttinJSON
import Foundation
import TestSupport
import Testing

@testable import EttinCorpus

/// A file that pyarrow wrote (Interop/generate_parquet_fixtures.py).
func fixture(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/parquet/\(name)").path
}

private func rows(_ path: String, _ names: [String]? = nil, in range: Range<Int>? = nil) throws -> [[ParquetValue]] {
    let file = try ParquetFile(path: path)
    var rows = try file.rows(of: names ?? file.fields, in: range)
    var found: [[ParquetValue]] = []
    while let row = try rows.next() { found.append(row) }
    return found
}

@Suite("Parquet")
struct ParquetTests {
    static let names = ["plain", "dictionary", "pages-v2", "delta"]

    @Test("Rows equal those that pyarrow reads", arguments: names + ["steps_000001_to_000005"])
    func values(name: String) throws {
        let text = try String(contentsOfFile: fixture("\(name).jsonl"), encoding: .utf8)
        let expected = try text.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
        let found = try rows(fixture("\(name).parquet")).map { JSONValue.array($0.map(\.json)) }
        #expect(found.count == 40)
        #expect(found == expected)
    }

    @Test("Any range of rows and any part of a structure is read alone", arguments: names)
    func parts(name: String) throws {
        let path = fixture("\(name).parquet")
        let all = try rows(path)
        for range in [0..<0, 0..<40, 15..<17, 16..<40, 39..<40, 40..<40] {
            #expect(try rows(path, in: range) == Array(all[range]))
        }
        let urls = try rows(path, ["meta.url", "count"])
        for (row, whole) in zip(urls, all) {
            if case .structure(let fields) = whole[5] {
                #expect(row[0] == fields[0].value)
            } else {
                #expect(row[0] == .null)
            }
            #expect(row[1] == whole[2])
        }
    }

    @Test("Columns are listed with the path to the lowest level")
    func columns() throws {
        let columns = try ParquetFile(path: fixture("plain.parquet")).columns
        #expect(
            columns.map(\.path) == [
                "id", "text", "count", "score", "good", "meta.url", "meta.tags.list.element",
                "grid.list.element.list.element",
            ]
        )
        #expect(columns[2].type == "INT64")
        #expect(columns[1].isText && !columns[2].isText)
        let error = #expect(throws: CorpusError.self) { try rows(fixture("plain.parquet"), ["meta.none"]) }
        #expect(error?.kind == .missing)
        #expect(error?.description.contains("column \"meta.none\" is not there; expected one of \"id\"") == true)
    }

    @Test("A Parquet file is an input of documents, and parts of a job divide its rows")
    func documentInput() throws {
        let path = fixture("dictionary.parquet")
        let options = ReadingOptions(emptyDocuments: .skip)
        let found = try documents([path], options)
        #expect(found.count == 34)
        #expect(found[0] == Document(id: "doc-0", text: "text é 0"))
        let parts = try (0..<7).flatMap { try documents([path], options, part: JobPart(index: $0, count: 7)) }
        #expect(parts == found)
        let named = try documents([path], ReadingOptions(textField: "meta.url", idField: "none", emptyDocuments: .skip))
        #expect(named[1] == Document(id: "dictionary.parquet#1", text: "u1"))
        let empty = #expect(throws: CorpusError.self) { try documents([path]) }
        #expect(empty?.description.contains("row 3 is an empty document") == true)
        let kind = #expect(throws: CorpusError.self) { try documents([path], ReadingOptions(textField: "count")) }
        #expect(kind?.description.contains("row 0 column \"count\" is an integer; expected a string") == true)
    }

    @Test("An order data set gives its samples with their steps")
    func order() throws {
        var samples = try OrderSamples(path: fixture("steps_000001_to_000005.parquet"))
        var found: [OrderRow] = []
        while let sample = try samples.next() { found.append(sample) }
        #expect(found.map(\.step) == (0..<40).map { $0 / 8 })
        #expect(found[14].inputIDs == [14, 15, 16, 17])
        try withTemporaryFolder { folder in
            #expect(throws: CorpusError.self) { try OrderSamples(path: folder.path) }
            let bytes = try Array(Data(contentsOf: URL(filePath: fixture("steps_000001_to_000005.parquet"))))
            for name in ["steps_1000000_to_1000100.parquet", "steps_000001_to_000100.parquet"] {
                try folder.write(bytes, name)
            }
            var both = try OrderSamples(path: folder.path)
            var count = 0
            while try both.next() != nil { count += 1 }
            #expect(count == 80)
        }
        var other = try OrderSamples(path: fixture("plain.parquet"))
        #expect(throws: CorpusError.self) { try other.next() }
    }

    @Test("The real files are read in full", .enabled(if: SharedData.isAvailable, "needs ../shared/data"))
    func realFiles() throws {
        let folder = try #require(SharedData.folder)
        #expect(try rows("\(folder)/data/parquet/glue_rte_validation.parquet").count == 277)
        let choices = try rows("\(folder)/data/parquet/arc_challenge_validation_100.parquet", ["choices.label"])
        #expect(choices.count == 100)
        #expect(choices[0] == [.list(["A", "B", "C", "D"].map { .string($0) })])
    }
}

@Suite("Damaged Parquet files")
struct DamagedParquetTests {
    private func bytes(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(filePath: fixture("\(name).parquet"))))
    }

    @Test("Every truncation is an error", arguments: ParquetTests.names)
    func truncation(name: String) throws {
        let bytes = try bytes(name)
        try withTemporaryFolder { folder in
            for count in bytes.indices {
                let path = try folder.write(Array(bytes.prefix(count)), "a.parquet")
                let error = #expect(throws: CorpusError.self) { try rows(path) }
                #expect(error?.file == path)
            }
        }
    }

    @Test("Changed bytes give other values or an error, never a crash", arguments: ParquetTests.names)
    func mutation(name: String) throws {
        let bytes = try bytes(name)
        var generator = PCG64(seed: SeedSequence(7))
        var refused = 0
        try withTemporaryFolder { folder in
            for _ in 0..<3000 {
                var damaged = bytes
                for _ in 0...(generator.next() % 3) {
                    damaged[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
                }
                let path = try folder.write(damaged, "a.parquet")
                do {
                    _ = try rows(path)
                } catch let error as CorpusError {
                    #expect(error.file == path)
                    refused += 1
                }
            }
        }
        #expect(refused > 500)
    }

    @Test("What is not Parquet, or encrypted, is refused by name")
    func refused() throws {
        let bytes = try bytes("plain")
        try withTemporaryFolder { folder throws in
            func message(_ bytes: [UInt8]) throws -> String {
                let path = try folder.write(bytes, "a.parquet")
                return #expect(throws: CorpusError.self) { try ParquetFile(path: path) }?.description ?? ""
            }
            #expect(try message([]).contains("a.parquet: has 0 bytes; expected a Parquet file"))
            #expect(
                try message(Array("PAR1".utf8) + bytes.dropFirst(4).dropLast(4) + Array("PARE".utf8)).contains(
                    "encrypted"
                )
            )
            #expect(
                try message(Array("XXXX".utf8) + bytes.dropFirst(4)).contains("begins with \"XXXX\"; expected PAR1")
            )
        }
    }
}
