package import EttinFiles

/// Queries, a corpus, and which documents are relevant to which query.
///
/// Texts are read when they are asked for; ids are compared by their bytes, which is the order of Python's strings and of
/// trec_eval.
public struct RetrievalData: Sendable {
    /// The ids of the queries that have judgements.
    package let queryIDs: [String]
    /// Their texts.
    package let queries: TextColumn
    /// The ids of the documents.
    package let documentIDs: [String]
    /// Their texts.
    package let documents: TextColumn
    /// The grades of documents for each query; those above 0 are relevant.
    package let judgements: [Judgements]
    /// The documents by their ids, ascending.
    package let documentOrder: [Int32]

    /// The grades of the documents that were judged for a query.
    package typealias Judgements = [ExactName: Int]

    /// Takes texts and judgements.
    ///
    /// - Parameters:
    ///   - queries: The queries with their ids; those without judgements are left out.
    ///   - corpus: The documents with their ids.
    ///   - relevant: The ids of the relevant documents for the id of each query.
    /// - Throws: ``EvaluationError`` for an id that occurs twice, and without documents or judged queries.
    public init(
        queries: [(id: String, text: String)],
        corpus: [(id: String, text: String)],
        relevant: [String: Set<String>]
    ) throws {
        try self.init(
            queryIDs: queries.map(\.id),
            queries: TextColumn(queries.map(\.text)),
            documentIDs: corpus.map(\.id),
            documents: TextColumn(corpus.map(\.text)),
            judgements: Dictionary(
                uniqueKeysWithValues: relevant.map { query, documents in
                    (ExactName(query), Dictionary(uniqueKeysWithValues: documents.map { (ExactName($0), 1) }))
                }
            )
        )
    }

    /// Takes texts and judgements.
    ///
    /// - Parameters:
    ///   - queryIDs: The ids of the queries.
    ///   - queries: Their texts.
    ///   - documentIDs: The ids of the documents.
    ///   - documents: Their texts.
    ///   - judgements: The grades of documents for the id of each query that has some.
    ///   - name: What messages call the data.
    /// - Throws: ``EvaluationError`` for an id that occurs twice, and without documents or judged queries.
    package init(
        queryIDs: [String],
        queries: TextColumn,
        documentIDs: [String],
        documents: TextColumn,
        judgements: [ExactName: Judgements],
        name: String = "retrieval data"
    ) throws {
        try Self.requireUnique(queryIDs, queries, "query", name)
        try Self.requireUnique(documentIDs, documents, "document", name)
        let judged = queryIDs.indices.filter { judgements[ExactName(queryIDs[$0])]?.isEmpty == false }
        guard !judged.isEmpty else {
            throw EvaluationError(
                .malformed,
                file: name,
                found: "judges none of the \(queryIDs.count) queries",
                expected: "judgements whose query ids are those of the queries"
            )
        }
        guard let count = Int32(exactly: documentIDs.count), count > 0 else {
            throw EvaluationError(
                .malformed,
                file: name,
                found: "has \(documentIDs.count) documents",
                expected: "1 to \(Int32.max)"
            )
        }
        self.queryIDs = judged.map { queryIDs[$0] }
        self.queries = queries.selecting(judged)
        self.judgements = judged.map { judgements[ExactName(queryIDs[$0])] ?? [:] }
        self.documentIDs = documentIDs
        self.documents = documents
        documentOrder = (0..<count).sorted { ExactName(documentIDs[Int($0)]) < ExactName(documentIDs[Int($1)]) }
    }

    private static func requireUnique(_ ids: [String], _ texts: TextColumn, _ kind: String, _ name: String) throws {
        var seen = Set<ExactName>(minimumCapacity: ids.count)
        for (row, id) in ids.enumerated() where !seen.insert(ExactName(id)).inserted {
            throw EvaluationError(
                .malformed,
                file: name,
                item: "\(kind) \(quoted(id))",
                found: "occurs a second time (\(texts.place(of: row)))",
                expected: "each id once"
            )
        }
    }

    /// The same data with the queries that have a relevant document.
    ///
    /// - Throws: ``EvaluationError`` where none has.
    package func withRelevantDocuments() throws -> RetrievalData {
        let kept = queryIDs.indices.filter { judgements[$0].values.contains { $0 > 0 } }
        guard kept.count < queryIDs.count else { return self }
        guard !kept.isEmpty else {
            throw EvaluationError(
                .malformed,
                file: "retrieval data",
                found: "has no query with a relevant document",
                expected: "at least one"
            )
        }
        return RetrievalData(self, keeping: kept)
    }

    private init(_ other: RetrievalData, keeping queries: [Int]) {
        queryIDs = queries.map { other.queryIDs[$0] }
        self.queries = other.queries.selecting(queries)
        judgements = queries.map { other.judgements[$0] }
        documentIDs = other.documentIDs
        documents = other.documents
        documentOrder = other.documentOrder
    }
}
