import EttinFiles
import EttinInference
import EttinTables

/// A retrieval task in BEIR's layout: `corpus.jsonl`, `queries.jsonl` and `qrels/<split>.tsv`.
///
/// > Source: BEIR, `GenericDataLoader`.
public struct BEIRFolder: Sendable {
    /// The folder.
    public let path: String
    /// What is evaluated: queries with judgements in the split, and the whole corpus.
    public let data: RetrievalData
    /// What the files say that has no effect, a sentence each.
    public let notices: [String]

    /// Reads a folder.
    ///
    /// Texts stay in their files; ids and judgements are kept.
    ///
    /// - Parameters:
    ///   - path: The folder.
    ///   - split: The split whose judgements count; the names of others are in the error.
    /// - Throws: ``EvaluationError`` or `TableError` for files that are missing or broken, ids that occur twice, and
    ///   judgements that are not numbers.
    public init(_ path: String, split: String = "test") throws {
        self.path = path
        let judgements = try Self.judgements(path, split)
        let queries = try IdentifiedRows(Self.table("queries", path), text: "text")
        let corpus = try Self.table("corpus", path)
        let documents = try IdentifiedRows(corpus, text: "text")
        data = try RetrievalData(
            queryIDs: queries.ids,
            queries: queries.texts,
            documentIDs: documents.ids,
            documents: Self.texts(documents, titles: corpus),
            judgements: judgements,
            name: path
        )
        notices = Self.notices(data, judgements, queryIDs: queries.ids)
    }

    /// Documents as they are encoded: the title, a blank and the text.
    private static func texts(_ documents: IdentifiedRows, titles table: any TextTable) -> TextColumn {
        guard let title = table.columnNames.firstIndex(of: "title") else { return documents.texts }
        return TextColumn(count: documents.ids.count, place: { table.place(ofRow: $0) }) { row in
            let text = try documents.texts(row)
            guard case .text(let title) = try table.value(row: row, column: title), !title.isEmpty else {
                return text.withoutOuterBlanks
            }
            return "\(title) \(text)".withoutOuterBlanks
        }
    }

    private static func notices(
        _ data: RetrievalData,
        _ judgements: [ExactName: RetrievalData.Judgements],
        queryIDs: [String]
    ) -> [String] {
        var notices: [String] = []
        let known = Set(queryIDs.map { ExactName($0) })
        let unknown = judgements.keys.filter { !known.contains($0) }.count
        if unknown > 0 {
            let queries = unknown == 1 ? "1 query" : "\(unknown) queries"
            notices.append("the judgements of \(queries) have no effect: queries.jsonl lacks them")
        }
        let documents = Set(data.documentIDs.map { ExactName($0) })
        let missing = data.judgements.reduce(0) { sum, judged in
            sum + judged.count { $0.value > 0 && !documents.contains($0.key) }
        }
        if missing > 0 {
            let documents = missing == 1 ? "1 relevant document" : "\(missing) relevant documents"
            notices.append("\(documents) cannot be found: corpus.jsonl lacks \(missing == 1 ? "it" : "them")")
        }
        return notices
    }

    private static func table(_ name: String, _ path: String) throws -> any TextTable {
        let names = ["\(name).jsonl", "\(name).jsonl.gz", "\(name).jsonl.zst", "\(name).parquet"]
        guard let found = names.first(where: { FilePath.exists(FilePath.joined(path, $0)) }) else {
            throw EvaluationError(
                .missing,
                file: path,
                item: "\(name).jsonl",
                found: "is not there",
                expected: "a folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv"
            )
        }
        return try TableOpening().open([FilePath.joined(path, found)])
    }

    /// The grades of documents for each query.
    private static func judgements(_ path: String, _ split: String) throws -> [ExactName: RetrievalData.Judgements] {
        let folder = FilePath.joined(path, "qrels")
        let file = FilePath.joined(folder, "\(split).tsv")
        guard FilePath.isPlainName(split), FilePath.exists(file) else {
            let names = FilePath.kind(of: folder) == .folder ? try FilePath.names(inFolder: folder) : []
            let splits = names.filter { $0.hasSuffix(".tsv") }.map { String($0.dropLast(4)) }
            throw EvaluationError(
                .missing,
                file: file,
                found: "is not there",
                expected: splits.isEmpty
                    ? "a folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv"
                    : "a split of this folder: --split \(splits.joined(separator: " or "))"
            )
        }
        let bytes = try EvaluationError.translating { try MappedFile(path: file).withUnsafeBytes { Array($0) } }
        var judgements: [ExactName: RetrievalData.Judgements] = [:]
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let fields = (line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
                .split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
                .map { String(validating: $0, as: UTF8.self) }
            // The headers, and the end of the last line.
            if index == 0 && fields.first == "query-id" || line.isEmpty && index > 0 { continue }
            guard fields.count == 3, let query = fields[0], let document = fields[1],
                let grade = fields[2].flatMap({ Int($0) }), abs(grade) <= Int(Int32.max)
            else {
                throw EvaluationError(
                    .malformed,
                    file: file,
                    item: "line \(index + 1)",
                    found: "is \(quoted(String(decoding: line, as: UTF8.self), limit: 80))",
                    expected: "the id of a query, that of a document and a whole number, with tabs between them"
                )
            }
            judgements[ExactName(query), default: [:]][ExactName(document)] = grade
        }
        return judgements
    }
}
