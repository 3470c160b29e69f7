import EttinFiles
import Foundation
import TestSupport
import Testing

@testable import EttinCorpus

@Suite("Explicit order")
struct ExplicitOrderTests {
    private static let rows = [
        OrderRow(step: 1, inputIDs: [50281, 5, 6]), OrderRow(step: 1, inputIDs: [50281, 7]),
        OrderRow(step: 2, inputIDs: [50281]), OrderRow(step: 5, inputIDs: [50281, 8, 9, 10]),
        OrderRow(step: 5, inputIDs: []),
    ]

    private func steps(_ order: ExplicitOrder) throws -> [OrderedStep] {
        var order = order
        var steps: [OrderedStep] = []
        while let step = try order.next() { steps.append(step) }
        return steps
    }

    private func order(_ rows: [OrderRow]) -> ExplicitOrder {
        var position = 0
        return ExplicitOrder(name: "rows") {
            guard position < rows.count else { return nil }
            defer { position += 1 }
            return rows[position]
        }
    }

    private func expectGolden(_ order: ExplicitOrder) throws {
        let steps = try steps(order)
        #expect(steps.map(\.step) == [1, 2, 5] && steps.map(\.firstRow) == [0, 2, 3])
        #expect(steps.map(\.samples) == [[[50281, 5, 6], [50281, 7]], [[50281]], [[50281, 8, 9, 10], []]])
    }

    @Test("Rows become steps")
    func memory() throws {
        try expectGolden(order(Self.rows))
        #expect(try steps(order([])).isEmpty)
    }

    @Test("JSON Lines are read; other fields are passed over, blank lines are errors")
    func jsonLines() throws {
        let folder = try TemporaryFolder()
        let lines = Self.rows.map { "{\"input_ids\": \($0.inputIDs), \"step\": \($0.step)}\n" }
        let path = try folder.write(lines.joined(), "order.jsonl")
        try expectGolden(try OrderRowFile(path: path).order)
        let text = "{\"id\": \"a\", \"step\": 3, \"input_ids\": [1]}\r\n{\"input_ids\":[],\"step\":3}"
        let other = try OrderRowFile(path: folder.write(text, "other.jsonl")).order
        #expect(try steps(other).map(\.samples) == [[[1], []]])
        let blank = try folder.write(text + "\n\n", "blank.jsonl")
        let errors = [
            #expect(throws: CorpusError.self) { try steps(try OrderRowFile(path: blank).order) },
            #expect(throws: CorpusError.self) { try OrderRowFile.last(blank) },
        ]
        for error in errors { #expect(error?.description.contains("blank.jsonl: line 3 is blank; expected") == true) }
    }

    @Test("MDS data sets with a step column are an order")
    func mds() throws {
        let folder = try TemporaryFolder()
        let writer = try MDSWriter(
            folder: folder.file("order"),
            columns: [("input_ids", .array(element: .uint16, shape: nil)), ("step", .integer)]
        )
        for row in Self.rows.dropLast() {
            let ids = try MDSArray(tokenIDs: row.inputIDs, element: .uint16)
            try writer.append(["input_ids": .array(ids), "step": .integer(Int64(row.step))])
        }
        try writer.finish()
        let order = ExplicitOrder(try MDSDataset(folder: folder.file("order")))
        #expect(try steps(order).map(\.step) == [1, 2, 5])
    }

    @Test("Parquet files are an order, alone and as folders that follow each other")
    func parquet() throws {
        let path = fixture("steps_000001_to_000005.parquet")
        let alone = try steps(try ExplicitOrder.opened(path))
        #expect(alone.map(\.step) == Array(0..<5) && alone.allSatisfy { $0.samples.count == 8 })
        let folder = try TemporaryFolder()
        let bytes = try Array(Data(contentsOf: URL(filePath: path)))
        try FilePath.makeFolder(folder.file("decay_000001"))
        _ = try folder.write(bytes, "decay_000001/steps_000001_to_000005.parquet")
        #expect(try steps(try ExplicitOrder.opened(folder.file("decay_000001"))) == alone)
        // The last step goes on in the next folder.
        let more = try folder.write(
            "{\"step\": 4, \"input_ids\": [9]}\n{\"step\": 6, \"input_ids\": []}\n",
            "more.jsonl"
        )
        let both = try steps(try ExplicitOrder.opened([folder.file("decay_000001"), more]))
        #expect(both.map(\.step) == [0, 1, 2, 3, 4, 6] && both[4].samples.count == 9 && both[5].firstRow == 41)
        let falling = #expect(throws: CorpusError.self) { try steps(try ExplicitOrder.opened([path, path])) }
        #expect(falling?.description.contains("step 0 comes after step 4") == true)
        try FilePath.makeFolder(folder.file("empty"))
        #expect(throws: CorpusError.self) { try ExplicitOrder.opened(folder.file("empty")) }
        let cut = try folder.write(Array(bytes.dropLast(40)), "cut.parquet")
        let broken = #expect(throws: CorpusError.self) { try steps(try ExplicitOrder.opened([path, cut])) }
        #expect(broken?.description.contains("cut.parquet") == true)
    }

    @Test("A run goes on at its step")
    func skipping() throws {
        var order = order(Self.rows)
        try order.skip(toStep: 2)
        #expect(try order.next()?.step == 2)
        try order.skip(toStep: 5)
        let last = try order.next()
        #expect(last?.samples.count == 2 && last?.firstRow == 3)
        var other = self.order(Self.rows)
        let error = #expect(throws: CorpusError.self) { try other.skip(toStep: 4) }
        #expect(error?.description == "rows: step 4 is missing; the next one is 5")
    }

    @Test("Falling steps and broken rows are refused by line")
    func refused() throws {
        let falling = #expect(throws: CorpusError.self) {
            try steps(order([OrderRow(step: 2, inputIDs: [1]), OrderRow(step: 1, inputIDs: [1])]))
        }
        #expect(falling?.description.hasPrefix("rows: step 1 comes after step 2") == true)
        let negative = #expect(throws: CorpusError.self) { try steps(order([OrderRow(step: -1, inputIDs: [1])])) }
        #expect(negative?.description.hasPrefix("rows: step -1 is not a step number") == true)
        let folder = try TemporaryFolder()
        for (row, part) in [
            ("{\"step\": 1}", "has no \"input_ids\""), ("{\"input_ids\": [1]}", "has no \"step\""),
            ("{\"input_ids\": [-1], \"step\": 1}", "negative"), ("{\"input_ids\": [1", "is not JSON"),
            ("[1]", "is a JSON array"), ("{\"input_ids\": [1.5], \"step\": 1}", "expected an integer"),
        ] {
            let path = try folder.write("{\"input_ids\": [1], \"step\": 1}\n" + row + "\n", "bad.jsonl")
            let error = #expect(throws: CorpusError.self) { try steps(try OrderRowFile(path: path).order) }
            #expect(error?.description.hasPrefix("\(path): line 2 ") == true)
            #expect(error?.description.contains(part) == true, "\(row): \(error?.description ?? "")")
        }
    }
}
