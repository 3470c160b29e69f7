import EttinFiles
public import EttinTables

/// A query with documents to rank.
public struct RerankingSample: Sendable, Hashable {
    /// What is ranked besides the positives.
    public enum Candidates: Sendable, Hashable {
        /// Documents that are not relevant.
        case negatives([String])
        /// What a retriever found, in its order; positives may be among them.
        case documents([String])
    }

    /// The query.
    public let query: String
    /// The relevant documents.
    public let positives: [String]
    /// What is ranked besides them.
    public let candidates: Candidates

    /// Describes a sample.
    ///
    /// - Parameters:
    ///   - query: The query.
    ///   - positives: The relevant documents.
    ///   - candidates: What is ranked besides them.
    public init(query: String, positives: [String], candidates: Candidates) {
        self.query = query
        self.positives = positives
        self.candidates = candidates
    }
}

extension EvaluationColumn where Value == RerankingSample {
    /// Takes the samples of a table by the names of its columns: `query`, `positive`, and `negative` or `documents`.
    ///
    /// The last three hold a text or a list of texts.
    ///
    /// - Parameter table: The samples, which stay where they are.
    /// - Throws: ``EvaluationError`` for a table without these columns, or with both of the last two.
    public init(_ table: any TextTable) throws {
        let evaluator = "reranking samples"
        let columns = TableColumns(table)
        let query = TextColumn(table, column: try columns.column("query", in: evaluator))
        let positives = EvaluationColumn<[String]>(table, column: try columns.column("positive", in: evaluator))
        let documents = columns.optionalColumn("documents")
        if documents != nil, columns.optionalColumn("negative") != nil {
            throw EvaluationError(
                .malformed,
                file: evaluator,
                item: "data",
                found: "has columns named \"negative\" and \"documents\"",
                expected: "one of the two"
            )
        }
        let others = EvaluationColumn<[String]>(
            table,
            column: try documents ?? columns.column("negative", in: evaluator)
        )
        self.init(count: table.rowCount, place: { table.place(ofRow: $0) }) { row in
            let texts = try others(row)
            return RerankingSample(
                query: try query(row),
                positives: try positives(row),
                candidates: documents == nil ? .negatives(texts) : .documents(texts)
            )
        }
    }
}
