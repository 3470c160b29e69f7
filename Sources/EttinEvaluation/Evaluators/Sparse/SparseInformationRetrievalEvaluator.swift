import EttinJSON
import EttinModel

/// Retrieval by weights of a vocabulary: what ``InformationRetrievalEvaluator`` measures, and how sparse queries and corpus
/// are.
///
/// The metrics end in `query_active_dims`, `query_sparsity_ratio`, `corpus_active_dims`, `corpus_sparsity_ratio` and
/// `avg_flops`.
///
/// > Source: sentence-transformers 6.2, `SparseInformationRetrievalEvaluator`.
public final class SparseInformationRetrievalEvaluator: Evaluator {
    private let base: InformationRetrievalEvaluator
    private let maxActiveDimensions: Int?
    /// How sparse the texts were that were measured last.
    private(set) var sparsity: RetrievalSparsity?

    static let typeName = "SparseInformationRetrievalEvaluator"

    /// Creates an evaluator.
    ///
    /// - Parameters:
    ///   - data: Queries, corpus and relevant documents; queries without a relevant one are left out.
    ///   - settings: How to measure.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    ///   - name: What the keys of metrics and the names of files have in them.
    /// - Throws: ``EvaluationError`` where no query has a relevant document, and for settings that are impossible.
    public init(
        _ data: RetrievalData,
        settings: RetrievalEvaluatorSettings = RetrievalEvaluatorSettings(),
        maxActiveDimensions: Int? = nil,
        name: String = ""
    ) throws {
        try checkSparse(maxActiveDimensions, truncateDimension: settings.truncateDimension, in: Self.typeName)
        base = try InformationRetrievalEvaluator(data, settings: settings, name: name)
        self.maxActiveDimensions = maxActiveDimensions
    }

    /// What the keys of metrics and the names of files have in them; empty for none.
    public var name: String { base.name }
    /// The metric that one number for the model is; nil where its similarity decides and none was measured yet.
    public var primaryMetric: String? { base.primaryMetric }
    /// What was measured last.
    public var reports: [EvaluationReport] { base.reports }
    var settings: RetrievalEvaluatorSettings { base.settings }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a file that
    ///   cannot be written, what the model throws.
    public func evaluate(_ model: any SparseTextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        let similarities = base.settings.orderedSimilarities(else: model.similarity)
        let (rankings, sparsity) = try base.ranking(
            model,
            similarities: similarities,
            maxActiveDimensions: maxActiveDimensions
        )
        self.sparsity = sparsity
        let supplement = EvaluatorSupplement(
            typeName: Self.typeName,
            settings: sparseSettings(maxActiveDimensions),
            metrics: { sparsity.metrics }
        )
        return try base.evaluate(rankings, similarities, at: place, adding: supplement)
    }
}

/// The settings of evaluators of sparse models that model cards tell.
func sparseSettings(_ maxActiveDimensions: Int?) -> JSONObject {
    maxActiveDimensions.map { ["max_active_dims": JSONValue($0)] } ?? [:]
}

/// Refuses settings that sparse models do not have.
///
/// - Throws: ``EvaluationError`` for leading dimensions, and for a maximum below 1.
func checkSparse(_ maxActiveDimensions: Int?, truncateDimension: Int? = nil, in evaluator: String) throws {
    if let size = truncateDimension {
        throw EvaluationError(
            .invalidOption,
            file: evaluator,
            item: "truncate_dim",
            found: "is \(size), which weights of a vocabulary do not have",
            expected: "max_active_dims"
        )
    }
    guard let maxActiveDimensions, maxActiveDimensions < 1 else { return }
    throw EvaluationError(
        .invalidOption,
        file: evaluator,
        item: "max_active_dims",
        found: "is \(maxActiveDimensions)",
        expected: "1 or more"
    )
}
