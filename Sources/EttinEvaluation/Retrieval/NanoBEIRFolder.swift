import EttinFiles
import EttinTables

/// The data sets of NanoBEIR in a folder.
///
/// The folder is a copy of `sentence-transformers/NanoBEIR-en` or one of its translations, with subsets `corpus`,
/// `queries`, `qrels` and `bm25` and a split for each data set (`corpus/NanoMSMARCO-00000-of-00001.parquet`), or it holds
/// the older data sets, a folder for each (`NanoMSMARCO/corpus/…`). Files are Parquet, JSON Lines or what else tables are
/// read from.
public struct NanoBEIRFolder: Sendable, Hashable {
    /// The parts of a data set.
    enum Subset: String, CaseIterable {
        case corpus
        case queries
        case qrels
        case bm25
    }

    /// The folder.
    public let path: String

    /// Takes a folder.
    ///
    /// - Parameter path: The folder.
    public init(_ path: String) {
        self.path = path
    }

    /// The patterns of the files that data sets of a Hub repository need.
    ///
    /// - Parameters:
    ///   - datasets: The data sets.
    ///   - includesBM25: Whether what BM25 found is needed.
    /// - Returns: Patterns with `*` for a repository with a split for each data set.
    package static func patterns(_ datasets: [NanoBEIRDataset], includesBM25: Bool) -> [String] {
        Subset.allCases.filter { includesBM25 || $0 != .bm25 }.flatMap { subset in
            datasets.map { "\(subset.rawValue)/\($0.splitName)-*" }
        }
    }

    /// The queries, documents and judgements of a data set; empty texts are left out.
    ///
    /// - Parameter dataset: The data set.
    /// - Returns: The data.
    /// - Throws: ``EvaluationError`` or `TableError` for files that are missing or broken.
    func retrievalData(_ dataset: NanoBEIRDataset) throws -> RetrievalData {
        func texts(_ subset: Subset) throws -> (ids: [String], texts: TextColumn) {
            let table = try IdentifiedRows(table(subset, of: dataset), text: "text")
            let kept = try (0..<table.ids.count).filter { try !table.texts($0).isEmpty }
            return (kept.map { table.ids[$0] }, table.texts.selecting(kept))
        }
        let (queryIDs, queries) = try texts(.queries)
        let (documentIDs, documents) = try texts(.corpus)
        return try RetrievalData(
            queryIDs: queryIDs,
            queries: queries,
            documentIDs: documentIDs,
            documents: documents,
            judgements: relevant(dataset).mapValues { ids in
                Dictionary(ids.map { (ExactName($0), 1) }) { first, _ in first }
            },
            name: "\(path): \(dataset.splitName)"
        )
    }

    /// Queries with their relevant documents and what BM25 found.
    ///
    /// - Parameters:
    ///   - dataset: The data set.
    ///   - count: How many of the documents that BM25 found are taken.
    /// - Returns: The samples.
    /// - Throws: ``EvaluationError`` or `TableError` for files that are missing or broken.
    func rerankingSamples(_ dataset: NanoBEIRDataset, count: Int) throws -> [RerankingSample] {
        func texts(_ subset: Subset) throws -> [ExactName: String] {
            let table = try IdentifiedRows(table(subset, of: dataset), text: "text")
            let rows = try table.ids.indices.map { (ExactName(table.ids[$0]), try table.texts($0)) }
            return Dictionary(rows) { _, last in last }
        }
        let (queries, documents, relevant) = (try texts(.queries), try texts(.corpus), try relevant(dataset))
        let found = try table(.bm25, of: dataset)
        let columns = try (found.requiredColumn("query-id"), found.requiredColumn("corpus-ids"))
        return try (0..<found.rowCount).map { row in
            func text(_ id: String, in texts: [ExactName: String], _ subset: Subset) throws -> String {
                guard let text = texts[ExactName(id)] else {
                    throw EvaluationError(
                        .malformed,
                        file: found.place(ofRow: row),
                        item: "id \(quoted(id))",
                        found: "is not in the \(subset.rawValue) of \(dataset.splitName)",
                        expected: "ids of that subset"
                    )
                }
                return text
            }
            let query = try found.ids(row: row, column: columns.0)[0]
            return RerankingSample(
                query: try text(query, in: queries, .queries),
                positives: try (relevant[ExactName(query)] ?? []).map { try text($0, in: documents, .corpus) },
                candidates: .documents(
                    try found.ids(row: row, column: columns.1).prefix(count).map {
                        try text($0, in: documents, .corpus)
                    }
                )
            )
        }
    }

    /// The ids of the relevant documents of each query, each once.
    private func relevant(_ dataset: NanoBEIRDataset) throws -> [ExactName: [String]] {
        let table = try table(.qrels, of: dataset)
        let (query, document) = try (table.requiredColumn("query-id"), table.requiredColumn("corpus-id"))
        var relevant: [ExactName: [String]] = [:]
        for row in 0..<table.rowCount {
            let id = ExactName(try table.ids(row: row, column: query)[0])
            for other in try table.ids(row: row, column: document)
            where relevant[id]?.contains(where: { ExactName($0) == ExactName(other) }) != true {
                relevant[id, default: []].append(other)
            }
        }
        return relevant
    }

    private func table(_ subset: Subset, of dataset: NanoBEIRDataset) throws -> any TextTable {
        let split = dataset.splitName
        let places = [
            (folder: FilePath.joined(path, subset.rawValue), stem: split),
            (folder: FilePath.joined(FilePath.joined(path, split), subset.rawValue), stem: nil),
            (folder: FilePath.joined(path, split), stem: subset.rawValue),
        ]
        for (folder, stem) in places where FilePath.kind(of: folder) == .folder {
            let files = try EvaluationError.translating { try FilePath.names(inFolder: folder) }.filter { name in
                stem.map { name.hasPrefix("\($0)-") || name.hasPrefix("\($0).") } ?? !name.hasPrefix(".")
            }
            if !files.isEmpty { return try TableOpening().open(files.map { FilePath.joined(folder, $0) }) }
        }
        throw EvaluationError(
            .missing,
            file: path,
            item: "\(subset.rawValue) of \(split)",
            found: "is not there",
            expected:
                "files such as \(subset.rawValue)/\(split)-00000-of-00001.parquet or \(subset.rawValue)/\(split).jsonl"
        )
    }
}

/// Texts that have ids.
struct IdentifiedRows {
    /// The ids, from the column `_id`.
    let ids: [String]
    /// The texts.
    let texts: TextColumn

    /// Reads the ids of a table.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - text: The name of the column of texts.
    /// - Throws: ``EvaluationError`` for a column that is missing and an id that is none; what reading throws.
    init(_ table: any TextTable, text: String) throws {
        let column = try table.requiredColumn("_id")
        ids = try (0..<table.rowCount).map { try table.ids(row: $0, column: column)[0] }
        texts = TextColumn(table, column: try table.requiredColumn(text))
    }
}

extension TextTable {
    /// The number of a column.
    ///
    /// - Throws: ``EvaluationError`` where there is none.
    func requiredColumn(_ name: String) throws -> Int {
        if let column = columnNames.firstIndex(of: name) { return column }
        throw EvaluationError(
            .missing,
            file: self.name,
            item: "column \(quoted(name))",
            found: "is not there",
            expected: "one beside \(listing(columnNames))"
        )
    }

    /// Ids, at least one: a text, a whole number as text, or a list of those.
    ///
    /// - Throws: ``EvaluationError`` for anything else; what reading throws.
    func ids(row: Int, column: Int) throws -> [String] {
        func id(_ value: TableValue) -> String? {
            switch value {
            case .text(let text): text
            case .integer(let number): "\(number)"
            case .null, .real, .boolean, .list: nil
            }
        }
        let value = try value(row: row, column: column)
        var values = [value]
        if case .list(let list) = value { values = list }
        let ids = values.compactMap(id)
        guard ids.count == values.count, !ids.isEmpty else {
            throw EvaluationError(
                .malformed,
                file: place(ofRow: row),
                item: "column \(quoted(columnNames[column]))",
                found: "holds \(value.kindText)",
                expected: "an id"
            )
        }
        return ids
    }
}
