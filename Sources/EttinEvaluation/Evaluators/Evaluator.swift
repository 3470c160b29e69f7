public import EttinJSON

/// A figure of an evaluation.
public typealias Metric = (key: String, value: Double)

/// Measures a model.
///
/// > Source: sentence-transformers, `SentenceEvaluator`.
public protocol Evaluator<Model> {
    /// What a model must be able to do to be measured.
    associatedtype Model

    /// What the keys of metrics and the names of files have in them; empty for none.
    var name: String { get }
    /// The metric that one number for the model is, with the name in front; nil where the model decides and none was
    /// measured yet.
    var primaryMetric: String? { get }
    /// What was measured last, a report for each evaluator that measures by itself, as model cards list them.
    var reports: [EvaluationReport] { get }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front (`name_key`).
    /// - Throws: When texts cannot be encoded, or files cannot be written.
    func evaluate(_ model: Model, at place: EvaluationPlace?) throws -> [Metric]
}

/// What one evaluator measured.
public struct EvaluationReport: Sendable {
    /// The name of the evaluator's class in sentence-transformers, such as `TripletEvaluator`.
    public let evaluator: String
    /// The kind of evaluation, as model cards call it: `Triplet`.
    public let description: String
    /// The evaluator's name; empty for none.
    public let name: String
    /// The metric that one number for the model is, with the name in front.
    public let primaryMetric: String
    /// The metrics, each with the name of the evaluator in front.
    public let metrics: [Metric]
    /// The settings of the evaluator that model cards tell.
    public let settings: JSONObject

    /// Reports what was measured.
    ///
    /// - Parameters:
    ///   - evaluator: The name of the evaluator's class in sentence-transformers.
    ///   - description: The kind of evaluation; nil for the words of the class's name.
    ///   - name: The evaluator's name; empty for none.
    ///   - primaryMetric: The metric that one number for the model is.
    ///   - metrics: The metrics.
    ///   - settings: The settings of the evaluator that model cards tell.
    package init(
        evaluator: String,
        description: String? = nil,
        name: String,
        primaryMetric: String,
        metrics: [Metric],
        settings: JSONObject
    ) {
        self.evaluator = evaluator
        self.description = description ?? Self.words(of: evaluator)
        self.name = name
        self.primaryMetric = primaryMetric
        self.metrics = metrics
        self.settings = settings
    }

    /// The words of a class's name: `BinaryClassificationEvaluator` is `Binary Classification`.
    ///
    /// > Source: sentence-transformers 6.2, `BaseEvaluator.description`.
    private static func words(of evaluator: String) -> String {
        let suffix = "Evaluator"
        var result = ""
        for character in evaluator.hasSuffix(suffix) ? evaluator.dropLast(suffix.count) : evaluator[...] {
            if character.isUppercase, result.last?.isLowercase == true { result.append(" ") }
            result.append(character)
        }
        return result
    }
}

/// Where in a run an evaluation is made.
public struct EvaluationPlace: Sendable, Hashable {
    /// The folder for tables (CSV), which is made when there is none; nil to write none.
    public var folder: String?
    /// Passes over the data so far; -1 outside of training.
    public var epoch: Double
    /// Steps so far; -1 outside of training.
    public var step: Int

    /// Describes a place.
    ///
    /// - Parameters:
    ///   - folder: The folder for tables.
    ///   - epoch: Passes over the data so far; -1 outside of training.
    ///   - step: Steps so far; -1 outside of training.
    public init(folder: String? = nil, epoch: Double = -1, step: Int = -1) {
        self.folder = folder
        self.epoch = epoch
        self.step = step
    }
}

/// A key with the name of an evaluator in front.
///
/// > Source: sentence-transformers 6.2, `BaseEvaluator.prefix_name_to_metrics`.
func named(_ key: String, by name: String) -> String { name.isEmpty ? key : "\(name)_\(key)" }
