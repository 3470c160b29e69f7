import EttinTables
import Testing

/// Rows of which each has its own number.
private struct NumberedTable: TextTable {
    let rowCount: Int
    let name = "numbers"
    let columnNames = ["a", "b"]

    func values(row: Int, columns: [Int]) throws -> [TableValue] { columns.map { .integer(row * 10 + $0) } }
    func kind(ofColumn column: Int) -> TableColumnKind { .integer }
    func place(ofRow row: Int) -> String { "numbers: row \(row)" }
}

@Suite struct TableViewTests {
    private func rows(_ view: TableView) throws -> [Int] {
        try (0..<view.rowCount).map { row in
            guard case .integer(let number) = try view.value(row: row, column: 0) else { return -1 }
            return number / 10
        }
    }

    /// Expected values are those of `datasets`.
    @Test func splitsAsDatasets() throws {
        let view = TableView(NumberedTable(rowCount: 20))
        let test = [4, 12, 3, 14, 5]
        let train = [9, 13, 2, 19, 7, 17, 6, 1, 15, 11, 10, 16, 0, 18, 8]
        for size: TableView.TestSize in [.count(5), .fraction(0.25), .fraction(0.22)] {
            let parts = try view.trainTestSplit(testSize: size, seed: 12)
            #expect(try rows(parts.test) == test)
            #expect(try rows(parts.train) == train)
            #expect(try rows(parts.train.select(2..<5)) == [2, 19, 7])
        }
        let plain = try view.trainTestSplit(testSize: .count(3), seed: 12, shuffles: false)
        #expect(try rows(plain.test) == [17, 18, 19])
    }

    @Test func splitsOfSelectionsKeepTheirRows() throws {
        let view = try TableView(NumberedTable(rowCount: 40)).select(stride(from: 39, through: 1, by: -2))
        let parts = try view.trainTestSplit(testSize: .count(5), seed: 12)
        #expect(try rows(parts.test) == [4, 12, 3, 14, 5].map { 39 - 2 * $0 })
        let selected = try TableView(NumberedTable(rowCount: 40)).select(10..<30)
        #expect(try rows(selected.trainTestSplit(testSize: .count(5), seed: 12).test) == [14, 22, 13, 24, 15])
    }

    @Test func refusesEmptyParts() throws {
        let view = TableView(NumberedTable(rowCount: 4))
        for size: TableView.TestSize in [
            .count(0), .count(4), .fraction(0), .fraction(1), .fraction(0.8), .fraction(.nan),
        ] {
            let error = #expect(throws: TableError.self) { try view.trainTestSplit(testSize: size, seed: 1) }
            #expect("\(try #require(error))".hasPrefix("test_size: is "))
        }
    }

    @Test func choosesColumnsAndRows() throws {
        let view = try TableView(NumberedTable(rowCount: 5)).keeping(columns: ["b", "a"]).select(1..<3)
        #expect(view.columnNames == ["b", "a"])
        #expect(try view.values(row: 1, columns: [0, 1]) == [.integer(21), .integer(20)])
        #expect(view.place(ofRow: 0) == "numbers: row 1")
        #expect(throws: TableError.self) { try view.keeping(columns: ["c"]) }
        #expect(throws: TableError.self) { try view.keeping(columns: ["a", "a"]) }
        #expect(throws: TableError.self) { try view.select(0..<3) }
        #expect(throws: TableError.self) { try view.select([2]) }
    }
}
