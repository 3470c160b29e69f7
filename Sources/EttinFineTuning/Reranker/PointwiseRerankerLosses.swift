import EttinTraining
package import Torch

/// How the losses of the rows of a batch become one; of torch.nn.
package enum LossReduction: String, CaseIterable, Sendable {
    /// Their mean.
    case mean
    /// Their sum.
    case sum

    func callAsFunction(_ losses: Tensor) -> Tensor { self == .mean ? losses.mean() : losses.sum() }
}

/// Pairs that belong together or not: `−(w · y · log σ(x) + (1 − y) · log(1 − σ(x)))`.
///
/// > Source: sentence-transformers 6.2, `BinaryCrossEntropyLoss`; torch.nn `BCEWithLogitsLoss`.
package struct BinaryCrossEntropyLoss: RerankerLoss {
    package let name = "BinaryCrossEntropyLoss"
    /// What scores go through before they are taken for logits.
    package var activation = Activation.identity
    /// How much more a pair that belongs together counts than one that does not.
    package var positiveWeight = 1.0
    /// How much every pair counts.
    package var weight = 1.0
    /// How the losses of pairs become one.
    package var reduction = LossReduction.mean

    package init() {}

    package func labelValues(labelCount: Int) -> LossLabels.Values? { .range(0...1) }

    package func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws {
        let expected = "2 columns of texts and a number from 0 to 1 as the label"
        try requireOneScore(labelCount)
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
    }

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let logits = activation(batch.column())
        let labels = batch.labels?.floats ?? []
        let positives = batch.tensor(labels.map { Float(positiveWeight) * $0 }) * logits.logSigmoid()
        let negatives = batch.tensor(labels.map { 1 - $0 }) * (-logits).logSigmoid()
        return reduction(-(positives + negatives) * weight)
    }
}

/// Classes of pairs: `−log softmax(x)` of the class.
///
/// > Source: sentence-transformers 6.2, `CrossEntropyLoss`; torch.nn `CrossEntropyLoss`.
package struct CrossEntropyLoss: RerankerLoss {
    package let name = "CrossEntropyLoss"
    /// What scores go through before they are taken for logits.
    package var activation = Activation.identity
    /// How much each class counts; nil for all alike.
    package var classWeights: [Double]?
    /// What part of the right class is spread over all.
    package var smoothing = 0.0
    /// How the losses of pairs become one; the mean is weighted by class.
    package var reduction = LossReduction.mean

    package init() {}

    package func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws {
        let expected = "2 columns of texts and a class from 0 to \(labelCount - 1) as the label"
        guard labelCount > 1 else {
            throw TrainingError(
                .invalidOption,
                "loss",
                found: "is \(name), but the model gives one score for each pair",
                expected: "num_labels with the number of classes, or BinaryCrossEntropyLoss"
            )
        }
        if let classWeights, classWeights.count != labelCount {
            throw TrainingError(
                .invalidOption,
                "loss.weight",
                found: "has \(classWeights.count) numbers",
                expected: "\(labelCount), one for each class"
            )
        }
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
        if labels == .real { throw unsuitable("labels that are not whole numbers", expected) }
    }

    package func labelValues(labelCount: Int) -> LossLabels.Values? { .range(0...Double(labelCount - 1)) }

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let logits = activation(batch.scores[0])
        let classes = logits.size(1)
        let labels = (batch.labels?.values ?? []).map { Int($0) }
        var targets = [Float](repeating: 0, count: labels.count * classes)
        var total = 0.0
        for (row, label) in labels.enumerated() {
            total += classWeights?[label] ?? 1
            for column in 0..<classes {
                let share = smoothing / Double(classes) + (column == label ? 1 - smoothing : 0)
                targets[row * classes + column] = Float(share * (classWeights?[column] ?? 1))
            }
        }
        let sum = (batch.tensor(targets, shape: [labels.count, classes]) * logits.logSoftmax(along: 1)).sum()
        return reduction == .mean ? -sum / total : -sum
    }
}

/// Scores are to be a teacher's, by squared error.
///
/// > Source: sentence-transformers 6.2, `cross_encoder.losses.MSELoss`.
package struct ScoreMSELoss: RerankerLoss {
    package let name = "MSELoss"
    /// What scores go through before they are compared.
    package var activation = Activation.identity
    /// How the squares become one number.
    package var reduction = LossReduction.mean

    package init() {}

    package func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws {
        let expected = "2 columns of texts and a score as the label"
        try requireOneScore(labelCount)
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
    }

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let differences = activation(batch.column()) - batch.tensor(batch.labels?.floats ?? [])
        return reduction(differences * differences)
    }
}

/// The difference between the scores of positive and negatives is to be a teacher's, by squared error.
///
/// > Source: sentence-transformers 6.2, `cross_encoder.losses.MarginMSELoss`.
package struct ScoreMarginMSELoss: RerankerLoss {
    package let name = "MarginMSELoss"
    /// What scores go through before they are compared.
    package var activation = Activation.identity
    /// How the squares become one number.
    package var reduction = LossReduction.mean

    package init() {}

    package func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws {
        try requireOneScore(labelCount)
        try require(columns, in: 3...Int.max, "3 or more columns: query, positive and negatives")
        let negatives = columns.count - 2
        let margins = negatives == 1 ? "1 margin" : "\(negatives) margins, one for each negative,"
        let expected = "\(margins) or \(negatives + 1) scores in each row, the positive's first"
        switch labels {
        case nil: throw unsuitable("no label column", expected + ", in label, labels, score or scores")
        case .integer, .real: if negatives != 1 { throw unsuitable("one label in each row", expected) }
        case .list, .lists: break
        }
    }

    package func labelCounts(texts: [Int]) -> ClosedRange<Int>? { texts.count - 2...texts.count - 1 }

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let negatives = batch.scores.count - 1
        let labels = batch.labels?.floats ?? []
        var margins: [Float] = []
        for range in ranges(of: batch.labels, negatives) {
            // One label more is the positive's.
            margins +=
                range.count == negatives
                ? Array(labels[range]) : labels[range].dropFirst().map { labels[range.lowerBound] - $0 }
        }
        let positives = activation(batch.column())
        let found = (1...negatives).map { (positives - activation(batch.column($0))).reshaped(-1, 1) }
        let differences =
            Tensor.concatenate(found, along: 1) - batch.tensor(margins, shape: [margins.count / negatives, negatives])
        return reduction(differences * differences)
    }

    /// Where the labels of each row are.
    private func ranges(of labels: LossLabels?, _ negatives: Int) -> [Range<Int>] {
        var start = 0
        let count: Int
        if case .list(let each)? = labels?.kind { count = each } else { count = 1 }
        let counts = labels?.counts ?? [Int](repeating: count, count: (labels?.values.count ?? 0) / count)
        return counts.map { count in
            defer { start += count }
            return start..<start + count
        }
    }
}

/// The positive is to have the largest score among documents of other rows and the row's own negatives.
///
/// The loss is the mean cross-entropy of `softmax(scale · activation(x))` over the documents of each query.
///
/// > Source: sentence-transformers 6.2, `cross_encoder.losses.MultipleNegativesRankingLoss` and its cached form.
package struct ScoreRankingLoss: RerankerLoss {
    package var name = "MultipleNegativesRankingLoss"
    package var cache: GradientCacheSettings?
    /// How many documents of other rows are drawn for each query; nil for all.
    package var negativeCount: Int? = 4
    /// What scores are multiplied by, after the activation function.
    package var scale = 10.0
    /// What scores go through.
    package var activation = Activation.sigmoid

    package init() {}

    package var pairing: RerankerPairing { .inBatchNegatives(negativeCount) }
    package var readsLabels: Bool { false }

    package func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws {
        try requireOneScore(labelCount)
        try require(columns, in: 2...Int.max, "2 or more columns: query, positive and any number of negatives")
    }

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let columns = batch.scores.indices.map { batch.column($0).reshaped(-1, 1) }
        let logits = activation(Tensor.concatenate(columns, along: 1)) * scale
        return (logits.logSumExp(along: 1) - logits.narrowed(along: 1, from: 0, count: 1).reshaped(-1)).mean()
    }
}
