import EttinTables
import EttinTraining
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite struct TrainingColumnsTests {
    private func columns(
        _ lines: [String],
        columns names: [String]? = nil,
        dataset: String? = nil,
        prompts: TrainingPrompts = .none,
        emptyTexts: TrainingColumns.EmptyTextRule = .refuse
    ) throws -> TrainingColumns {
        try withTemporaryFolder { folder in
            var table = try TableOpening().open([folder.write(lines.joined(separator: "\n"), "a.jsonl")])
            if let names { table = try table.keeping(columns: names) }
            return try TrainingColumns(table, dataset: dataset, prompts: prompts, emptyTexts: emptyTexts)
        }
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch {
            return "\(error)".split(separator: "/").last.map(String.init) ?? ""
        }
    }

    @Test func takesColumnsByPosition() throws {
        let lines = [#"{"q": "a", "score": 1, "p": "b"}"#, #"{"q": "c", "score": 0.5, "p": "d"}"#]
        let found = try columns(lines)
        #expect(found.columnNames == ["q", "p"])
        #expect(found.labelName == "score")
        #expect(found.labelKind == .real)
        #expect(try found.texts(ofRows: [1, 0]) == [["c", "a"], ["d", "b"]])
        #expect(try found.labels(ofRows: [1, 0, 1]) == LossLabels(.real, [0.5, 1, 0.5]))
        let ordered = try columns(lines, columns: ["p", "q"])
        #expect(ordered.columnNames == ["p", "q"])
        #expect(ordered.labelName == nil)
        #expect(try ordered.labels(ofRows: [0]) == nil)
    }

    @Test func theFirstLabelColumnCounts() throws {
        let found = try columns([#"{"scores": "x", "label": 1, "q": "a"}"#])
        #expect(found.labelName == "label")
        #expect(found.labelKind == .integer)
        #expect(found.columnNames == ["scores", "q"])
        // Duplicates are looked for in neither.
        #expect(try found.valueHashes().columnCount == 1)
    }

    @Test func labelsMayBeLists() throws {
        let found = try columns([#"{"q": "a", "labels": [1, 2.5]}"#, #"{"q": "b", "labels": [3]}"#])
        #expect(found.labelKind == .list(count: 2))
        #expect(try found.labels(ofRows: [0]) == LossLabels(.list(count: 2), [1, 2.5]))
        #expect(
            message { _ = try found.labels(ofRows: [1]) }
                == "a.jsonl: line 2 column \"labels\": is a list of 1 values; expected 2, as in the first row"
        )
    }

    @Test func labelsMayBeListsOfLists() throws {
        let found = try columns([
            #"{"q": "a", "label": [[1, 2], [3, 4]]}"#, #"{"q": "b", "label": [[1, 2, 3], [4]]}"#,
            #"{"q": "c", "label": [[1, 2], [3, null]]}"#,
        ])
        #expect(found.labelKind == .list(count: 4))
        #expect(try found.labels(ofRows: [0]) == LossLabels(.list(count: 4), [1, 2, 3, 4]))
        #expect(message { _ = try found.labels(ofRows: [1]) }.contains("line 2 column \"label\": is a list of 2"))
        #expect(message { _ = try found.labels(ofRows: [2]) }.contains("line 3 column \"label\": is null"))
        let uneven = try columns([#"{"q": "a", "label": [[1], [2]]}"#, #"{"q": "b", "label": [[1, 2], [3]]}"#])
        #expect(
            message { _ = try uneven.labels(ofRows: [1]) }
                == "a.jsonl: line 2 column \"label\": has lists of different lengths; expected lists of as many numbers "
                + "each"
        )
    }

    @Test func namesTheRowOfWhatIsNoText() throws {
        let lines = [#"{"q": "a", "p": "b"}"#, #"{"q": "", "p": "b"}"#, #"{"q": 1, "p": "b"}"#, #"{"q": "a"}"#]
        let found = try columns(lines)
        #expect(
            message { _ = try found.texts(ofRows: [0, 1]) }
                == "a.jsonl: line 2 column \"q\": is an empty text; expected a text, or empty_texts: keep"
        )
        #expect(
            message { _ = try found.texts(ofRows: [2]) }
                == "a.jsonl: line 3 column \"q\": is a whole number; expected a text"
        )
        #expect(
            message { _ = try found.texts(ofRows: [3]) } == "a.jsonl: line 4 column \"p\": is null; expected a text"
        )
        #expect(message { try found.checkRows() }.hasPrefix("a.jsonl: line 2 column \"q\": is an empty text"))
        #expect(try columns(lines, emptyTexts: .keep).texts(ofRows: [1]) == [[""], ["b"]])
    }

    @Test func checksLabels() throws {
        let found = try columns([#"{"q": "a", "label": 1}"#, #"{"q": "b", "label": 3}"#])
        try found.checkRows()
        #expect(
            message { try found.checkRows(labels: (.range(0...1), "0 or 1")) }
                == "a.jsonl: line 2 column \"label\": is 3.0; expected 0 or 1"
        )
        #expect(
            message { try columns([#"{"q": "a", "label": 0.5}"#]).checkRows(labels: (.binary, "0 or 1")) }
                == "a.jsonl: line 1 column \"label\": is 0.5; expected 0 or 1"
        )
        #expect(
            message { _ = try columns([#"{"q": "a", "label": "yes"}"#]) }.contains(
                "has labels of kind text in \"label\""
            )
        )
        #expect(
            message { try columns([#"{"q": "a", "label": 1e39}"#]).checkRows() }.contains("a number that float32 holds")
        )
        #expect(
            message { try columns([#"{"q": "a", "label": 0.5}"#, #"{"q": "b"}"#]).checkRows() }.contains(
                "line 2 column \"label\": is null"
            )
        )
    }

    @Test func refusesColumns() {
        #expect(
            message { _ = try columns([#"{"dataset_name": "a"}"#]) }.contains("\"dataset_name\", which is reserved")
        )
        #expect(message { _ = try columns([#"{"label": 1}"#]) }.contains("has no columns of texts"))
        #expect(
            message { _ = try columns([#"{"q": "a", "idx": 3}"#]) }.contains("has the column \"idx\" of kind integer")
        )
    }

    @Test func warnsOfIdsAndOrder() throws {
        #expect(try columns([#"{"query": "a", "positive": "b"}"#]).warnings == [])
        let warnings = try columns([#"{"positive": "b", "anchor": "a", "doc_id": "7"}"#]).warnings
        #expect(warnings.count == 2)
        #expect(warnings[0].contains("\"doc_id\" looks like ids"))
        #expect(warnings[1].contains("the column \"positive\" is number 1, usually number 2"))
    }

    @Test func groupsByLabel() throws {
        let lines = [2, 0, 2, 1, 0].enumerated().map { "{\"q\": \"\($0.offset)\", \"label\": \($0.element)}" }
        #expect(try columns(lines).rowsByLabel() == [[0, 2], [1, 4], [3]])
        #expect(throws: TrainingError.self) { try columns([#"{"q": "a"}"#]).rowsByLabel() }
    }

    @Test func permutedRowsAreReadInTheOrderOfTheFile() throws {
        let lines = (0..<50).map { "{\"q\": \"\($0)\", \"p\": \"\($0 == 7 || $0 == 31 ? "" : "x")\"}" }
        let found = try columns(lines, emptyTexts: .keep)
        let table = try TableView(found.source).select((0..<50).map { $0 * 27 % 50 })
        let permuted = try TrainingColumns(table)
        let (hashes, moved) = (try found.valueHashes().hashes, try permuted.valueHashes().hashes)
        #expect((0..<50).allSatisfy { moved[2 * $0] == hashes[2 * ($0 * 27 % 50)] })
        #expect(message { try permuted.checkRows() }.hasPrefix("a.jsonl: line 8 column \"p\""))
    }

    @Test func listsCompareAsPythonPrintsThem() throws {
        let found = try columns([
            #"{"a": ["x", "it's", 1, true, null, 0.5], "b": "['x', \"it's\", 1, True, None, 0.5]"}"#
        ])
        let hashes = try found.valueHashes().hashes
        #expect(hashes[0] == hashes[1])
    }

    @Test func promptsGoByColumnAndDataset() throws {
        let line = [#"{"query": "a", "positive": "b"}"#]
        #expect(try columns(line, prompts: TrainingPrompts("p: ")).prompts == ["p: ", "p: "])
        let byColumn = TrainingPrompts(named: ["query": .prompt("q: ")])
        #expect(try columns(line, prompts: byColumn).prompts == ["q: ", nil])
        #expect(try columns(line, dataset: "nli", prompts: byColumn).prompts == ["q: ", nil])
        let byDataset = TrainingPrompts(named: ["nli": .columns(["query": "q: "]), "other": .prompt("o: ")])
        #expect(try columns(line, dataset: "nli", prompts: byDataset).prompts == ["q: ", nil])
        #expect(try columns(line, dataset: "other", prompts: byDataset).prompts == ["o: ", "o: "])
        #expect(try columns(line, dataset: "third", prompts: byDataset).prompts == [nil, nil])
        try byColumn.check(against: [(nil, ["query"])])
        try byDataset.check(against: [("nli", ["query"]), ("other", ["a"])])
        #expect(
            message { try byColumn.check(against: [(nil, ["anchor"])]) }.contains(
                "names \"query\"; expected one of \"anchor\""
            )
        )
        #expect(
            message { try byDataset.check(against: [("nli", ["a"]), ("other", [])]) }.contains(
                "names the column \"query\""
            )
        )
        #expect(
            message { try byDataset.check(against: [("other", [])]) }.contains(
                "names \"nli\"; expected one of \"other\""
            )
        )
    }
}
