import EttinJSON

/// What an evaluator measures besides, of a model of another kind: its metrics have further columns in the table.
struct EvaluatorSupplement {
    /// The name of the evaluator's class in sentence-transformers.
    let typeName: String
    /// Further settings that model cards tell.
    let settings: JSONObject
    /// Further metrics, without the name of the evaluator, asked for once all texts are encoded.
    let metrics: () -> [Metric]
}

/// An evaluator of vectors that takes a supplement.
protocol SupplementedEvaluator: Evaluator where Model == any TextVectors {
    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    ///   - supplement: What to measure besides; nil for nothing.
    /// - Returns: The metrics, those of the supplement last, each with the name of the evaluator in front.
    /// - Throws: As `evaluate(_:at:)`.
    func evaluate(
        _ model: any TextVectors,
        at place: EvaluationPlace?,
        adding supplement: EvaluatorSupplement?
    ) throws -> [Metric]
}

extension [Metric] {
    /// The metrics with the name of an evaluator in front.
    func named(by name: String) -> [Metric] { map { (EttinEvaluation.named($0.key, by: name), $0.value) } }
}

extension EvaluatorSupplement? {
    /// The settings that model cards tell, with those of an evaluator itself first.
    func settings(after own: JSONObject) -> JSONObject {
        var settings = own
        for member in self?.settings ?? [:] { settings[member.key] = member.value }
        return settings
    }
}
