import ArgumentParser
import EttinEvaluation
import EttinFiles
import EttinTables
import EttinTokenizer

/// The pairs that negatives are mined for, and the texts that may become some.
struct MiningDataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Pairs of anchors and positives: a .jsonl, .csv, .tsv, .parquet or .arrow file, a folder of them, or "
                + "owner/name[:config][:split] on the Hub; may be repeated.",
            valueName: "path"
        ),
        completion: .file()
    )
    var dataset: [String] = []

    @Option(help: ArgumentHelp("Column of the anchors (default: the first).", valueName: "name"))
    var anchorColumnName: String?

    @Option(help: ArgumentHelp("Column of the positives (default: the second).", valueName: "name"))
    var positiveColumnName: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Take only the first rows of --dataset (default: all).", valueName: "count")
    )
    var select: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Split --dataset, after --select, as train_test_split of datasets does: rows of the test part, or a fraction "
                + "below 1.",
            valueName: "rows"
        )
    )
    var testSize: Double?

    @Option(parsing: .unconditional, help: ArgumentHelp("Random seed of --test-size.", valueName: "seed"))
    var splitSeed: UInt64 = 42

    @Option(help: "Part of --test-size to mine for.")
    var splitPart = SplitPart.train

    /// A part of a split.
    enum SplitPart: String, ExpressibleByArgument, CaseIterable {
        case train
        case test
    }

    @Option(
        help: ArgumentHelp(
            "Texts that may be negatives besides the positives: one per line of .txt, or a column of what --dataset "
                + "takes.",
            valueName: "path"
        ),
        completion: .file()
    )
    var corpus: String?

    @Option(help: ArgumentHelp("Column of --corpus (default: text, or the only one).", valueName: "name"))
    var corpusColumnName: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Take only the first texts of --corpus (default: all).", valueName: "count")
    )
    var corpusSelect: Int?

    func validate() throws {
        for (name, count) in [("--select", select), ("--corpus-select", corpusSelect)] {
            if let count, count < 1 { throw ValidationError("\(name) is \(count); expected 1 or more") }
        }
        if let testSize, !(testSize > 0 && (testSize < 1 || testSize == testSize.rounded() && testSize <= 1e15)) {
            throw ValidationError("--test-size is \(testSize); expected a number of rows, or a fraction below 1")
        }
        if testSize == nil, splitPart == .test { throw ValidationError("--split-part test needs --test-size") }
        if corpusSelect != nil, corpus == nil { throw ValidationError("--corpus-select needs --corpus") }
        if dataset.isEmpty { throw ValidationError("--dataset is not given; expected a file of pairs") }
        if corpusColumnName != nil, corpus == nil { throw ValidationError("--corpus-column-name needs --corpus") }
    }

    /// The pairs and the corpus.
    ///
    /// - Throws: `TableError`, `EvaluationError` or `TokenizerError` for data that cannot be read or do not fit;
    ///   `HubError` for data on the Hub.
    func pairs() throws -> MiningPairs {
        var table = try FineTuningData.table(dataset)
        if let select { table = try table.select(0..<select) }
        if let testSize {
            let parts = try table.trainTestSplit(
                testSize: testSize < 1 ? .fraction(testSize) : .count(Int(testSize)),
                seed: splitSeed
            )
            table = splitPart == .train ? parts.train : parts.test
        }
        let texts = try corpus.map(texts)
        if let corpusSelect, let texts, texts.count < corpusSelect {
            throw ValidationError("--corpus-select is \(corpusSelect), but --corpus has \(texts.count) texts")
        }
        return try MiningPairs(
            table,
            anchorColumn: anchorColumnName,
            positiveColumn: positiveColumnName,
            corpus: texts.map { Array($0.prefix(corpusSelect ?? $0.count)) }
        )
    }

    private func texts(of path: String) throws -> [String] {
        guard path.hasSuffix(".txt") else { return try columnTexts(of: path) }
        if corpusColumnName != nil {
            throw ValidationError("--corpus-column-name applies to files with columns; \(path) has lines")
        }
        var reader = try TextReader(path)
        var texts: [String] = []
        while let text = try reader.next() {
            guard !text.isEmpty else {
                throw TokenizerError.file(path: path, reason: "line \(texts.count + 1) is empty; expected a text")
            }
            texts.append(text)
        }
        if texts.isEmpty { throw NoTexts(source: path) }
        return texts
    }

    private func columnTexts(of path: String) throws -> [String] {
        let table = try FineTuningData.table([path])
        let name = corpusColumnName ?? (table.columnNames.count == 1 ? table.columnNames[0] : "text")
        let column = try table.keeping(columns: [name])
        return try (0..<column.rowCount).map { row in
            let value = try column.value(row: row, column: 0)
            if case .text(let text) = value, !text.isEmpty { return text }
            throw TableError(
                .malformed,
                file: column.place(ofRow: row),
                item: "column \(quoted(name))",
                found: value == .text("") ? "is empty" : "holds \(value.kindText)",
                expected: "a text"
            )
        }
    }
}
