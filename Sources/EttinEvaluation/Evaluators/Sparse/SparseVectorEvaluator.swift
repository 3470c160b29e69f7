import EttinInference

/// An evaluator of vectors, for sparse models: its metrics, and how sparse the texts are.
///
/// ```swift
/// let evaluator = try SparseVectorEvaluator(TripletEvaluator(table, name: "dev"), maxActiveDimensions: 64)
/// ```
///
/// > Source: sentence-transformers 6.2, `SparseTripletEvaluator`, `SparseBinaryClassificationEvaluator`,
/// > `SparseEmbeddingSimilarityEvaluator` and `SparseRerankingEvaluator`.
public final class SparseVectorEvaluator: Evaluator {
    private let base: any SupplementedEvaluator
    private let typeName: String
    private let maxActiveDimensions: Int?
    private let countsTextsOnce: Bool
    private let groups: [String]
    private let group: (_ call: Int, _ role: TextRole?) -> Int

    private init(
        _ base: any SupplementedEvaluator,
        _ typeName: String,
        _ maxActiveDimensions: Int?,
        countsTextsOnce: Bool = false,
        groups: [String],
        group: @escaping (_ call: Int, _ role: TextRole?) -> Int
    ) throws {
        try checkSparse(maxActiveDimensions, in: typeName)
        self.base = base
        self.typeName = typeName
        self.maxActiveDimensions = maxActiveDimensions
        self.countsTextsOnce = countsTextsOnce
        self.groups = groups
        self.group = group
    }

    /// Measures triplets, with figures of anchors, positives and negatives.
    ///
    /// - Parameters:
    ///   - base: The evaluator.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Throws: ``EvaluationError`` for a maximum below 1.
    public convenience init(_ base: TripletEvaluator, maxActiveDimensions: Int? = nil) throws {
        let groups = ["anchor", "positive", "negative"]
        try self.init(base, "SparseTripletEvaluator", maxActiveDimensions, groups: groups) { call, _ in call % 3 }
    }

    /// Measures pairs that belong together or not, with figures of all different texts.
    ///
    /// - Parameters:
    ///   - base: The evaluator.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Throws: ``EvaluationError`` for a maximum below 1.
    public convenience init(_ base: BinaryClassificationEvaluator, maxActiveDimensions: Int? = nil) throws {
        let name = "SparseBinaryClassificationEvaluator"
        // The original encodes each text once.
        try self.init(base, name, maxActiveDimensions, countsTextsOnce: true, groups: [""]) { _, _ in 0 }
    }

    /// Measures scores of pairs, with figures of all texts.
    ///
    /// - Parameters:
    ///   - base: The evaluator.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Throws: ``EvaluationError`` for a maximum below 1.
    public convenience init(_ base: EmbeddingSimilarityEvaluator, maxActiveDimensions: Int? = nil) throws {
        try self.init(base, "SparseEmbeddingSimilarityEvaluator", maxActiveDimensions, groups: [""]) { _, _ in 0 }
    }

    /// Measures lists of documents, with figures of queries and documents.
    ///
    /// - Parameters:
    ///   - base: The evaluator.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    /// - Throws: ``EvaluationError`` for a maximum below 1.
    public convenience init(_ base: RerankingEvaluator, maxActiveDimensions: Int? = nil) throws {
        try self.init(base, "SparseRerankingEvaluator", maxActiveDimensions, groups: ["query", "corpus"]) {
            $1 == .query ? 0 : 1
        }
    }

    /// What the keys of metrics and the names of files have in them; empty for none.
    public var name: String { base.name }
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public var primaryMetric: String? { base.primaryMetric }
    /// What was measured last.
    public var reports: [EvaluationReport] { base.reports }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: As the evaluator of vectors; ``EvaluationError`` for one that truncates vectors or changes their numbers.
    public func evaluate(_ model: any SparseTextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let vectors = WidenedVectors(
            model,
            maxActiveDimensions: maxActiveDimensions,
            countsTextsOnce: countsTextsOnce,
            groups: groups,
            group: group
        )
        let supplement = EvaluatorSupplement(
            typeName: typeName,
            settings: sparseSettings(maxActiveDimensions),
            metrics: { vectors.sparsity }
        )
        return try base.evaluate(vectors, at: place, adding: supplement)
    }
}
