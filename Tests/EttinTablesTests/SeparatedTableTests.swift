import EttinCorpus
import EttinTables
import TestSupport
import Testing

/// CSV and TSV as pandas reads them; the live comparison is Interop/test_tables.py.
@Suite struct SeparatedTableTests {
    private func rows(
        _ text: String,
        _ name: String = "a.csv",
        _ options: TableOptions = TableOptions()
    ) throws -> (names: [String], kinds: [TableColumnKind], rows: [[TableValue]]) {
        try withTemporaryFolder { folder in
            let table = try TableOpening(options: options).open([folder.write(text, name)])
            let columns = Array(table.columnNames.indices)
            return (
                table.columnNames, columns.map { table.kind(ofColumn: $0) },
                try (0..<table.rowCount).map { try table.values(row: $0, columns: columns) }
            )
        }
    }

    @Test func tellsKindsByAllRows() throws {
        let found = try rows("t,i,r,g,b,n\na,1,1,1,True,\n\"x, \"\"y\"\"\n\",-2,0.5,NA,false,\n")
        #expect(found.names == ["t", "i", "r", "g", "b", "n"])
        #expect(found.kinds == [.text, .integer, .real, .real, .boolean, .null])
        #expect(
            found.rows == [
                [.text("a"), .integer(1), .real(1), .real(1), .boolean(true), .null],
                [.text("x, \"y\"\n"), .integer(-2), .real(0.5), .null, .boolean(false), .null],
            ]
        )
    }

    @Test func linesEndAndBeginInAnyWay() throws {
        #expect(
            try rows("\u{FEFF}a,b\r\n1,x\r\n\r\n  \r\n2,y").rows == [
                [.integer(1), .text("x")], [.integer(2), .text("y")],
            ]
        )
        #expect(try rows("a,b\r1,x\r2\r").rows == [[.integer(1), .text("x")], [.integer(2), .null]])
        #expect(try rows("a,a,\n1,2,3\n").names == ["a", "a.1", "Unnamed: 2"])
        #expect(try rows("a\nit\"s\n\"x\"y\"z\"\n").rows == [[.text("it\"s")], [.text("xy\"z\"")]])
    }

    @Test func obeysOptions() throws {
        let unquoted = TableOptions(quoting: .none, readsMissingValues: false)
        #expect(try rows("a\tb\n\"x\tNA\n", "a.tsv", unquoted).rows == [[.text("\"x"), .text("NA")]])
        let named = TableOptions(separator: ";", columnNames: ["p", "q"])
        #expect(
            try rows("1;2\n3;4\n", "a.csv", named).rows == [[.integer(1), .integer(2)], [.integer(3), .integer(4)]]
        )
        #expect(try rows("a,b\n1,2\n", "noname", TableOptions(format: .csv)).rows == [[.integer(1), .integer(2)]])
    }

    @Test func namesTheLineOfWhatIsBroken() {
        func message(_ text: String, _ options: TableOptions = TableOptions()) -> String {
            do {
                return "\(try rows(text, "a.csv", options).rows)"
            } catch {
                return "\(error)".split(separator: "/").last.map(String.init) ?? ""
            }
        }
        #expect(message("") == "a.csv: is empty; expected a line with names of columns")
        #expect(message("a,b\n1,2\n1,2,3\n").hasPrefix("a.csv: line 3 has 3 values; expected 2, as there are columns"))
        #expect(message("a,b\n1,2\n1,\"x\n\n").hasPrefix("a.csv: line 3 begins a record that ends within quotes"))
        #expect(message("a\n1\n", TableOptions(separator: "\"")).hasPrefix("sep: is \"\\\"\""))
        let folder = try? TemporaryFolder()
        let path = (try? folder?.write(Array("a,b\nx,\u{FF}".utf8.dropLast(2)) + [0xFF, 0x0A], "b.csv")) ?? ""
        #expect(throws: TableError.self) { try TableOpening().open([path]).values(row: 0, columns: [1]) }
    }

    @Test func readsCompressedFiles() throws {
        let text = "{\"a\": \"x\"}\n{\"a\": \"y\"}\n"
        try withTemporaryFolder { folder in
            for (suffix, name) in [("gz", "gz"), ("zst", "zstd")] {
                let packed = try Array(text.utf8).withUnsafeBytes {
                    try Compression(name: name).compress($0, file: "a")
                }
                let table = try TableOpening().open([folder.write(packed, "a.jsonl.\(suffix)")])
                #expect(try table.value(row: 1, column: 0) == .text("y"))
                let cut = try folder.write(Array(packed.dropLast(6)), "cut.jsonl.\(suffix)")
                #expect(throws: TableError.self) { try TableOpening().open([cut]) }
            }
        }
    }
}
