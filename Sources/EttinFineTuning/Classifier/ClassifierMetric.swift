import EttinEvaluation
import EttinModel
import EttinTraining

/// What evaluations of a classifier measure, by the names of `evaluate` and scikit-learn.
package enum ClassifierMetric: String, CaseIterable, Sendable {
    /// The share of rows whose labels were predicted.
    case accuracy
    /// F1: of class 1 of two, of all labels of several added up.
    case f1
    /// The mean of the classes' F1.
    case f1Macro = "f1_macro"
    /// F1 of all classes added up.
    case f1Micro = "f1_micro"
    /// Matthews' correlation.
    case matthewsCorrelation = "matthews_correlation"
    /// Pearson's correlation.
    case pearson
    /// Spearman's correlation.
    case spearman = "spearmanr"
    /// The mean squared error.
    case mse
    /// The mean of the others, as `run_glue.py` has it.
    case combinedScore = "combined_score"

    /// The metrics of a problem that can be measured.
    ///
    /// - Parameter labels: The labels.
    /// - Returns: The metrics, that of recipes without any first.
    static func fitting(_ labels: ClassifierLabels) -> [ClassifierMetric] {
        switch labels.problem {
        case .singleLabelClassification:
            [.accuracy] + (labels.names.count == 2 ? [.f1] : []) + [
                .f1Macro, .f1Micro, .matthewsCorrelation, .combinedScore,
            ]
        case .multiLabelClassification: [.f1, .accuracy, .f1Macro, .f1Micro, .combinedScore]
        case .regression: labels.names.count == 1 ? [.mse, .pearson, .spearman, .combinedScore] : [.mse]
        }
    }
}

/// What a classifier predicts in an evaluation, with what is right.
struct ClassifierPredictions {
    private let labels: ClassifierLabels
    private let metrics: [ClassifierMetric]
    private var logits: [Float] = []
    private var values: [Double] = []

    /// Begins an evaluation.
    ///
    /// - Parameters:
    ///   - labels: The labels.
    ///   - metrics: What is measured; nil for what the problem suggests.
    /// - Throws: `TrainingError` for a metric that the problem does not have.
    init(_ labels: ClassifierLabels, _ metrics: [ClassifierMetric]?) throws {
        let fitting = ClassifierMetric.fitting(labels)
        if let wrong = metrics?.first(where: { !fitting.contains($0) }) {
            let count = labels.names.count
            throw TrainingError(
                .invalidOption,
                "metrics",
                found: "has \(wrong.rawValue), which \(labels.problem.rawValue) with \(count) "
                    + "label\(count == 1 ? "" : "s") does not have",
                expected: "some of \(fitting.map(\.rawValue).joined(separator: ", "))"
            )
        }
        self.labels = labels
        self.metrics = metrics ?? Array(fitting.prefix(1))
    }

    /// Takes the logits of a batch, row by row, with the numbers of its labels.
    mutating func add(logits: [Float], values: [Double]) {
        self.logits += logits
        self.values += values
    }

    /// Measures, and begins anew.
    ///
    /// - Returns: The metrics by name; none where nothing was predicted.
    /// - Throws: `EvaluationError` for predictions that are NaN or infinite.
    mutating func take() throws -> [(key: String, value: Double)] {
        guard !logits.isEmpty else { return [] }
        defer { (logits, values) = ([], []) }
        let all = try figures()
        var figures: [(key: String, value: Double)] = []
        for metric in metrics where metric != .combinedScore {
            figures.append((metric.rawValue, all[metric] ?? .nan))
        }
        if metrics.contains(.combinedScore), !figures.isEmpty {
            let mean = figures.reduce(0) { $0 + $1.value } / Double(figures.count)
            figures.append((ClassifierMetric.combinedScore.rawValue, mean))
        }
        return figures
    }

    private func figures() throws -> [ClassifierMetric: Double] {
        let count = labels.names.count
        let rows = stride(from: 0, to: logits.count, by: count).map { logits[$0..<$0 + count] }
        switch labels.problem {
        case .singleLabelClassification:
            let scores = try ClassificationScores(
                scores: rows.map { $0.map(Double.init) },
                labels: values.map { Int($0) },
                classNames: labels.names
            )
            return [
                .accuracy: scores.accuracy, .f1: scores.f1(ofClass: 1), .f1Macro: scores.macro.f1,
                .f1Micro: scores.micro.f1, .matthewsCorrelation: scores.matthewsCorrelation,
            ]
        case .multiLabelClassification:
            let scores = try MultiLabelScores(
                predictions: rows.map { $0.map { $0 > 0 } },
                labels: stride(from: 0, to: values.count, by: count).map { values[$0..<$0 + count].map { $0 > 0.5 } },
                classNames: labels.names
            )
            return [
                .accuracy: scores.accuracy, .f1: scores.micro.f1, .f1Macro: scores.macro.f1,
                .f1Micro: scores.micro.f1,
            ]
        case .regression:
            let scores = try RegressionScores(predictions: logits.map(Double.init), labels: values)
            return [.mse: scores.meanSquaredError, .pearson: scores.pearson, .spearman: scores.spearman]
        }
    }
}
