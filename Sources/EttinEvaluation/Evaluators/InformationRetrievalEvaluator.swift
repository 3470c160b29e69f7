import EttinFiles
import EttinInference
import EttinJSON
import EttinModel

/// Retrieval: for each query the nearest documents, and how many of the relevant ones are among the first.
///
/// The rules are those that models are compared by during training: gains are 0 or 1, equal scores are ordered by
/// ascending id, MAP@k is divided by the smaller of k and the number of relevant documents. ``RetrievalEvaluation``
/// follows trec_eval instead.
///
/// > Source: sentence-transformers 6.2, `InformationRetrievalEvaluator`.
public final class InformationRetrievalEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public private(set) var primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    let settings: RetrievalEvaluatorSettings
    private let data: RetrievalData
    private var primary = PrimaryRetrievalMetric()

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - data: Queries, corpus and relevant documents; queries without a relevant one are left out.
    ///   - settings: How to measure.
    ///   - name: What the keys of metrics and the names of files have in them.
    /// - Throws: ``EvaluationError`` where no query has a relevant document, and for settings that are impossible.
    public init(
        _ data: RetrievalData,
        settings: RetrievalEvaluatorSettings = RetrievalEvaluatorSettings(),
        name: String = ""
    ) throws {
        try settings.check(in: Self.typeName)
        if settings.writesTable || settings.writesPredictions { try checkFileName(name, in: Self.typeName) }
        self.data = try data.withRelevantDocuments()
        self.settings = settings
        self.name = name
        primaryMetric = settings.mainSimilarity.map { named(settings.primaryKey($0), by: name) }
    }

    static let typeName = "InformationRetrievalEvaluator"

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a file that
    ///   cannot be written, what the model throws.
    public func evaluate(_ model: any TextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let similarities = settings.orderedSimilarities(else: model.similarity)
        return try evaluate(ranking(model, similarities: similarities), similarities, at: place)
    }

    /// What is searched, and how.
    var ranking: DocumentRanking {
        var ranking = DocumentRanking(data, depth: settings.cutoffs.deepest)
        ranking.chunkSize = settings.corpusChunkSize
        ranking.queryPrompt = settings.queryPrompt
        ranking.documentPrompt = settings.corpusPrompt
        ranking.truncateDimension = settings.truncateDimension
        return ranking
    }

    /// Measures what was found.
    ///
    /// - Parameters:
    ///   - rankings: For each similarity and query the documents, best first.
    ///   - similarities: How was compared.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    ///   - supplement: What to measure besides; nil for nothing.
    /// - Returns: As ``evaluate(_:at:)``, the metrics of the supplement last.
    /// - Throws: ``EvaluationError`` for a file that cannot be written.
    func evaluate(
        _ rankings: [[[RankedDocument]]],
        _ similarities: [EmbeddingSimilarity],
        at place: EvaluationPlace?,
        adding supplement: EvaluatorSupplement? = nil
    ) throws -> [Metric] {
        if settings.writesPredictions, let folder = place?.folder {
            for (similarity, ranking) in zip(similarities, rankings) {
                try write(ranking, of: similarity, toFolder: folder)
            }
        }
        let scores = rankings.map(metrics)
        let added = supplement?.metrics() ?? []
        let metrics = settings.metrics(scores, similarities, name: name) + added.named(by: name)
        if settings.writesTable {
            let file = "Information-Retrieval_evaluation\(name.isEmpty ? "" : "_" + name)_results.csv"
            try settings.table(file, similarities, further: added.map(\.key))
                .append(settings.row(scores) + added.map(\.value), at: place)
        }
        let primary = primary.key(scores, similarities, settings, name: name)
        primaryMetric = primary
        reports = [
            EvaluationReport(
                evaluator: supplement?.typeName ?? Self.typeName,
                name: name,
                primaryMetric: primary,
                metrics: metrics,
                settings: supplement.settings(after: settings.description)
            )
        ]
        return metrics
    }

    private func metrics(_ rankings: [[RankedDocument]]) -> [String: Double] {
        let relevance = rankings.enumerated().map { query, documents in
            documents.map { (data.judgements[query][ExactName(data.documentIDs[$0.document])] ?? 0) > 0 }
        }
        let counts = data.judgements.map { $0.values.count { $0 > 0 } }
        return settings.cutoffs.metrics(relevance, relevantCounts: counts)
    }

    /// Writes what was found for each query.
    private func write(
        _ rankings: [[RankedDocument]],
        of similarity: EmbeddingSimilarity,
        toFolder folder: String
    ) throws {
        let part = name.isEmpty ? "" : "_" + name
        let file = "Information-Retrieval_evaluation\(part)_predictions_\(similarity.rawValue).jsonl"
        try EvaluationError.translating {
            try FilePath.makeFolder(folder)
            let output = try AtomicFile(path: FilePath.joined(folder, file))
            for (query, documents) in rankings.enumerated() {
                let results = documents.map { hit -> JSONValue in
                    [
                        "corpus_id": .string(data.documentIDs[hit.document]),
                        "score": JSONValue(Double(hit.score)),
                    ]
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
