import EttinFiles
public import EttinInference
import EttinJSON
import EttinTokenizer

/// How well a reranker ranks the documents of a query, and how well a retriever had.
///
/// > Source: sentence-transformers 6.2, `CrossEncoderRerankingEvaluator`.
public final class CrossEncoderRerankingEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is: `ndcg@k`.
    public let primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let samples: EvaluationColumn<RerankingSample>
    private let k: Int
    private let ranksAllPositives: Bool
    private let prompt: RerankingPipeline.Prompt
    private let writesTable: Bool

    static let typeName = "CrossEncoderRerankingEvaluator"
    /// Pairs that are scored at once, and some more: samples stay together.
    private static let blockPairs = 8192

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - samples: Queries with positives, and with negatives or with what a retriever found.
    ///   - k: How many documents count for MRR and nDCG.
    ///   - ranksAllPositives: Whether positives that the retriever missed are ranked too (`always_rerank_positives`);
    ///     otherwise they are left out, and a query without a positive among the documents counts as 0.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - prompt: What to put before each query.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` without samples, and for a k below 1.
    public init(
        _ samples: EvaluationColumn<RerankingSample>,
        k: Int = 10,
        ranksAllPositives: Bool = true,
        name: String = "",
        prompt: RerankingPipeline.Prompt = .default,
        writesTable: Bool = true
    ) throws {
        try checkLengths([samples.count], of: ["samples"], in: Self.typeName)
        try checkCutoff(k, in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        self.samples = samples
        self.k = k
        self.ranksAllPositives = ranksAllPositives
        self.name = name
        self.prompt = prompt
        self.writesTable = writesTable
        primaryMetric = named("ndcg@\(k)", by: name)
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The reranker.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front; those of the retriever have `base_` before
    ///   their keys.
    /// - Throws: `TableError` or ``EvaluationError`` for a sample that cannot be read, ``EvaluationError`` for a table that
    ///   cannot be written, what the model throws.
    public func evaluate(_ model: any PairScores, at place: EvaluationPlace? = nil) throws -> [Metric] {
        var results: [RankingMetrics] = []
        var base: [RankingMetrics] = []
        var block: [List] = []
        var pairCount = 0
        for row in 0..<samples.count {
            let sample = try samples(row)
            if case .documents(let documents) = sample.candidates, !documents.isEmpty {
                base.append(baseMetrics(sample.positives, documents))
            }
            let list = list(of: sample)
            block.append(list)
            pairCount += list.documents.count
            guard pairCount >= Self.blockPairs else { continue }
            results += try measure(block, model)
            block = []
            pairCount = 0
        }
        results += try measure(block, model)
        let mean = RankingMetrics(meanOf: results)
        if writesTable {
            let file = "CrossEncoderRerankingEvaluator\(name.isEmpty ? "" : "_" + name)_results_@\(k).csv"
            try RankingMetrics.table(file, k: k).append(mean.metrics(k: k).map(\.value), at: place)
        }
        var metrics: [Metric] = mean.metrics(k: k)
        var settings: JSONObject = ["at_k": JSONValue(k)]
        if !base.isEmpty {
            metrics += RankingMetrics(meanOf: base).metrics(k: k, prefix: "base_")
            settings["always_rerank_positives"] = .bool(ranksAllPositives)
        }
        metrics = metrics.map { (named($0.key, by: name), $0.value) }
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                name: name,
                primaryMetric: named("ndcg@\(k)", by: name),
                metrics: metrics,
                settings: settings
            )
        ]
        return metrics
    }

    /// The documents that are ranked for a query.
    private struct List {
        let query: String
        let documents: [String]
        let isRelevant: [Bool]

        /// Without a relevant document nothing needs to be scored.
        var isScored: Bool { isRelevant.contains(true) }
    }

    private func list(of sample: RerankingSample) -> List {
        let positives = sample.positives
        let others: [String]
        switch sample.candidates {
        case .negatives(let negatives): others = negatives
        case .documents(let documents):
            let known = Set(positives.map { ExactName($0) })
            guard ranksAllPositives || documents.isEmpty else {
                return List(
                    query: sample.query,
                    documents: documents,
                    isRelevant: documents.map { known.contains(ExactName($0)) }
                )
            }
            others = documents.filter { !known.contains(ExactName($0)) }
        }
        return List(
            query: sample.query,
            documents: positives + others,
            isRelevant: positives.map { _ in true } + others.map { _ in false }
        )
    }

    /// The metrics of the retriever's order, with the positives that it missed at the end.
    private func baseMetrics(_ positives: [String], _ documents: [String]) -> RankingMetrics {
        let known = Set(positives.map { ExactName($0) })
        var isRelevant = documents.map { known.contains(ExactName($0)) }
        let found = isRelevant.count { $0 }
        guard found > 0 else { return .zero }
        isRelevant += [Bool](repeating: true, count: max(0, positives.count - found))
        let scores = isRelevant.indices.map { Double(isRelevant.count - $0) }
        return RankingMetrics(isRelevant, scores, k: k, ties: .later)
    }

    private func measure(_ lists: [List], _ model: any PairScores) throws -> [RankingMetrics] {
        let pairs = lists.filter(\.isScored).flatMap { list in list.documents.map { TextPair(list.query, $0) } }
        let scores = pairs.isEmpty ? [] : try model.pairScores(of: pairs, prompt: prompt)
        var next = 0
        return lists.map { list in
            guard list.isScored else { return .zero }
            defer { next += list.documents.count }
            return RankingMetrics(
                list.isRelevant,
                Array(scores[next..<next + list.documents.count]),
                k: k,
                ties: .later
            )
        }
    }
}
