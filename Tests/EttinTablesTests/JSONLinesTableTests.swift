import EttinFiles
import TestSupport
import Testing

@testable import EttinTables

@Suite struct JSONLinesTableTests {
    private func table(_ text: String) throws -> JSONLinesTable {
        try withTemporaryFolder { folder in
            try JSONLinesTable(MappedFile(path: folder.write(text, "a.jsonl")), name: "a.jsonl")
        }
    }

    private func message(_ text: String, row: Int? = nil, column: Int = 0) -> String {
        do {
            let table = try table(text)
            if let row { _ = try table.value(row: row, column: column) }
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test func readsRowsInAnyOrder() throws {
        let table = try table(
            """
            \u{FEFF}{"q": "one", "p": "é\\n\\ud83d\\ude00", "score": 1}
            {"p": null, "q": "two", "score": 0.5, "extra": [1, "x", [true]]}
            { "q" : "three", "meta": {"a": [1]} }
            """
        )
        #expect(table.rowCount == 3)
        #expect(table.columnNames == ["q", "p", "score", "extra", "meta"])
        #expect((0..<5).map { table.kind(ofColumn: $0) } == [.text, .text, .real, .list, .other])
        #expect(try table.values(row: 2, columns: [0, 1, 2]) == [.text("three"), .null, .null])
        #expect(try table.values(row: 0, columns: [2, 1, 0, 2]) == [.real(1), .text("é\n😀"), .text("one"), .real(1)])
        #expect(
            try table.values(row: 1, columns: [3, 0]) == [
                .list([.integer(1), .text("x"), .list([.boolean(true)])]), .text("two"),
            ]
        )
        #expect(table.place(ofRow: 1) == "a.jsonl: line 2")
    }

    @Test func linesMayEndInAnyWay() throws {
        #expect(try table("{\"a\": 1}\r\n{\"a\": 2}\r\n").value(row: 1, column: 0) == .integer(2))
        #expect(try table("{\"a\": 1}\n{\"a\": 2}").value(row: 1, column: 0) == .integer(2))
        #expect(try table("{\"a\": 1}").rowCount == 1)
        for end in ["", "\n", "\n\n", "\n \r\n\t"] {
            let table = try table("\n{\"a\": 1}\n\n{\"a\": 2}" + end)
            #expect(table.rowCount == 2)
            #expect(try (0..<2).map { try table.value(row: $0, column: 0) } == [.integer(1), .integer(2)])
            #expect(table.place(ofRow: 1) == "a.jsonl: line 4")
        }
    }

    @Test func namesTheLineOfWhatIsBroken() {
        #expect(message("") == "a.jsonl: has no rows; expected one JSON object per line")
        #expect(message("\n{\"a\": 1}\n\n[1]\n").hasPrefix("a.jsonl: line 4 is a JSON array"))
        #expect(message("{\"a\": 1}\n{\"a\": }\n").hasPrefix("a.jsonl: line 2 is not JSON: column 7"))
        #expect(message("{\"a\": 1}\n[1]\n").hasPrefix("a.jsonl: line 2 is a JSON array"))
        #expect(message("{\"a\": 1}\n{\"a\": 1} x\n").hasPrefix("a.jsonl: line 2 is not JSON"))
        #expect(message("{\"a\": 1, \"a\": 2}\n").contains("\"a\""))
        #expect(message("{}\n{}\n") == "a.jsonl: has no columns; expected one JSON object per line")
        #expect(message("{\"a\": {\"b\": 1}}\n", row: 0).hasPrefix("a.jsonl: line 1 has an object in the column \"a\""))
    }
}
