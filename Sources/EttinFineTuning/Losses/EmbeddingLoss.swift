import EttinTraining
package import Torch

/// A loss over the embeddings of a batch's columns, whose gradient with respect to them autograd gives.
///
/// Columns are taken by position: the anchors first.
package protocol EmbeddingLoss {
    /// The name of the class in sentence-transformers, such as `CoSENTLoss`.
    var name: String { get }
    /// How the passes of the model are cut so that few activations are held at a time; nil for one pass.
    var cache: GradientCacheSettings? { get }
    /// What the numbers of a label column may be; nil for any.
    var labelValues: LossLabels.Values? { get }
    /// Whether a label column is read where there is one.
    var readsLabels: Bool { get }
    /// Whether the texts of a batch are read, for a teacher.
    var readsTexts: Bool { get }

    /// Checks that the columns of a data set fit.
    ///
    /// - Parameters:
    ///   - columns: The number of columns of texts.
    ///   - labels: What the labels of a row are; nil for a data set without.
    ///   - width: The width of the model's embeddings, for labels that are embeddings.
    /// - Throws: `TrainingError` that says what fits.
    func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws

    /// Checks that a model fits.
    ///
    /// - Parameter width: The width of its embeddings.
    /// - Returns: What is odd, though possible, as sentences for the user.
    /// - Throws: `TrainingError` that says what fits.
    func check(width: Int) throws -> [String]

    /// Completes a batch with what does not depend on the embeddings, such as those of a teacher.
    ///
    /// - Parameter batch: Labels and texts.
    /// - Returns: The batch, for any number of calls of the loss.
    /// - Throws: What a teacher that is asked throws.
    func prepared(_ batch: LossBatch) throws -> LossBatch

    /// The loss of a batch.
    ///
    /// - Parameter batch: Embeddings and labels, of ``prepared(_:)``.
    /// - Returns: A float32 scalar.
    /// - Throws: When memory or the device fails.
    func callAsFunction(_ batch: LossBatch) throws -> Tensor

    /// Adds the gradients with respect to the embeddings to those they have.
    ///
    /// - Parameters:
    ///   - batch: Embeddings and labels, of ``prepared(_:)``.
    ///   - weight: What the gradients are multiplied by.
    /// - Returns: The loss, without the weight; no gradients are added where it is NaN or infinite.
    /// - Throws: As the loss itself.
    func backward(_ batch: LossBatch, weight: Double) throws -> Double

    /// The loss of a batch, where gradients are not recorded.
    ///
    /// - Parameter batch: Embeddings and labels, of ``prepared(_:)``.
    /// - Returns: The loss.
    /// - Throws: As the loss itself.
    func value(of batch: LossBatch) throws -> Double
}

extension EmbeddingLoss {
    package var cache: GradientCacheSettings? { nil }
    package var labelValues: LossLabels.Values? { nil }
    package var readsLabels: Bool { true }
    package var readsTexts: Bool { false }

    package func check(width: Int) throws -> [String] { [] }

    package func prepared(_ batch: LossBatch) throws -> LossBatch { batch }

    package func value(of batch: LossBatch) throws -> Double { try self(batch).scalar() }

    package func backward(_ batch: LossBatch, weight: Double) throws -> Double {
        let loss = try self(batch)
        let value = try loss.scalar()
        if value.isFinite { (weight == 1 ? loss : loss * weight).backward() }
        return value
    }

    /// An error about a data set that the loss cannot be computed from.
    ///
    /// - Parameters:
    ///   - found: What the data set has, after "the data has".
    ///   - expected: What the loss needs.
    /// - Returns: The error.
    func unsuitable(_ found: String, _ expected: String) -> TrainingError {
        TrainingError(.invalidOption, "loss", found: "is \(name), but the data has \(found)", expected: expected)
    }

    /// Requires a number of columns of texts.
    func require(_ columns: Int, in range: ClosedRange<Int>, _ expected: String) throws {
        guard !range.contains(columns) else { return }
        throw unsuitable("\(columns) column\(columns == 1 ? "" : "s") of texts", expected)
    }

    /// Requires one number as the label of each row.
    func requireNumber(_ labels: LossLabels.Kind?, _ expected: String) throws {
        switch labels {
        case .integer, .real: return
        case .list(let count): throw unsuitable("a list of \(count) labels in each row", expected)
        case .lists: throw unsuitable("lists of labels", expected)
        case nil: throw unsuitable("no label column", expected + ", named label, labels, score or scores")
        }
    }
}

/// A loss that is the sum of what each anchor of a batch contributes, so that few rows of scores are held at a time.
package protocol RowwiseEmbeddingLoss: EmbeddingLoss {
    /// What some anchors contribute to the loss.
    ///
    /// - Parameters:
    ///   - rows: The anchors.
    ///   - batch: Embeddings of all rows, of ``EmbeddingLoss/prepared(_:)``.
    /// - Returns: A float32 scalar; over all rows it is the loss.
    /// - Throws: When memory or the device fails.
    func share(of rows: Range<Int>, in batch: LossBatch) throws -> Tensor
}

extension RowwiseEmbeddingLoss {
    package func callAsFunction(_ batch: LossBatch) throws -> Tensor { try share(of: 0..<batch.rowCount, in: batch) }

    package func backward(_ batch: LossBatch, weight: Double) throws -> Double {
        var total = 0.0
        for rows in chunks(of: batch) {
            let share = try share(of: rows, in: batch)
            let value = try share.scalar()
            total += value
            guard value.isFinite else { break }
            (weight == 1 ? share : share * weight).backward()
        }
        return total
    }

    package func value(of batch: LossBatch) throws -> Double {
        try chunks(of: batch).reduce(0) { try $0 + share(of: $1, in: batch).scalar() }
    }

    /// Anchors whose scores are held at a time.
    private func chunks(of batch: LossBatch) -> [Range<Int>] {
        // Scores of several directions and copies of them come to some ten times this in bytes each.
        let scores = 1 << 20
        let columns = batch.rowCount * max(1, batch.embeddings.count - 1)
        let size = max(1, min(batch.rowCount, max(cache?.rows ?? batch.rowCount, scores / max(1, columns))))
        return stride(from: 0, to: batch.rowCount, by: size).map { $0..<min($0 + size, batch.rowCount) }
    }
}

/// What a loss is computed from.
package struct LossBatch {
    /// The embeddings of each column, `[rows, width]` in float32.
    package var embeddings: [Tensor]
    /// The labels; nil for a data set without.
    package var labels: LossLabels?
    /// The texts of each column, with prompts and as far as the model reads them, for losses that ask a teacher; empty
    /// where none does.
    package var texts: [[String]]
    /// The number of the batch in the run, from 0, for losses that draw; evaluation has its own.
    package var step: Int
    /// The teacher's embeddings of each column, of length 1, where there is a teacher.
    var guide: [Tensor]?

    package init(embeddings: [Tensor], labels: LossLabels? = nil, texts: [[String]] = [], step: Int = 0) {
        self.embeddings = embeddings
        self.labels = labels
        self.texts = texts
        self.step = step
    }

    /// The number of rows; 0 after a failure in a recovery scope.
    var rowCount: Int { embeddings.first?.size(0) ?? 0 }

    /// Labels as a tensor, `[rows]` or `[rows, count]`, in float32.
    func labelTensor(_ values: [Float], columns: Int? = nil) -> Tensor {
        let shape = columns.map { [values.count / max(1, $0), $0] } ?? [values.count]
        return Tensor(values, shape: shape).to(embeddings[0].device)
    }
}

/// The labels of a batch.
package struct LossLabels: Hashable, Sendable {
    /// What the label of a row is.
    package enum Kind: Hashable, Sendable {
        /// A whole number.
        case integer
        /// A number.
        case real
        /// As many numbers in every row; those of lists in a list one after the other.
        case list(count: Int)
        /// Some numbers in every row, not as many in each.
        case lists
    }

    /// What the numbers of labels may be.
    package enum Values: Hashable, Sendable {
        /// Those from one to another.
        case range(ClosedRange<Double>)
        /// 0 and 1.
        case binary

        /// Whether a number is one of them.
        package func contains(_ number: Double) -> Bool {
            switch self {
            case .range(let range): range.contains(number)
            case .binary: number == 0 || number == 1
            }
        }

        /// What is expected, in words.
        package var text: String {
            switch self {
            case .range(let range): "a label from \(range.lowerBound) to \(range.upperBound)"
            case .binary: "0 or 1 as the label"
            }
        }
    }

    /// What the label of a row is.
    package let kind: Kind
    /// The numbers, row by row.
    package let values: [Double]
    /// How many numbers each row has, for lists that are not equally long; nil for the others.
    package let counts: [Int]?

    package init(_ kind: Kind, _ values: [Double], counts: [Int]? = nil) {
        self.kind = kind
        self.values = values
        self.counts = counts
    }

    /// The numbers as the originals hold them.
    var floats: [Float] { values.map(Float.init) }
}
