package import Torch

/// A loss over the embeddings of a batch's columns, whose gradient with respect to them autograd gives.
///
/// Columns are taken by position: the anchors first.
package protocol EmbeddingLoss {
    /// The name of the class in sentence-transformers, such as `CoSENTLoss`.
    var name: String { get }

    /// Checks that the columns of a data set fit.
    ///
    /// - Parameters:
    ///   - columns: The number of columns of texts.
    ///   - labels: What the labels of a row are; nil for a data set without.
    /// - Throws: `TrainingError` that says what fits.
    func check(columns: Int, labels: LossLabels.Kind?) throws

    /// The loss of a batch.
    ///
    /// - Parameter batch: Embeddings and labels.
    /// - Returns: A float32 scalar.
    /// - Throws: What a teacher that is asked throws.
    func callAsFunction(_ batch: LossBatch) throws -> Tensor
}

/// What a loss is computed from.
package struct LossBatch {
    /// The embeddings of each column, `[rows, width]` in float32.
    package var embeddings: [Tensor]
    /// The labels; nil for a data set without.
    package var labels: LossLabels?
    /// The texts of each column, with prompts, for losses that ask a teacher; empty where none does.
    package var texts: [[String]] = []
    /// The number of the batch in the run, from 0, for losses that draw; evaluation has its own.
    package var step = 0

    package init(embeddings: [Tensor], labels: LossLabels? = nil, texts: [[String]] = [], step: Int = 0) {
        self.embeddings = embeddings
        self.labels = labels
        self.texts = texts
        self.step = step
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
        /// As many numbers in every row.
        case list(count: Int)
    }

    /// What the label of a row is.
    package let kind: Kind
    /// The numbers, row by row.
    package let values: [Double]

    package init(_ kind: Kind, _ values: [Double]) {
        self.kind = kind
        self.values = values
    }
}
