import EttinFiles
import EttinJSON
import EttinTables
import Foundation
import TestSupport
import Testing

@Suite struct TableOpeningTests {
    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test func tellsPathsFromNames() throws {
        let hub = try DatasetReference("owner/name:config:train")
        #expect(hub.location == .hub("owner/name"))
        #expect(hub.qualifiers == ["config", "train"])
        for path in ["data/train.jsonl", "train", "./owner/name", "a/b/c", "/a/b", "data/*"] {
            #expect(try DatasetReference(path).location == .path(path))
        }
        for text in ["", ":train", "a/b:", "a/b:c:d:e"] {
            #expect(throws: TableError.self) { try DatasetReference(text) }
        }
        try withTemporaryFolder { folder in
            let path = try folder.write("{\"a\": 1}\n", "a:b.jsonl")
            #expect(try TableOpening().open([path]).rowCount == 1)
        }
    }

    @Test func choosesSplits() throws {
        let splits = [("pair", "test"), ("pair", "train"), ("triplet", "train")]
        func choice(_ text: String, _ splits: [(configuration: String, split: String)]) throws -> Int {
            try DatasetReference(text).choice(among: splits)
        }
        #expect(try choice("a/b:pair", splits) == 1)
        #expect(try choice("a/b:triplet:train", splits) == 2)
        #expect(try choice("a/b:test", [("default", "test"), ("default", "train"), ("x", "dev")]) == 0)
        #expect(try choice("a/b", [("only", "dev")]) == 0)
        #expect(
            message { _ = try choice("a/b", splits) }
                == "a/b: has several configurations; expected one of \"pair\" and \"triplet\""
        )
        #expect(message { _ = try choice("a/b:x", splits) }.contains("has no configuration or split \"x\""))
        #expect(
            message { _ = try choice("a/b:triplet:dev", splits) }
                == "a/b:triplet:dev: has no split \"dev\"; expected one of \"train\""
        )
        #expect(message { _ = try choice("a/b", []) }.contains("expected files of data"))
        #expect(try DatasetReference("a/b:*").choices(among: splits) == [1, 2])
        #expect(try DatasetReference("a/b:pair:test").choices(among: splits) == [0])
        #expect(message { _ = try DatasetReference("a/b:*:test").choices(among: splits) }.contains("has no split"))
    }

    @Test func findsSplitsByNames() throws {
        func found(_ files: [String]) throws -> [String] {
            try DatasetFiles.splits(in: files).map { "\($0.configuration) \($0.split) \($0.files.count)" }
        }
        #expect(
            try found([
                "README.md", "data/train-00001-of-00002-0a.parquet", "data/train-00000-of-00002.parquet", "x.jsonl",
                "test/y.jsonl",
            ])
                == ["default train 2"]
        )
        #expect(
            try found(["sub/train-00000-of-00001.jsonl", "test.jsonl"]) == ["default test 1", "default train 1"]
        )
        #expect(
            try found(["train/test.jsonl", "dev/a.jsonl", "x.jsonl"]) == ["default train 1", "default validation 1"]
        )
        #expect(try found(["en/train.jsonl", "de/train.jsonl"]) == ["default train 2"])
        #expect(try found(["train_test.jsonl"]) == ["default test 1", "default train 1"])
        #expect(
            try found(["my-dev.jsonl.gz", "train.csv", "eval_1.tsv", ".git/train.csv"]) == [
                "default test 1", "default train 1", "default validation 1",
            ]
        )
        #expect(try found(["a.jsonl", "b/c.jsonl", "notes.txt"]) == ["default train 2"])
        #expect(try found(["state.json", "dataset_info.json"]) == [])
    }

    @Test func obeysTheCard() throws {
        let card = """
            ---
            configs:
            - config_name: pair
              data_files:
              - {split: train, path: "pair/*.jsonl"}
              - {split: test, path: [other/t?.jsonl]}
            - config_name: all
              default: true
              data_files: "**/*.jsonl"
            ---
            """
        let files = ["pair/a.jsonl", "pair/b/c.jsonl", "other/t1.jsonl", "top.jsonl"]
        func found(_ card: String) throws -> [String] {
            try DatasetFiles.splits(in: files, card: Array(card.utf8)).map {
                "\($0.configuration) \($0.split) \($0.files.joined(separator: ","))"
            }
        }
        #expect(
            try found(card) == [
                "all train other/t1.jsonl,pair/a.jsonl,pair/b/c.jsonl,top.jsonl", "pair test other/t1.jsonl",
                "pair train pair/a.jsonl",
            ]
        )
        #expect(try found("# no front matter").count == 1)
        #expect(
            try found("---\nconfigs: [{config_name: a, data_dir: ./pair/}, {config_name: b}]\n---\n") == [
                "a train pair/a.jsonl,pair/b/c.jsonl", "b train other/t1.jsonl,pair/a.jsonl,pair/b/c.jsonl,top.jsonl",
            ]
        )
        #expect(
            try found("---\nconfigs: [{data_dir: pair, data_files: \"[a-c].jsonl\"}]\n---\n") == [
                "default train pair/a.jsonl"
            ]
        )
        #expect(
            try found("---\nconfigs: [{data_files: \"[!t]*/[!a-s][0-9].jsonl\"}]\n---\n") == [
                "default train other/t1.jsonl"
            ]
        )
        #expect(
            message { _ = try found("---\nconfigs: [{data_files: {a: {b: c}}}]\n---\n") }.contains("not understood")
        )
        #expect(message { _ = try found("---\na: [\n---\n") }.hasPrefix("README.md: "))
    }

    @Test func refusesOnlyTheChosenConfiguration() throws {
        try withTemporaryFolder { folder in
            let data = folder.file("d")
            try FileManager.default.createDirectory(atPath: data + "/x", withIntermediateDirectories: true)
            try folder.write("{\"a\": 1}\n", "d/x/train.jsonl")
            try folder.write("text", "d/other.txt")
            try folder.write(
                """
                ---
                configs:
                - {config_name: a, default: true, data_files: "x/*.jsonl"}
                - {config_name: b, data_files: other.txt}
                ---
                """,
                "d/README.md"
            )
            #expect(try TableOpening().open([data]).rowCount == 1)
            #expect(try TableOpening().open([data + ":a"]).rowCount == 1)
            #expect(
                message { _ = try TableOpening().open([data + ":b"]) }.contains(
                    "configuration \"b\" names the files \"other.txt\" for the split \"train\", which none matches"
                )
            )
        }
    }

    @Test func severalFilesAreOneTable() throws {
        try withTemporaryFolder { folder in
            let first = try folder.write("{\"a\": \"x\", \"n\": 1}\n", "1.jsonl")
            let second = try folder.write("n,a\n2.5,y\n3.5,z\n", "2.csv")
            let table = try TableOpening().open([first, second])
            #expect(table.rowCount == 3)
            #expect(table.kind(ofColumn: 1) == .real)
            #expect(try table.values(row: 0, columns: [0, 1]) == [.text("x"), .real(1)])
            #expect(try table.values(row: 2, columns: [1, 0]) == [.real(3.5), .text("z")])
            #expect(table.place(ofRow: 2).hasSuffix("2.csv: line 3"))
            let third = try folder.write("{\"a\": 1, \"n\": 1}\n", "3.jsonl")
            #expect(
                message { _ = try TableOpening().open([first, third]) }.contains(
                    "3.jsonl: column \"a\" has values of kind integer"
                )
            )
            let fourth = try folder.write("{\"a\": \"w\"}\n", "4.jsonl")
            #expect(
                message { _ = try TableOpening().open([first, fourth]) }.contains("4.jsonl: column \"n\" is not there")
            )
            let fifth = try folder.write("{\"a\": \"w\", \"n\": 2, \"m\": 3}\n", "5.jsonl")
            #expect(
                message { _ = try TableOpening().open([first, fifth]) }.contains("5.jsonl: column \"m\" is not in")
            )
        }
    }

    @Test func readsParquet() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/parquet/plain.parquet").path
        let table = try TableOpening().open([path])
        #expect(table.columnNames == ["id", "text", "count", "score", "good", "meta", "grid"])
        #expect((0..<7).map { table.kind(ofColumn: $0) } == [.text, .text, .integer, .real, .boolean, .other, .list])
        #expect(
            try table.values(row: 3, columns: [1, 0, 2, 3, 4]) == [
                .null, .text("doc-3"), .integer(-9), .real(0.375), .boolean(true),
            ]
        )
        #expect(throws: TableError.self) { try table.value(row: 0, column: 5) }
        let third: [JSONValue] = [["url": "u2", "tags": ["t0", "t1"]], "doc-2", [[2, nil], []]]
        #expect(try table.json(row: 2, columns: [5, 0, 6]) == third)
        let second: JSONValue = ["url": "u1", "tags": nil]
        #expect(try table.json(row: 1, columns: [5, 5]) == [second, second])
        #expect(try table.json(row: 5, columns: [5]) == [JSONValue.null])
    }

    @Test func readsConversationsOfParquet() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/parquet/chat.parquet").path
        let table = try TableOpening().open([path])
        #expect(table.columnNames == ["messages", "raw"] && table.rowCount == 6)
        #expect(table.kind(ofColumn: 0) == .list)
        let expected: JSONValue = [
            ["role": "user", "content": "q2", "thinking": nil],
            ["role": "assistant", "content": "ä\nä\n", "thinking": "t2"],
        ]
        #expect(try table.json(row: 2, columns: [0]) == [expected])
        #expect(message { _ = try table.value(row: 2, column: 0) }.contains("row 2 column \"messages\" is a structure"))
        #expect(message { _ = try table.json(row: 0, columns: [1]) }.contains("row 0 column \"raw\" has bytes"))
    }

    @Test func refusesWhatIsNotThere() throws {
        let absent = "/absent/train.jsonl"
        #expect(message { _ = try TableOpening().open([absent]) }.hasPrefix("\(absent): is not there; expected a file"))
        #expect(message { _ = try TableOpening().open(["/absent/*.jsonl"]) }.contains("matches nothing"))
        #expect(message { _ = try TableOpening().open(["owner/name"]) }.contains("owner/name: is not there"))
        #expect(message { _ = try TableOpening().open([]) }.hasPrefix("data set: is not given"))
        try withTemporaryFolder { folder in
            let path = try folder.write("x", "a.docx")
            #expect(message { _ = try TableOpening().open([path]) }.contains("a.docx: has no known extension"))
            #expect(message { _ = try TableOpening().open([folder.path]) }.contains("expected files of data"))
            let packed = try folder.write("x", "a.parquet.gz")
            #expect(message { _ = try TableOpening().open([packed]) }.contains("is a compressed Parquet file"))
            let jsonl = try folder.write("{\"a\": 1}\n", "a.jsonl")
            let opening = TableOpening { reference in
                #expect(reference.qualifiers == ["train"])
                return [jsonl]
            }
            #expect(try opening.open(["owner/name:train"]).rowCount == 1)
            #expect(message { _ = try opening.open([jsonl + ":train"]) }.contains("a file has no splits"))
        }
    }
}
