package import EttinModel
import EttinTraining
package import Torch

/// What an embedding model is trained to minimise: a loss, and how the passes of the model for it are cut.
///
/// ```swift
/// let objective = EmbeddingObjective(MultipleNegativesRankingLoss())
/// try objective.check(columns: 3, labels: nil, width: model.dimensions)
/// let loss = try objective.backward(model, batch, dropout: DropoutContext(step: 0))
/// ```
package struct EmbeddingObjective {
    /// The loss of embeddings.
    package let loss: any EmbeddingLoss

    /// Creates an objective.
    ///
    /// - Parameter loss: The loss of embeddings.
    package init(_ loss: any EmbeddingLoss) { self.loss = loss }

    /// The name of the class in sentence-transformers.
    package var name: String { loss.name }

    /// The names of the loss and of what it wraps, as cards of models list them.
    package var names: [String] {
        guard let matryoshka = loss as? MatryoshkaLoss else { return [loss.name] }
        return [loss.name] + EmbeddingObjective(matryoshka.loss).names
    }

    /// Whether ``PreparedLossBatch/texts`` are read.
    package var readsTexts: Bool { loss.readsTexts }

    /// What the numbers of a label column may be; nil for any.
    package var labelValues: LossLabels.Values? { loss.labelValues }

    /// Checks that a data set and a model fit.
    ///
    /// - Parameters:
    ///   - columns: The number of columns of texts.
    ///   - labels: What the labels of a row are; nil for a data set without.
    ///   - width: The width of the model's embeddings.
    /// - Returns: What is odd, though possible, as sentences for the user.
    /// - Throws: `TrainingError` that says what fits.
    @discardableResult
    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws -> [String] {
        try loss.check(columns: columns, labels: labels, width: width)
        let notices = try loss.check(width: width)
        guard labels != nil, !loss.readsLabels else { return notices }
        return notices + ["\(loss.name) does not read the label column"]
    }

    /// Adds the gradients of a batch to those of the model's parameters.
    ///
    /// - Parameters:
    ///   - model: The model, with parameters that require gradients.
    ///   - batch: The batch.
    ///   - weight: What loss and gradients are multiplied by.
    ///   - dropout: The dropout context of the batch.
    ///   - precision: The precision of the model's passes; the loss is computed in float32.
    /// - Returns: The loss times the weight; where that is NaN or infinite, no gradients are added.
    /// - Throws: `TorchError` when memory or the device fails; what a teacher that is asked throws; `CancellationError`.
    package func backward(
        _ model: EmbeddingModel,
        _ batch: PreparedLossBatch,
        weight: Double = 1,
        dropout: DropoutContext,
        precision: Precision = .full
    ) throws -> Double {
        try model.backward(
            batch.columns,
            cache: loss.cache,
            weight: weight,
            dropout: dropout,
            precision: precision
        ) { try loss.backward(lossBatch(batch, $0), weight: weight) }
    }

    /// The loss of a batch, as evaluation takes it: without dropout and without gradients.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - batch: The batch.
    ///   - precision: The precision of the model's passes.
    /// - Returns: The loss.
    /// - Throws: As ``backward(_:_:weight:dropout:precision:)``.
    package func value(
        _ model: EmbeddingModel,
        _ batch: PreparedLossBatch,
        precision: Precision = .full
    ) throws -> Double {
        try model.withRows(of: batch.columns, cache: loss.cache, precision: precision) {
            try loss.value(of: lossBatch(batch, $0))
        } ?? 0
    }

    private func lossBatch(_ batch: PreparedLossBatch, _ embeddings: [Tensor]) throws -> LossBatch {
        try loss.prepared(
            LossBatch(embeddings: embeddings, labels: batch.labels, texts: batch.texts, step: batch.step)
        )
    }
}
