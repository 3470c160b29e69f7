import EttinFiles
import Foundation
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Parquet")
struct ParquetTests {
    @Test("The columns of a real file are read", .enabled(if: SharedData.isAvailable, "needs ../shared"))
    func realFile() throws {
        let folder = try #require(SharedData.folder)
        let path = "\(folder)/data/parquet/glue_rte_validation.parquet"
        let options = ReadingOptions(textField: "sentence1", idField: "idx")
        let rows = try documents([path], options)
        #expect(rows.count == 277)
        #expect(rows.map(\.id) == (0..<277).map(String.init))
        #expect(rows[0].text.hasPrefix("Dana Reeve"))
        let parts = try (0..<5).flatMap { try documents([path], options, part: JobPart(index: $0, count: 5)) }
        #expect(parts == rows)
        let error = #expect(throws: CorpusError.self) { try documents([path]) }
        #expect(error?.description.contains("\"sentence1\"") == true)
        #expect(throws: CorpusError.self) { try documents([path], ReadingOptions(textField: "label")) }
    }

    @Test(
        "Any changed byte gives rows or an error, never a crash",
        .enabled(if: SharedData.isAvailable, "needs ../shared")
    )
    func damage() throws {
        let shared = try #require(SharedData.folder)
        let original = try [UInt8](
            Data(contentsOf: URL(filePath: "\(shared)/data/parquet/glue_rte_validation.parquet"))
        )
        let folder = try TemporaryFolder()
        var options = ReadingOptions(textField: "sentence1", idField: "idx", invalidText: .replace)
        options.emptyDocuments = .keep
        // Headers lie at the front and at the end; in between every 97th byte.
        let positions = Array(0..<200) + Array(stride(from: 200, to: original.count, by: 97))
        for position in positions + Array(original.count - 600..<original.count) {
            var bytes = original
            bytes[position] ^= UInt8(truncatingIfNeeded: 1 << (position % 8))
            let path = try folder.write(bytes, "x.parquet")
            let rows = try? documents([path], options)
            #expect((rows?.count ?? 0) <= 277)
        }
        for count in [0, 3, 11, 12, 100, original.count - 1] {
            let path = try folder.write(Array(original.prefix(count)), "x.parquet")
            #expect(throws: CorpusError.self) { try documents([path], options) }
        }
    }
}
