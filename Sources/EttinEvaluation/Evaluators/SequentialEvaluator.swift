/// Several evaluators one after the other.
///
/// All metrics come together, and `sequential_score` is the primary metric of the last evaluator.
///
/// > Source: sentence-transformers 6.2, `SequentialEvaluator`.
public final class SequentialEvaluator<Model>: Evaluator {
    /// Empty: each evaluator has its own.
    public let name = ""
    /// `sequential_score`.
    public let primaryMetric: String? = "sequential_score"
    private let evaluators: [any Evaluator<Model>]

    /// Creates an evaluator.
    ///
    /// - Parameter evaluators: The evaluators.
    public init(_ evaluators: [any Evaluator<Model>]) {
        self.evaluators = evaluators
    }

    /// What each evaluator measured last.
    public var reports: [EvaluationReport] { evaluators.flatMap(\.reports) }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write tables; nil to write nothing.
    /// - Returns: The metrics of all evaluators, of those with the same key the last, then `sequential_score`: 0 without
    ///   evaluators.
    /// - Throws: What an evaluator throws.
    public func evaluate(_ model: Model, at place: EvaluationPlace? = nil) throws -> [Metric] {
        var metrics: [Metric] = []
        var score = 0.0
        for evaluator in evaluators {
            let results = try evaluator.evaluate(model, at: place)
            for metric in results {
                if let known = metrics.firstIndex(where: { $0.key == metric.key }) {
                    metrics[known] = metric
                } else {
                    metrics.append(metric)
                }
            }
            score = (results.first { $0.key == evaluator.primaryMetric } ?? results.first)?.value ?? 0
        }
        return metrics + [("sequential_score", score)]
    }
}
