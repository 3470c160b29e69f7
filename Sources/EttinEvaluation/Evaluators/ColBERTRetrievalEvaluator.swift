import EttinFiles
import EttinInference
import EttinJSON
import Torch

/// Retrieval from a corpus by late interaction.
///
/// > Source: PyLate 1.6, `PyLateInformationRetrievalEvaluator`.
package final class ColBERTRetrievalEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    package let name: String
    /// `MaxSim_ndcg@10`, with the name in front.
    package let primaryMetric: String?
    /// What was measured last.
    package private(set) var reports: [EvaluationReport] = []
    private let data: RetrievalData
    private let settings: RetrievalEvaluatorSettings

    static let typeName = "PyLateInformationRetrievalEvaluator"
    /// What metrics and files call the similarity.
    static let similarity = "MaxSim"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - data: Queries, corpus and judgements.
    ///   - settings: How to measure; similarities and dimensions have no part in it.
    ///   - name: What the keys of metrics and the names of files have in them.
    /// - Throws: ``EvaluationError`` for impossible settings, and for a query without a relevant document.
    package init(
        _ data: RetrievalData,
        settings: RetrievalEvaluatorSettings = RetrievalEvaluatorSettings(),
        name: String = ""
    ) throws {
        try settings.check(in: Self.typeName)
        if settings.writesTable || settings.writesPredictions { try checkFileName(name, in: Self.typeName) }
        self.data = try data.withRelevantDocuments()
        self.settings = settings
        self.name = name
        primaryMetric = named(Self.primaryKey(settings), by: name)
    }

    /// The key of the metric that one number for the model is.
    static func primaryKey(_ settings: RetrievalEvaluatorSettings) -> String {
        "\(similarity)_ndcg@\(settings.cutoffs.ndcg.max() ?? 1)"
    }

    /// The keys of metrics with their values, as the original orders them.
    static func metrics(
        _ values: [String: Double],
        _ settings: RetrievalEvaluatorSettings,
        name: String
    ) -> [Metric] {
        settings.cutoffs.keys.map { (named("\(similarity)_\($0)", by: name), values[$0] ?? 0) }
    }

    /// The table that gets a line with each evaluation.
    static func table(_ file: String, _ settings: RetrievalEvaluatorSettings) -> EvaluationTable {
        let columns = settings.cutoffs.columns.map { "\(similarity)-\($0.header)" }
        return EvaluationTable(file: file, columns: columns, lineEnd: "\n")
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a file that
    ///   cannot be written, what the model throws.
    package func evaluate(_ model: any TokenVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let values = try self.values(model, at: place)
        let metrics = Self.metrics(values, settings, name: name)
        if settings.writesTable {
            let file = "Information-Retrieval_evaluation\(name.isEmpty ? "" : "_" + name)_results.csv"
            try Self.table(file, settings).append(settings.row([values]), at: place)
        }
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                name: name,
                primaryMetric: primaryMetric ?? "",
                metrics: metrics,
                settings: settings.description
            )
        ]
        return metrics
    }

    /// The metrics by their keys without names.
    private func values(_ model: any TokenVectors, at place: EvaluationPlace?) throws -> [String: Double] {
        var ranking = DocumentRanking(data, depth: settings.cutoffs.deepest)
        ranking.chunkSize = settings.corpusChunkSize
        ranking.queryPrompt = settings.queryPrompt
        ranking.documentPrompt = settings.corpusPrompt
        let rankings = try ranking(model)
        if settings.writesPredictions, let folder = place?.folder { try write(rankings, toFolder: folder) }
        let relevance = rankings.enumerated().map { query, documents in
            documents.map { (data.judgements[query][ExactName(data.documentIDs[$0.document])] ?? 0) > 0 }
        }
        return settings.cutoffs.metrics(relevance, relevantCounts: data.judgements.map { $0.values.count { $0 > 0 } })
    }

    /// Writes what was found for each query.
    private func write(_ rankings: [[RankedDocument]], toFolder folder: String) throws {
        let part = name.isEmpty ? "" : "_" + name
        let file = "Information-Retrieval_evaluation\(part)_predictions_\(Self.similarity).jsonl"
        try EvaluationError.translating {
            try FilePath.makeFolder(folder)
            let output = try AtomicFile(path: FilePath.joined(folder, file))
            for (query, documents) in rankings.enumerated() {
                let results = documents.map { hit -> JSONValue in
                    ["corpus_id": .string(data.documentIDs[hit.document]), "score": JSONValue(Double(hit.score))]
                }
                let line: JSONValue = [
                    "query_id": .string(data.queryIDs[query]), "query": .string(try data.queries(query)),
                    "results": .array(results),
                ]
                try output.write(line.serialized() + [UInt8(ascii: "\n")])
            }
            try output.commit()
        }
    }
}

extension DocumentRanking {
    /// Documents whose vectors exist at a time.
    private static let documentsAtOnce = 512
    /// Queries whose scores exist at a time.
    private static let queriesAtOnce = 64

    /// Finds the documents with the highest scores by late interaction.
    ///
    /// - Parameter model: The model.
    /// - Returns: For each query the documents, best first.
    /// - Throws: What the model and the texts throw; `CancellationError`.
    fileprivate func callAsFunction(_ model: any TokenVectors) throws -> [[RankedDocument]] {
        let count = data.queryIDs.count
        let texts = try data.queries(0..<count)
        let queries = try stride(from: 0, to: count, by: Self.queriesAtOnce).map { begin in
            let some = Array(texts[begin..<min(count, begin + Self.queriesAtOnce)])
            return try model.vectors(of: model.prepared(some, as: .query, prompt: queryPrompt))
        }
        var rankings = [[RankedDocument]](repeating: [], count: count)
        for chunk in chunks() {
            // The documents of a chunk of the original are padded to the longest of them.
            let prepared = try model.prepared(
                chunk.map { try data.documents(Int($0)) },
                as: .document,
                prompt: documentPrompt
            )
            let longest = prepared.lazy.map(model.vectorCount).max() ?? 0
            for begin in stride(from: 0, to: prepared.count, by: Self.documentsAtOnce) {
                let some = begin..<min(prepared.count, begin + Self.documentsAtOnce)
                let documents = try model.vectors(of: Array(prepared[some]))
                let ids = chunk[chunk.startIndex + some.lowerBound..<chunk.startIndex + some.upperBound]
                for (block, vectors) in queries.enumerated() {
                    try Task.checkCancellation()
                    let scores = try LateInteractionScores.scores(vectors, documents, .all, paddedLength: longest)
                    for query in 0..<vectors.count {
                        let own = Array(scores[query * some.count..<(query + 1) * some.count])
                        take(own, of: ids, into: &rankings[block * Self.queriesAtOnce + query])
                    }
                }
            }
        }
        return finished(rankings)
    }
}
