import EttinFiles
import EttinTables
import Foundation
import TestSupport
import Testing

/// Folders that `datasets` saved; the fixture is written by Interop/generate_table_fixtures.py.
@Suite struct ArrowTableTests {
    private static let fixture = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/datasets").path

    private func copied(to folder: TemporaryFolder) throws -> String {
        for name in try FilePath.names(inFolder: Self.fixture) {
            try folder.write(OpenFile.contents(of: FilePath.joined(Self.fixture, name)), name)
        }
        return folder.path
    }

    @Test func readsValuesOfEveryKind() throws {
        let table = try TableOpening().open([Self.fixture])
        #expect(table.columnNames == ["text", "gaps", "label", "score", "flag", "tags", "pair", "extra"])
        #expect(
            (0..<8).map { table.kind(ofColumn: $0) }
                == [.text, .text, .integer, .real, .boolean, .list, .list, .other]
        )
        #expect(table.classNames(ofColumn: 2) == ["no", "yes"])
        #expect(table.classNames(ofColumn: 0) == nil)
        #expect(table.rowCount == 5)
        #expect(
            try table.values(row: 2, columns: Array(0..<7)) == [
                .text("é😀"), .text("é😀é😀"), .integer(0), .real(0.5), .null, .list([.text("t"), .text("t")]),
                .list([.integer(2), .integer(-2)]),
            ]
        )
        #expect(try table.values(row: 1, columns: [1, 0, 4]) == [.null, .text(""), .boolean(false)])
        let error = #expect(throws: TableError.self) { try table.value(row: 3, column: 7) }
        #expect("\(try #require(error))".contains("row 3 column \"extra\" is a structure, bytes or a date"))
    }

    @Test func obeysTheState() throws {
        try withTemporaryFolder { folder in
            let path = try copied(to: folder)
            let state = String(decoding: try folder.read("state.json"), as: UTF8.self)
            try folder.write(
                state.replacing("\"_format_columns\": null", with: "\"_format_columns\": [\"label\", \"text\"]"),
                "state.json"
            )
            #expect(try TableOpening().open([path]).columnNames == ["text", "label"])
            for (from, to) in [
                ("data-00000", "../data-00000"), ("data-00000", "absent-00000"), ("\"filename\"", "\"file\""),
            ] {
                try folder.write(state.replacing(from, with: to), "state.json")
                #expect(throws: TableError.self) { try TableOpening().open([path]) }
            }
        }
    }

    @Test func readsSplitsOfDictionaries() throws {
        try withTemporaryFolder { folder in
            for split in ["train", "test"] {
                try FilePath.makeFolder(folder.file(split))
                for name in try FilePath.names(inFolder: Self.fixture) {
                    try folder.write(OpenFile.contents(of: FilePath.joined(Self.fixture, name)), "\(split)/\(name)")
                }
            }
            try folder.write("{\"splits\": [\"train\", \"test\"]}", "dataset_dict.json")
            #expect(try TableOpening().open([folder.path, folder.path + ":test"]).rowCount == 10)
            #expect(throws: TableError.self) { try TableOpening().open([folder.path + ":dev"]) }
            try folder.write("{\"splits\": [\"../x\"]}", "dataset_dict.json")
            #expect(throws: TableError.self) { try TableOpening().open([folder.path]) }
        }
    }

    @Test func everyCutIsAnErrorOrAnEnd() throws {
        let name = "data-00000-of-00001.arrow"
        let bytes = try OpenFile.contents(of: FilePath.joined(Self.fixture, name))
        try withTemporaryFolder { folder in
            for count in stride(from: 0, to: bytes.count, by: 7) {
                let path = try folder.write(Array(bytes.prefix(count)), "cut.arrow")
                do {
                    _ = try TableOpening().open([path]).rowCount
                } catch is TableError {}
            }
        }
    }
}
