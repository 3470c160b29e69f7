import EttinTables
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite("Tables of ids and scores")
struct DistillationTableTests {
    private static let queries = """
        {"query_id": 11, "text": "what is the capital of france"}
        {"query_id": 12, "text": "how to bake bread"}
        """
    private static let documents = """
        {"document_id": 101, "text": "a text that the next takes the place of"}
        {"document_id": 101, "text": "paris is the capital"}
        {"document_id": 102, "text": "the cat"}
        {"document_id": 103, "text": "bake the bread"}
        """
    private static let rows = """
        {"query_id": 11, "document_ids": [101, 102, 103], "scores": [9.5, 2.0, 1.0]}
        {"query_id": 12, "document_ids": [103, 999, 102], "scores": [1.0, 5.0, 0.5]}
        """

    /// The table of these rows, with two documents each.
    private func table(
        _ rows: String = Self.rows,
        documents: String = Self.documents,
        ways: Int = 2
    ) throws -> DistillationTable {
        let folder = try TemporaryFolder()
        return try withExtendedLifetime(folder) {
            func open(_ name: String, _ text: String) throws -> TableView {
                try (text + "\n").write(toFile: folder.file(name), atomically: true, encoding: .utf8)
                return try TableOpening().open([folder.file(name)])
            }
            let texts = try DistillationTable.Texts(
                queries: TextsByID(open("queries.jsonl", Self.queries), id: "query_id", key: "queries_dataset"),
                documents: TextsByID(
                    open("documents.jsonl", documents),
                    id: "document_id",
                    key: "documents_dataset"
                ),
                ways: ways
            )
            return try DistillationTable(open("train.jsonl", rows), texts)
        }
    }

    @Test("Rows are those of KDProcessing: the last of equal ids, an empty text for a document that is not there")
    func rows() throws {
        let table = try table()
        #expect(table.columnNames == ["query", "documents", "scores"])
        let first = try table.values(row: 0, columns: [0, 1, 2])
        #expect(first[0] == .text("what is the capital of france"))
        #expect(first[1] == .list([.text("paris is the capital"), .text("the cat")]))
        #expect(first[2] == .list([.real(9.5), .real(2)]))
        #expect(try table.value(row: 1, column: 1) == .list([.text("bake the bread"), .text("")]))
        let notices = try table.check()
        #expect(notices.count == 1 && notices[0].contains("1 of its documents, such as 999"), "\(notices)")
        let columns = try TrainingColumns(table, emptyTexts: .keep, readsLists: true)
        #expect(columns.columnNames == ["query", "documents"] && columns.listColumns == [false, true])
        #expect(try columns.textLists(ofRows: [1]) == [[["how to bake bread"]], [["bake the bread", ""]]])
        #expect(try columns.labels(ofRows: [1, 0])?.values == [1, 5, 9.5, 2])
    }

    @Test("Lists that are stored as texts are read, and ids are equal whatever their type")
    func textsOfLists() throws {
        let table = try table(
            """
            {"query_id": "11", "document_ids": "[101, 102]", "scores": "[9.5, 2]"}
            {"query_id": 12.0, "document_ids": "('103', '102',)", "scores": "[1e-3, -5.0]"}
            """
        )
        #expect(try table.value(row: 0, column: 1) == .list([.text("paris is the capital"), .text("the cat")]))
        #expect(try table.value(row: 1, column: 0) == .text("how to bake bread"))
        #expect(try table.value(row: 1, column: 2) == .list([.real(0.001), .real(-5)]))
    }

    @Test(
        "Rows that do not fit are named by file and line",
        arguments: [
            (#"{"query_id": 13, "document_ids": [101, 102], "scores": [1, 2]}"#, "is \"13\"; expected an id that"),
            (#"{"query_id": 11, "document_ids": [101, 102], "scores": [1, "high"]}"#, "has the text \"high\""),
            (#"{"query_id": 11, "document_ids": [101, 102], "scores": "[1, nan]"}"#, "is the text \"[1, nan]\""),
            (#"{"query_id": 11, "document_ids": [101, 102], "scores": [1, 1e39]}"#, "numbers that float32 holds"),
            (#"{"query_id": 11, "document_ids": [101, 102], "scores": [1]}"#, "has 1 score for 2 documents"),
            (#"{"query_id": 11, "document_ids": [101], "scores": [1]}"#, "has 1 document; expected 2 or more"),
            (#"{"query_id": 11, "document_ids": 101, "scores": [1]}"#, "is a whole number; expected a list of ids"),
        ]
    )
    func refusals(row: String, text: String) throws {
        let error = #expect(throws: TrainingError.self) {
            _ = try table(Self.rows + "\n" + row).check()
        }
        let message = "\(try #require(error))"
        #expect(message.contains("train.jsonl") && message.contains("3") && message.contains(text), "\(message)")
    }

    @Test("Lists of unequal length and missing columns are refused")
    func shapes() throws {
        let short = #"{"query_id": 12, "document_ids": [103, 102], "scores": [1, 2]}"#
        let unequal = #expect(throws: TrainingError.self) { _ = try table(Self.rows + "\n" + short, ways: 3).check() }
        let message = "\(try #require(unequal))"
        #expect(message.contains("has 2 documents, and a row before 3") && message.contains("n_ways: 2"), "\(message)")
        let missing = #expect(throws: TrainingError.self) { _ = try table(#"{"query_id": 11, "scores": [1, 2]}"#) }
        #expect("\(try #require(missing))".contains("column \"document_ids\": is not there"))
        #expect(throws: TrainingError.self) { _ = try table().check(refusesMissing: true) }
    }

    @Test("Texts are checked when their table is read, empty ones where they are refused")
    func texts() throws {
        let without = Self.documents.replacingOccurrences(of: "\"bake the bread\"", with: "null")
        let error = #expect(throws: TrainingError.self) { _ = try table(documents: without) }
        let message = "\(try #require(error))"
        #expect(message.contains("documents.jsonl: line 4 column \"text\": is null; expected a text"), "\(message)")
        let empty = Self.documents.replacingOccurrences(of: "the cat", with: "")
        #expect(try table(documents: empty).check().count == 1)
        let refusal = #expect(throws: TrainingError.self) {
            _ = try table(documents: empty).check(refusesMissing: true)
        }
        let found = "\(try #require(refusal))"
        #expect(found.contains("documents.jsonl: line 3 column \"text\": is an empty text"), "\(found)")
    }

    @Test(
        "Texts of lists are read as Python reads them",
        arguments: [
            ("[]", [TableValue]()), ("[1]", [.integer(1)]), (" ( 1 , -2.5 ) ", [.integer(1), .real(-2.5)]),
            (#"['a b', "it's"]"#, [.text("a b"), .text("it's")]), (#"['a\'b\n']"#, [.text("a'b\n")]),
        ]
    )
    func literals(text: String, values: [TableValue]) {
        #expect(LiteralList.values(of: text) == values)
    }

    @Test(
        "Texts of anything else are no lists",
        arguments: ["", "1", "[1", "[1 2]", "[a]", "[nan]", "[[1]]", "[1] 2", "['a]", "{1}"]
    )
    func noLiterals(text: String) {
        #expect(LiteralList.values(of: text) == nil)
    }
}
