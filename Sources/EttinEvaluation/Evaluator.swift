/// A figure of an evaluation.
public typealias Metric = (key: String, value: Double)

/// Measures a model.
///
/// > Source: sentence-transformers, `SentenceEvaluator`.
public protocol Evaluator {
    /// What a model must be able to do to be measured.
    associatedtype Model

    /// What the keys of metrics and the names of files have in them; empty for none.
    var name: String { get }
    /// The metric that one number for the model is, once it was measured or before; with the name in front.
    var primaryMetric: String? { get }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front (`name_key`).
    /// - Throws: When texts cannot be encoded, or files cannot be written.
    func evaluate(_ model: Model, at place: EvaluationPlace?) throws -> [Metric]
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
