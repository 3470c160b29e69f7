import EttinTables
import TestSupport
import Testing

@testable import EttinEvaluation

@Suite("The data of GLUE")
struct GLUEDataTests {
    private func rows(_ table: GLUETable) throws -> [[TableValue]] {
        try (0..<table.rowCount).map { try table.values(row: $0, columns: Array(table.columnNames.indices)) }
    }

    private func message(_ body: () throws -> Void) -> String {
        do { try body() } catch { return "\(error)" }
        return ""
    }

    /// The original layouts, a row of class 1 after one of class 0, or of 2.5 after 4.
    private static let originals: [(task: GLUETask, file: String, text: String)] = [
        (.cola, "dev", "gj04\t0\t*\tThe more \"a, the b.\ngj04\t1\t\tThe sea.\n"),
        (.sst2, "dev", "sentence\tlabel\na \"dull film \t0\nnull\t1\n"),
        (
            .mrpc, "dev",
            "\u{FEFF}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\t\"A, b.\tC \" d.\n1\t3\t4\tE.\t\"F.\n"
        ),
        (
            .stsb, "dev",
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
                + "0\tg\tf\t2012\t0\tnone\tnone\t\"A.\tB.\t4\n1\tg\tf\t2012\t1\tnone\tnone\tC.\tD.\t2.500\n"
        ),
        (.qqp, "dev", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tA?\tB?\t0\n1\t3\t4\tC?\t\"D?\t1\n"),
        (
            .mnli, "dev_mismatched",
            "index\tpromptID\tpairID\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n"
                + "0\t1\t1e\tslate\tA.\tB.\tneutral\tentailment\n1\t2\t2n\tslate\t\"C.\tD.\tentailment\tneutral\n"
        ),
        (.qnli, "dev", "index\tquestion\tsentence\tlabel\n0\tA?\tB.\tentailment\n1\tC?\t\"D.\tnot_entailment\n"),
        (.rte, "dev", "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n1\t\"C.\tD.\tnot_entailment\n"),
        (.wnli, "dev", "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\t0\n1\tC.\tD.\t1\n"),
    ]

    @Test("original files are read as they are: no quoting, words or numbers, a mark in front", arguments: originals)
    func original(task: GLUETask, file: String, text: String) throws {
        try withTemporaryFolder { folder in
            try folder.write(text, "glue/\(task.title)/\(file).tsv")
            for place in ["glue", "glue/\(task.title)"] {
                let part = task == .mnli ? GLUEPart.mismatched : .validation
                let table = try task.table(folder.file(place), part, with: TableOpening())
                #expect(table.columnNames == task.textColumns + ["label"] && table.rowCount == 2)
                let found = try rows(table)
                let label = task.textColumns.count
                let labels: [TableValue] = task == .stsb ? [.real(4), .real(2.5)] : [.integer(0), .integer(1)]
                #expect(found.map { $0[label] } == labels)
                let texts = found.flatMap { $0.dropLast() }.compactMap { value -> String? in
                    if case .text(let text) = value { text } else { nil }
                }
                #expect(texts.count == 2 * label && (texts.contains { $0.contains("\"") } || task == .wnli))
                #expect(table.classNames(ofColumn: label) == (task == .stsb ? nil : task.labelNames))
                #expect(table.kind(ofColumn: label) == (task == .stsb ? .real : .integer))
            }
        }
    }

    @Test("copies of the Hub are JSON Lines or Parquet with numbers, in files of any number")
    func hub() throws {
        try withTemporaryFolder { folder in
            let lines = #"{"premise":"A","hypothesis":"B","label":2,"idx":0}"# + "\n"
            try folder.write(lines, "mnli/validation_matched.jsonl")
            try folder.write(lines + lines, "mnli/train-00000-of-00002.jsonl")
            try folder.write(lines, "mnli/train-00001-of-00002.jsonl")
            let train = try GLUETask.mnli.table(folder.path, .train, with: TableOpening())
            #expect(train.rowCount == 3 && train.columnNames == ["premise", "hypothesis", "label"])
            #expect(try rows(train)[2] == [.text("A"), .text("B"), .integer(2)])
            #expect(try GLUETask.mnli.table(folder.path, .matched, with: TableOpening()).rowCount == 1)
            #expect(
                message { _ = try GLUETask.mnli.table(folder.path, .mismatched, with: TableOpening()) }
                    == "\(folder.path): has no files of the validation_mismatched split of MNLI; expected "
                    + "dev_mismatched.tsv, validation_mismatched.jsonl or "
                    + "validation_mismatched-00000-of-00001.parquet in it, or in MNLI"
            )
        }
    }

    @Test("rows that lack a value are left out and counted; the number of rows is compared with the whole data's")
    func incomplete() throws {
        try withTemporaryFolder { folder in
            try folder.write(
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tA?\tB?\t0\n1\t3\t4\tC?\n2\t5\t6\tD?\tE?\t1\n",
                "QQP/train.tsv"
            )
            let table = try GLUETask.qqp.table(folder.path, .train, with: TableOpening())
            #expect(table.rowCount == 2 && table.incompleteCount == 1)
            #expect(try rows(table)[1] == [.text("D?"), .text("E?"), .integer(1)])
            let place = folder.file("QQP/train.tsv")
            #expect(
                table.notices(as: .train) == [
                    "\(place): 1 rows lack a value and are left out",
                    "\(place): has 2 rows, where the train split of QQP has 363846",
                ]
            )
        }
    }

    @Test("labels of other tasks and of the test set, other columns and mixed formats are refused")
    func refusals() throws {
        try withTemporaryFolder { folder in
            let file = try folder.write(#"{"sentence1":"A","sentence2":"B","label":-1}"# + "\n", "test.jsonl")
            #expect(
                message { _ = try GLUETask.rte.table(file, .validation, with: TableOpening()) }
                    == "\(file): line 1: the label is -1, as in the test set, whose labels are not public; "
                    + "expected 0 (entailment), 1 (not_entailment)"
            )
            #expect(message { _ = try GLUETask.stsb.table(file, .train, with: TableOpening()) }.contains("from 0 to 5"))
            #expect(message { _ = try GLUETask.qqp.table(file, .train, with: TableOpening()) }.contains("question1"))
            let words = try folder.write("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tmaybe\n", "x.tsv")
            #expect(
                message { _ = try GLUETask.rte.table(words, .train, with: TableOpening()) }
                    .contains("line 2: the label is maybe; expected 0 (entailment), 1 (not_entailment)")
            )
            try folder.write("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n", "both/train.tsv")
            try folder.write("{}\n", "both/train.jsonl")
            #expect(
                message { _ = try GLUETask.rte.table(folder.file("both"), .train, with: TableOpening()) }
                    .contains("as train.jsonl and train.tsv; expected files of one format")
            )
        }
    }

    @Test("a name on the Hub is asked for the task's split")
    func names() throws {
        let asked = Asked()
        let opening = TableOpening { reference in
            asked.references.append(reference.description)
            throw CancellationError()
        }
        for (task, part) in [(GLUETask.rte, GLUEPart.train), (.mnli, .matched), (.cola, .validation)] {
            #expect(throws: CancellationError.self) { try task.table("nyu-mll/glue", part, with: opening) }
        }
        #expect(
            asked.references == [
                "nyu-mll/glue:rte:train", "nyu-mll/glue:mnli:validation_matched", "nyu-mll/glue:cola:validation",
            ]
        )
    }

    /// Written by one thread.
    private final class Asked: @unchecked Sendable {
        var references: [String] = []
    }
}
