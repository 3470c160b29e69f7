import EttinFiles
import EttinTables
import Foundation

extension FuzzReader {
    static let rowTables = [arrow, separated, datasetCard]

    /// Opens a table, and reads what the first rows have in every column.
    private static func readTable(_ paths: [String], _ options: TableOptions = TableOptions()) throws {
        let table = try TableOpening(options: options).open(paths)
        for row in 0..<min(table.rowCount, 50) {
            for column in table.columnNames.indices {
                // Another column is read although one is refused.
                do { _ = try table.value(row: row, column: column) } catch is TableError {}
            }
            _ = table.place(ofRow: row)
        }
    }

    // MARK: - Folders that datasets saved

    private static let saved = Result {
        let root = (0..<4).reduce(URL(filePath: #filePath)) { path, _ in path.deletingLastPathComponent() }
        return try contents(root.appending(path: "Tests/Fixtures/datasets").path)
    }

    static let arrow = FuzzReader(
        name: "arrow",
        make: { dice in
            var input = try saved.get()
            let name = dice.pick(input.files.map(\.name) + ["data-00000-of-00001.arrow", "data-00000-of-00001.arrow"])
            var bytes = input[name]
            guard name.hasSuffix(".arrow") else {
                let words = ["_data_files", "_indices_files", "_format_columns", "filename", "ClassLabel", "names"]
                input[name] = JSONMutation(words: words).mutated(bytes, &dice)
                return input
            }
            for _ in 0..<dice.pick([1, 1, 2, 5]) where bytes.count > 16 {
                // Offsets, counts and lengths are 4 or 8 bytes long, in the metadata and between the values.
                let width = dice.pick([4, 8])
                let place = 4 * dice.below((bytes.count - width) / 4)
                let number = UInt64(bitPattern: Int64(dice.pick(Hostile.integers)))
                for offset in 0..<width {
                    bytes[place + offset] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(offset)))
                }
            }
            input[name] = dice.chance(0.3) ? ByteMutation.mutated(bytes, &dice) : bytes
            return input
        },
        read: { _, folder in try readTable([folder]) },
        leavesFiles: true
    )

    // MARK: - CSV and JSON Lines

    private static let csv = """
        text,number,real,flag,"quoted, name"
        one,1,0.5,True,"a ""b"" c"
        "two
        lines",-2,NA,False,
        é😀,3,1e3,true,x

        "",4,-inf,FALSE,"end"

        """
    private static let jsonLines = """
        {"text": "one", "number": 1, "list": [1, "x", null]}
        {"text": "é\\ud83d\\ude00", "number": 2.5, "late": {"a": 1}}
        {"number": 12345678901234567890, "text": null}

        """

    static let separated = FuzzReader(
        name: "tables",
        make: { dice in
            let name = dice.pick(["a.csv", "a.tsv", "a.jsonl"])
            var bytes = LineMutation(values: ["\"", "\"\"", "\"x\"y", ",,,,,,", "\t", "NaN}", "[]}", "\r"])
                .mutated(name == "a.jsonl" ? jsonLines : csv, &dice)
            if name == "a.tsv" { bytes = bytes.map { $0 == UInt8(ascii: ",") ? 0x09 : $0 } }
            return FuzzInput(name, dice.chance(0.5) ? ByteMutation.mutated(bytes, &dice) : bytes)
        },
        read: { input, folder in
            let options = TableOptions(
                quoting: input.byteCount.isMultiple(of: 3) ? .none : .minimal,
                columnNames: input.byteCount.isMultiple(of: 5) ? ["a", "b", "c", "d", "e"] : nil,
                readsMissingValues: input.byteCount.isMultiple(of: 2)
            )
            try readTable([folder + "/" + (input.files.first?.name ?? "")], options)
        }
    )

    // MARK: - Cards of data sets

    private static let card = """
        ---
        configs:
        - config_name: pair
          default: true
          data_files: [{split: train, path: "pair/*.jsonl"}, {split: test, path: ["**/t[0-9].jsonl", "[!a]?.csv"]}]
        - config_name: all
          data_dir: ./data
        ---

        """

    static let datasetCard = FuzzReader(
        name: "dataset-card",
        make: { dice in
            let words = ["**", "*", "[", "]", "[!]", "[]-a]", "[z-a]", "../", "./", "//", "data_dir: ''", "default"]
            let bytes = LineMutation(values: words).mutated(card, &dice)
            return FuzzInput("README.md", dice.chance(0.5) ? ByteMutation.mutated(bytes, &dice) : bytes)
        },
        read: { input, _ in
            let files = ["pair/a.jsonl", "data/train.jsonl", "data/x/dev.jsonl", "t1.jsonl", "ab.csv", "é/[0].jsonl"]
            for split in try DatasetFiles.splits(in: files, card: input.first) {
                try BrokenPromise.unless(Set(files).isSuperset(of: split.files), "\(split.files): not of the data set")
            }
        },
        usesFiles: false
    )
}
