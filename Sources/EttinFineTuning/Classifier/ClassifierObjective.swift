package import EttinModel
package import Torch

/// The loss of logits, as transformers chooses it by `problem_type`.
///
/// One class for each row: `−log softmax(x)` of the class, with label smoothing the mean of all classes' beside it. Several:
/// `−(y · log σ(x) + (1 − y) · log(1 − σ(x)))`, the mean over rows and labels. Numbers: the mean squared error.
///
/// > Source: transformers 5.23, `ModernBertForSequenceClassification.forward`, `trainer_pt_utils.LabelSmoother`.
package struct ClassifierObjective: Hashable {
    /// What the labels mean.
    let problem: ProblemType
    /// What part of the right class is spread over all.
    let smoothing: Double

    /// Chooses a loss.
    ///
    /// - Parameters:
    ///   - problem: What the labels mean.
    ///   - smoothing: What part of the right class is spread over all.
    package init(problem: ProblemType, smoothing: Double = 0) { (self.problem, self.smoothing) = (problem, smoothing) }

    /// The class of torch.nn.
    var name: String {
        switch problem {
        case .singleLabelClassification: "CrossEntropyLoss"
        case .multiLabelClassification: "BCEWithLogitsLoss"
        case .regression: "MSELoss"
        }
    }

    /// The mean loss of rows.
    ///
    /// - Parameters:
    ///   - logits: `[rows, labels]` in float32.
    ///   - values: The numbers of the labels, row by row, as ``ClassifierLabels/values(_:)`` gives them.
    /// - Returns: A scalar.
    package func callAsFunction(_ logits: Tensor, _ values: [Double]) -> Tensor {
        switch problem {
        case .singleLabelClassification: classes(logits, values.map { Int64($0) })
        case .multiLabelClassification: indicators(logits.reshaped(-1), values.map(Float.init))
        case .regression: squares(logits.reshaped(-1) - Tensor(values.map(Float.init)).to(logits.device))
        }
    }

    private func classes(_ logits: Tensor, _ labels: [Int64]) -> Tensor {
        guard smoothing > 0 else { return logits.crossEntropy(Tensor(labels).to(logits.device)) }
        let count = logits.size(1)
        let spread = Float(smoothing / Double(count))
        var targets = [Float](repeating: spread, count: labels.count * count)
        for (row, label) in labels.enumerated() { targets[row * count + Int(label)] += Float(1 - smoothing) }
        let weights = Tensor(targets, shape: [labels.count, count]).to(logits.device)
        return -(weights * logits.logSoftmax(along: 1)).sum() / Double(labels.count)
    }

    private func indicators(_ logits: Tensor, _ labels: [Float]) -> Tensor {
        let positives = Tensor(labels).to(logits.device) * logits.logSigmoid()
        let negatives = Tensor(labels.map { 1 - $0 }).to(logits.device) * (-logits).logSigmoid()
        return -(positives + negatives).mean()
    }

    private func squares(_ differences: Tensor) -> Tensor { (differences * differences).mean() }
}
