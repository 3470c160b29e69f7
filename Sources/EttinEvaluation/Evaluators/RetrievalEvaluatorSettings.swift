public import EttinInference
import EttinJSON
public import EttinModel

/// Settings that evaluators of retrieval share; the defaults are those of sentence-transformers.
public struct RetrievalEvaluatorSettings: Sendable {
    /// The cut-offs of the metrics.
    public var cutoffs = RetrievalCutoffs()
    /// How to compare; empty for what the model says.
    public var similarities: [EmbeddingSimilarity] = []
    /// The similarity of the primary metric; nil for the best.
    public var mainSimilarity: EmbeddingSimilarity?
    /// What to put before each query; `.default` for the model's prompt for queries.
    public var queryPrompt = TextEmbeddingPipeline.Prompt.default
    /// What to put before each document; `.default` for the model's prompt for documents.
    public var corpusPrompt = TextEmbeddingPipeline.Prompt.default
    /// The number of leading dimensions to keep; nil for what the model says.
    public var truncateDimension: Int?
    /// How many documents are encoded at a time.
    public var corpusChunkSize = 50_000
    /// Whether to write a table (CSV).
    public var writesTable = true
    /// Whether to write what was found (JSON Lines).
    public var writesPredictions = false

    /// Creates settings with the defaults of sentence-transformers.
    public init() {}
}

/// The metric that one number for a model is, which stays through a run: the similarity that was best at first.
///
/// > Source: sentence-transformers 6.2, `InformationRetrievalEvaluator.__call__`.
struct PrimaryRetrievalMetric {
    private var chosen: (similarities: [EmbeddingSimilarity], key: String)?

    /// The key, with the name of the evaluator in front; chosen anew for a model with other similarities.
    mutating func key(
        _ scores: [[String: Double]],
        _ similarities: [EmbeddingSimilarity],
        _ settings: RetrievalEvaluatorSettings,
        name: String
    ) -> String {
        if let chosen, chosen.similarities == similarities { return chosen.key }
        let key = named(settings.primaryKey(scores, similarities), by: name)
        chosen = (similarities, key)
        return key
    }
}

extension RetrievalEvaluatorSettings {
    /// Refuses settings that are impossible.
    func check(in evaluator: String) throws {
        let cutoffs = [
            ("mrr_at_k", cutoffs.mrr), ("ndcg_at_k", cutoffs.ndcg), ("accuracy_at_k", cutoffs.accuracy),
            ("precision_recall_at_k", cutoffs.precisionRecall), ("map_at_k", cutoffs.map),
        ]
        for (name, values) in cutoffs
        where values.isEmpty || values.contains(where: { $0 < 1 }) || Set(values).count < values.count {
            throw EvaluationError(
                .invalidOption,
                file: evaluator,
                item: name,
                found: "is \(values)",
                expected: "one or more different numbers from 1"
            )
        }
        guard corpusChunkSize < 1 else { return }
        throw EvaluationError(
            .invalidOption,
            file: evaluator,
            item: "corpus_chunk_size",
            found: "is \(corpusChunkSize)",
            expected: "1 or more"
        )
    }

    /// How to compare, in the order of names; as the model says where nothing else does.
    func orderedSimilarities(else own: EmbeddingSimilarity) -> [EmbeddingSimilarity] {
        similarities.isEmpty ? [own] : Set(similarities).sorted { $0.rawValue < $1.rawValue }
    }

    /// The key of the metric that one number for the model is, for a similarity.
    func primaryKey(_ similarity: EmbeddingSimilarity) -> String {
        "\(similarity.rawValue)_ndcg@\(cutoffs.ndcg.max() ?? 1)"
    }

    /// The key for the main similarity, or the best.
    func primaryKey(_ scores: [[String: Double]], _ similarities: [EmbeddingSimilarity]) -> String {
        if let mainSimilarity { return primaryKey(mainSimilarity) }
        let key = "ndcg@\(cutoffs.ndcg.max() ?? 1)"
        var best = 0
        for place in scores.indices where (scores[place][key] ?? 0) > (scores[best][key] ?? 0) { best = place }
        return primaryKey(similarities[best])
    }

    /// The metrics of each similarity, with names in front.
    func metrics(_ scores: [[String: Double]], _ similarities: [EmbeddingSimilarity], name: String) -> [Metric] {
        zip(similarities, scores).flatMap { similarity, values in
            cutoffs.keys.map { (named("\(similarity.rawValue)_\($0)", by: name), values[$0] ?? 0) }
        }
    }

    /// The table that gets a line with each evaluation.
    func table(
        _ file: String,
        _ similarities: [EmbeddingSimilarity],
        further others: [String] = []
    ) -> EvaluationTable {
        let columns = similarities.flatMap { similarity in
            cutoffs.columns.map { "\(similarity.rawValue)-\($0.header)" }
        }
        // What adds columns writes the table anew, by Python's `csv`.
        return EvaluationTable(file: file, columns: columns + others, lineEnd: others.isEmpty ? "\n" : "\r\n")
    }

    /// A line of the table.
    func row(_ scores: [[String: Double]]) -> [Double] {
        scores.flatMap { values in cutoffs.columns.map { values[$0.key] ?? 0 } }
    }

    /// The settings that model cards tell.
    var description: JSONObject {
        var settings: JSONObject = [:]
        if let truncateDimension { settings["truncate_dim"] = JSONValue(truncateDimension) }
        for (part, prompt) in [("query", queryPrompt), ("corpus", corpusPrompt)] {
            switch prompt {
            case .default, .none: break
            case .text(let text): settings["\(part)_prompt"] = .string(text)
            case .named(let name): settings["\(part)_prompt_name"] = .string(name)
            }
        }
        return settings
    }
}
