import EttinFiles
import EttinTraining
package import Torch

/// A loss over the scores of a batch's pairs, whose gradient with respect to them autograd gives.
///
/// Columns of texts are taken by position: the query first.
package protocol RerankerLoss: Sendable {
    /// The name of the class in sentence-transformers, such as `BinaryCrossEntropyLoss`.
    var name: String { get }
    /// Which texts are scored together.
    var pairing: RerankerPairing { get }
    /// How the passes of the model are cut so that few activations are held at a time; nil for one pass.
    var cache: GradientCacheSettings? { get }
    /// What the numbers of a label column may be; nil for any.
    ///
    /// - Parameter labelCount: The number of scores of a pair.
    /// - Returns: The values.
    func labelValues(labelCount: Int) -> LossLabels.Values?
    /// Whether a label column is read where there is one.
    var readsLabels: Bool { get }
    /// The number of labels that a row may have where they are lists; nil for any.
    ///
    /// - Parameter texts: The number of texts in each column of the row.
    /// - Returns: The numbers.
    func labelCounts(texts: [Int]) -> ClosedRange<Int>?

    /// Checks that a data set and a model fit.
    ///
    /// - Parameters:
    ///   - columns: For each column of texts, whether its rows are lists of texts.
    ///   - labels: What the labels of a row are; nil for a data set without.
    ///   - labelCount: The number of scores of a pair.
    /// - Throws: `TrainingError` that says what fits.
    func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws

    /// The loss of a batch.
    ///
    /// - Parameter batch: Scores and labels.
    /// - Returns: A float32 scalar.
    /// - Throws: When memory or the device fails.
    func callAsFunction(_ batch: RerankerLossBatch) throws -> Tensor
}

/// Which texts of a row are scored together.
package enum RerankerPairing: Hashable, Sendable {
    /// The query with each of the other columns.
    case columns
    /// The query with each of the other columns, and with documents of other rows that are drawn: so many, nil for all.
    case inBatchNegatives(Int?)
    /// The query with each text of a list.
    case lists
}

extension RerankerLoss {
    package var pairing: RerankerPairing { .columns }
    package var cache: GradientCacheSettings? { nil }
    package var readsLabels: Bool { true }

    package func labelValues(labelCount: Int) -> LossLabels.Values? { nil }

    /// The number of labels that a row may have, given the texts of each of its columns; nil for any.
    package func labelCounts(texts: [Int]) -> ClosedRange<Int>? { nil }

    /// Adds the gradients with respect to the scores to those they have.
    ///
    /// - Parameters:
    ///   - batch: Scores and labels.
    ///   - weight: What the gradients are multiplied by.
    /// - Returns: The loss, without the weight; no gradients are added where it is NaN or infinite.
    /// - Throws: As the loss itself.
    package func backward(_ batch: RerankerLossBatch, weight: Double) throws -> Double {
        let loss = try self(batch)
        let value = try loss.scalar()
        if value.isFinite { (weight == 1 ? loss : loss * weight).backward() }
        return value
    }

    /// An error about a data set that the loss cannot be computed from.
    func unsuitable(_ found: String, _ expected: String) -> TrainingError {
        TrainingError(.invalidOption, "loss", found: "is \(name), but the data has \(found)", expected: expected)
    }

    /// Requires a number of columns, none of them of lists.
    func require(_ columns: [Bool], in range: ClosedRange<Int>, _ expected: String) throws {
        guard range.contains(columns.count) else {
            throw unsuitable("\(columns.count) column\(columns.count == 1 ? "" : "s") of texts", expected)
        }
        if columns.contains(true) { throw unsuitable("a column of lists of texts", expected + ", a text in each row") }
    }

    /// Requires one number as the label of each row.
    func requireNumber(_ labels: LossLabels.Kind?, _ expected: String) throws {
        switch labels {
        case .integer, .real: return
        case .list, .lists: throw unsuitable("a list of labels in each row", expected)
        case nil: throw unsuitable("no label column", expected + ", named label, labels, score or scores")
        }
    }

    /// Requires a model that gives one score.
    func requireOneScore(_ labelCount: Int) throws {
        guard labelCount != 1 else { return }
        throw TrainingError(
            .invalidOption,
            "loss",
            found: "is \(name), but the model gives \(labelCount) scores for each pair",
            expected: "a model with num_labels 1, or CrossEntropyLoss"
        )
    }
}

/// What a loss of rerankers is computed from.
package struct RerankerLossBatch {
    /// The scores of each column of pairs, `[pairs, labelCount]` in float32.
    package var scores: [Tensor]
    /// The labels; nil for a data set without.
    package var labels: LossLabels?
    /// The number of pairs of each row, where they are lists; empty otherwise.
    package var counts: [Int]

    package init(scores: [Tensor], labels: LossLabels? = nil, counts: [Int] = []) {
        (self.scores, self.labels, self.counts) = (scores, labels, counts)
    }

    /// The scores of a column, `[pairs]`.
    func column(_ index: Int = 0) -> Tensor { scores[index].reshaped(-1) }

    /// Numbers beside the scores, in float32.
    func tensor(_ values: [Float], shape: [Int]? = nil) -> Tensor {
        Tensor(values, shape: shape ?? [values.count]).to(scores[0].device)
    }

    /// Places beside the scores.
    func indices(_ values: [Int]) -> Tensor { Tensor(values.map(Int64.init)).to(scores[0].device) }

    /// Where the pairs of each row begin and end, in the order of ``counts``.
    var ranges: [Range<Int>] {
        var start = 0
        return counts.map { count in
            defer { start += count }
            return start..<start + count
        }
    }
}

extension Tensor {
    /// log σ(x) for `[n]`, whose gradient at 0 is ½.
    func logSigmoid() -> Tensor {
        let column = reshaped(-1, 1)
        return -Tensor.concatenate([column * 0, -column], along: 1).logSumExp(along: 1)
    }
}
