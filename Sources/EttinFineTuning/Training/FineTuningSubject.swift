package import EttinEvaluation
import EttinFiles
package import EttinJSON
package import EttinModel
package import EttinTables
import EttinTraining
package import Torch

/// What is fine-tuned: a model with its losses, the way its batches are read, and its files.
///
/// The session and its task know nothing of what is learned; a subject knows nothing of steps, rates, logs and checkpoints.
package protocol FineTuningSubject: AnyObject {
    /// The kind of model, as `run.json` says it, such as `embedding` or `reranker`.
    var kind: String { get }
    /// The model, whose parameters are trained.
    var module: Module { get }
    /// The configuration of its transformer, for the plan's estimate of memory; nil for a model without one.
    var configuration: ModernBERTConfiguration? { get }
    /// The classes of the losses, those that they wrap included.
    var lossNames: LossNames { get }
    /// Maximum number of tokens of a text.
    var maxTokens: Int { get }
    /// What of the model's files and of the recipe has no effect, a sentence each.
    var notices: [String] { get }
    /// What a resumed run must share, beyond what every kind has.
    var identity: [String: String] { get }
    /// What a checkpoint keeps beside the model, and a resumed run begins with.
    var state: JSONObject { get set }
    /// Whether parts of the loss are logged as they are, as TRL does; sentence-transformers rounds them to 4 places.
    var logsPlainComponents: Bool { get }
    /// The layout of the folders that are written; nil for the recipe's.
    var layout: ModuleLayout? { get }

    /// The library whose folders are written; nil for sentence-transformers.
    var library: String? { get }

    /// Bytes that a text's rows take with their gradients, roughly, for the plan's estimate of memory; 0 where they are
    /// few beside what the passes hold.
    var rowBytes: Double { get }

    /// How the passes for a loss are cut, for the plan's estimate of memory; nil for one pass.
    func cache(ofDataset name: String?) -> GradientCacheSettings?

    /// Reads a data set.
    ///
    /// - Parameters:
    ///   - table: The rows that the recipe has selected.
    ///   - source: What it says of them.
    /// - Returns: The data set, which the other functions get.
    /// - Throws: `TableError` and `TrainingError` for data that cannot be trained on.
    func rows(_ table: TableView, _ source: RowSource) throws -> any TrainingRows

    /// Says which parameters are trained, before there is an optimizer.
    func prepareTraining()

    /// Checks that every row of a data set is one that its loss takes.
    ///
    /// - Returns: What is odd, though possible, a sentence each.
    /// - Throws: `TrainingError` naming the data, or file and row.
    func check(_ set: any TrainingRows) throws -> [String]

    /// Reads the rows of a microbatch.
    ///
    /// - Parameters:
    ///   - rows: The numbers of the rows.
    ///   - set: The data set.
    ///   - step: The number of the microbatch in the run, from 0; of evaluation, in the evaluation.
    /// - Returns: The microbatch.
    /// - Throws: `TrainingError` naming file and row for an invalid text or label; what reading throws.
    func prepared(_ rows: [Int], of set: any TrainingRows, step: Int) throws -> PreparedLossBatch

    /// Takes note that an update begins: losses may change over the run.
    ///
    /// - Parameters:
    ///   - step: The number of the update, from 0.
    ///   - totalSteps: The updates of the run.
    func begin(step: Int, of totalSteps: Int)

    /// The weights of the microbatches of an update, which sum to 1 unless nothing counts; nil for equal ones.
    func weights(of microbatches: [PreparedLossBatch]) -> [Double]?

    /// Adds the gradients of a microbatch to those of the parameters.
    ///
    /// - Returns: The loss times the weight, where it is NaN or infinite without gradients.
    /// - Throws: `TorchError` when memory or the device fails; `CancellationError`.
    func backward(
        _ batch: PreparedLossBatch,
        of dataset: String?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision
    ) throws -> Double

    /// The loss of a batch as evaluation takes it, without dropout and gradients.
    func value(_ batch: PreparedLossBatch, of dataset: String?, precision: Precision) throws -> LossValue

    /// The parts of the loss of the last microbatch, for the log; none for a loss without parts.
    func takeComponents() -> [(key: String, value: Double)]

    /// What was measured on the batches whose ``value(_:of:precision:)`` was taken since the last call, beside their losses.
    ///
    /// - Throws: `EvaluationError` for what cannot be measured.
    func takeMetrics() throws -> [(key: String, value: Double)]

    /// Whether the rows to evaluate on are taken in their order, as transformers' trainer takes them; that of
    /// sentence-transformers draws them.
    var evaluatesInOrder: Bool { get }

    /// What the plan says beside what it says of every kind.
    var planNotes: [(key: String, value: String)] { get }

    /// What is logged beside the losses, though not kept in the history, such as weights of the parts of a loss.
    var loggedSettings: [(key: String, value: Double)] { get }

    /// What measures the model besides its loss.
    ///
    /// - Parameters:
    ///   - value: What the recipe says.
    ///   - data: What it measures on.
    ///   - precision: The precision that the model computes in.
    /// - Returns: The evaluator with the model.
    /// - Throws: `TrainingError` for an evaluator that is not known or values that are wrong; what reading data throws.
    func evaluator(_ value: RecipeValue, _ data: EvaluatorData, precision: Precision) throws -> BoundEvaluator

    /// Writes what loads as a model: modules and tokenizer.
    ///
    /// - Parameter folder: A new folder.
    /// - Throws: When something cannot be written.
    func write(toFolder folder: String) throws

    /// Takes the weights of a folder that ``write(toFolder:)`` wrote.
    func load(fromFolder folder: String) throws

    /// Says in a card what differs by kind: title, summary, library, tags and usage.
    func describe(_ card: inout ModelCard)
}

// What a kind need not say.
extension FineTuningSubject {
    package var logsPlainComponents: Bool { false }
    package var state: JSONObject {
        get { [:] }
        set {}
    }
    package var layout: ModuleLayout? { nil }
    package var library: String? { nil }
    package var loggedSettings: [(key: String, value: Double)] { [] }
    package var rowBytes: Double { 0 }

    package func prepareTraining() { module.setRequiresGradient(true) }
    package func weights(of microbatches: [PreparedLossBatch]) -> [Double]? { nil }
    package func begin(step: Int, of totalSteps: Int) {}
    package func takeComponents() -> [(key: String, value: Double)] { [] }
    package func takeMetrics() throws -> [(key: String, value: Double)] { [] }
    package var evaluatesInOrder: Bool { false }
    package var planNotes: [(key: String, value: String)] { [] }
}

/// The loss of a batch, and the parts that it is the sum of.
package struct LossValue {
    /// The loss.
    package var total: Double
    /// Its parts; none for a loss without.
    package var components: [(key: String, value: Double)]

    package init(_ total: Double, components: [(key: String, value: Double)] = []) {
        (self.total, self.components) = (total, components)
    }
}

/// An evaluator with the model that it measures.
package struct BoundEvaluator {
    /// Measures the model as it is now.
    package let evaluate: (EvaluationPlace?) throws -> [Metric]
    /// What of the recipe has no effect, a sentence each.
    package let notices: [String]
    private let latest: () -> [EvaluationReport]

    /// Binds an evaluator to a model.
    ///
    /// - Parameters:
    ///   - evaluator: The evaluator.
    ///   - model: What it measures.
    ///   - notices: What of the recipe has no effect, a sentence each.
    package init<Model>(_ evaluator: any Evaluator<Model>, _ model: Model, notices: [String] = []) {
        evaluate = { try evaluator.evaluate(model, at: $0) }
        latest = { evaluator.reports }
        self.notices = notices
    }

    /// What was measured last.
    package var reports: [EvaluationReport] { latest() }
}

extension FineTuningSubject {
    /// Takes the weights of a model of the same shape.
    ///
    /// - Parameters:
    ///   - saved: The model.
    ///   - folder: Where it is from, for messages.
    /// - Throws: `TrainingError` for a parameter that is missing or has another shape.
    package func assign(_ saved: Module, fromFolder folder: String) throws {
        let tensors = [String: Tensor](saved.parameters.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        for (key, tensor) in module.parameters {
            guard let other = tensors[key], other.shape == tensor.shape else {
                throw TrainingError(.malformed, folder, found: "has no \(quoted(key)) of shape \(tensor.shape)")
            }
        }
        withoutGradients {
            for (key, tensor) in module.parameters { tensors[key].map { tensor.assign($0) } }
        }
    }
}
