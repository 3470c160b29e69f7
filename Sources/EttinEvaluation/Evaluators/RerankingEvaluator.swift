import EttinInference
import EttinJSON
import EttinModel

/// How well an embedding model ranks the documents of a query by cosine similarity.
///
/// Samples without positives or without negatives are left out.
///
/// > Source: sentence-transformers 6.2, `RerankingEvaluator`.
public final class RerankingEvaluator: Evaluator, SupplementedEvaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is: `ndcg@k`.
    public let primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let samples: EvaluationColumn<RerankingSample>
    private let k: Int
    private let truncateDimension: Int?
    private let writesTable: Bool

    private static let typeName = "RerankingEvaluator"
    /// Texts that are encoded at once, and some more: samples stay together.
    private static let blockTexts = 8192

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - samples: Queries with positives and negatives.
    ///   - k: How many documents count for MRR and nDCG.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - truncateDimension: The number of leading dimensions to keep; nil for what the model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` without samples, and for a k below 1.
    public init(
        _ samples: EvaluationColumn<RerankingSample>,
        k: Int = 10,
        name: String = "",
        truncateDimension: Int? = nil,
        writesTable: Bool = true
    ) throws {
        try checkLengths([samples.count], of: ["samples"], in: Self.typeName)
        try checkCutoff(k, in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        self.samples = samples
        self.k = k
        self.name = name
        self.truncateDimension = truncateDimension
        self.writesTable = writesTable
        primaryMetric = named("ndcg@\(k)", by: name)
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a sample that cannot be read, ``EvaluationError`` where none has
    ///   positives and negatives and for a table that cannot be written, what the model throws.
    public func evaluate(_ model: any TextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        try evaluate(model, at: place, adding: nil)
    }

    func evaluate(
        _ model: any TextVectors,
        at place: EvaluationPlace?,
        adding supplement: EvaluatorSupplement?
    ) throws -> [Metric] {
        var results: [RankingMetrics] = []
        var block: [Sample] = []
        var textCount = 0
        let blockTexts = model.textsAtOnce(Self.blockTexts)
        for row in 0..<samples.count {
            guard let sample = try sample(row) else { continue }
            block.append(sample)
            textCount += sample.documents.count
            guard textCount >= blockTexts else { continue }
            results += try measure(block, model)
            block = []
            textCount = 0
        }
        results += try measure(block, model)
        guard !results.isEmpty else {
            throw EvaluationError(
                .malformed,
                file: Self.typeName,
                found: "has no sample with positives and negatives",
                expected: "at least one"
            )
        }
        let mean = RankingMetrics(meanOf: results)
        let added = supplement?.metrics() ?? []
        if writesTable {
            let file = "RerankingEvaluator\(name.isEmpty ? "" : "_" + name)_results_@\(k).csv"
            try RankingMetrics.table(file, k: k, further: added.map(\.key))
                .append((mean.metrics(k: k) + added).map(\.value), at: place)
        }
        let metrics = (mean.metrics(k: k) + added).named(by: name)
        var settings: JSONObject = ["at_k": JSONValue(k)]
        if let truncateDimension { settings["truncate_dim"] = JSONValue(truncateDimension) }
        reports = [
            EvaluationReport(
                evaluator: supplement?.typeName ?? Self.typeName,
                name: name,
                primaryMetric: named("ndcg@\(k)", by: name),
                metrics: metrics,
                settings: supplement.settings(after: settings)
            )
        ]
        return metrics
    }

    private struct Sample {
        let query: String
        /// The positives, then the others.
        let documents: [String]
        let positiveCount: Int
    }

    private func sample(_ row: Int) throws -> Sample? {
        let sample = try samples(row)
        guard case .negatives(let negatives) = sample.candidates else {
            throw EvaluationError(
                .malformed,
                file: samples.place(of: row),
                found: "has documents of a retriever",
                expected: "a column \"negative\", as \(Self.typeName) takes it"
            )
        }
        guard !sample.positives.isEmpty, !negatives.isEmpty else { return nil }
        return Sample(
            query: sample.query,
            documents: sample.positives + negatives,
            positiveCount: sample.positives.count
        )
    }

    private func measure(_ samples: [Sample], _ model: any TextVectors) throws -> [RankingMetrics] {
        guard !samples.isEmpty else { return [] }
        func vectors(_ texts: [String], _ role: TextRole) throws -> TextEmbeddings {
            try model.vectors(
                of: texts,
                role: role,
                prompt: .default,
                truncateDimension: truncateDimension,
                normalize: false
            )
        }
        let queries = try vectors(samples.map(\.query), .query)
        let documents = try vectors(samples.flatMap(\.documents), .document)
        var next = 0
        return samples.enumerated().map { place, sample in
            let scores = sample.documents.indices.map { document in
                Double(EmbeddingSimilarity.cosine.score(queries[place], documents[next + document]))
            }
            next += sample.documents.count
            let isRelevant = sample.documents.indices.map { $0 < sample.positiveCount }
            return RankingMetrics(isRelevant, scores, k: k, ties: .earlier)
        }
    }
}

/// Refuses a k below 1.
func checkCutoff(_ k: Int, in evaluator: String) throws {
    guard k < 1 else { return }
    throw EvaluationError(.invalidOption, file: evaluator, item: "at_k", found: "is \(k)", expected: "1 or more")
}
