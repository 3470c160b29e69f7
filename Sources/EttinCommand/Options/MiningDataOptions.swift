import ArgumentParser
import EttinEvaluation
import EttinJSON
import EttinTables
import EttinTokenizer
import Foundation

/// The pairs that negatives are mined for, and the texts that may become some.
struct MiningDataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Pairs of anchors and positives: a .jsonl file.", valueName: "file"),
        completion: .file()
    )
    var dataset: String

    @Option(help: ArgumentHelp("Column of the anchors (default: the first).", valueName: "name"))
    var anchorColumnName: String?

    @Option(help: ArgumentHelp("Column of the positives (default: the second).", valueName: "name"))
    var positiveColumnName: String?

    @Option(
        help: ArgumentHelp(
            "Texts that may be negatives besides the positives: one per line, or one {\"text\": …} per line for .jsonl.",
            valueName: "file"
        ),
        completion: .file()
    )
    var corpus: String?

    /// The pairs and the corpus.
    ///
    /// - Throws: `TableError`, `EvaluationError` or `TokenizerError` for data that cannot be read or do not fit.
    func pairs() throws -> MiningPairs {
        try MiningPairs(
            Lines(dataset),
            anchorColumn: anchorColumnName,
            positiveColumn: positiveColumnName,
            corpus: corpus.map(texts)
        )
    }

    private func texts(ofFile path: String) throws -> [String] {
        var reader = try TextReader(path)
        var texts: [String] = []
        while let text = try reader.next() {
            guard !text.isEmpty else {
                throw TokenizerError.file(path: path, reason: "text \(texts.count + 1) of --corpus is empty")
            }
            texts.append(text)
        }
        if texts.isEmpty { throw NoTexts(source: path) }
        return texts
    }
}

/// Lines of JSON as a table.
private struct Lines: TextTable {
    let columnNames: [String]
    private let rows: [JSONObject]
    private let path: String

    init(_ path: String) throws {
        self.path = path
        rows = try JSONLines.objects(path)
        columnNames = rows.first?.keys ?? []
    }

    var rowCount: Int { rows.count }

    func value(row: Int, column: Int) -> TableValue {
        rows[row][columnNames[column]]?.stringValue.map { .text($0) } ?? .null
    }

    func place(ofRow row: Int) -> String { "\(path): line \(row + 1)" }
}

private enum JSONLines {
    static func objects(_ path: String) throws -> [JSONObject] {
        var objects: [JSONObject] = []
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            if let object = try JSONValue(parsing: String(line)).objectValue { objects.append(object) }
        }
        return objects
    }
}
