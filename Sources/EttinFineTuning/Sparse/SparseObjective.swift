package import EttinInference
package import EttinModel
import EttinTraining
package import Torch

/// What a sparse model is trained to minimise: a loss of weights of the vocabulary, and what keeps them few.
///
/// > Source: sentence-transformers 6.2, `SpladeLoss` and `CachedSpladeLoss`.
package struct SparseObjective {
    /// The name of the class in sentence-transformers.
    package var name: String
    /// The loss of weights.
    package var loss: any EmbeddingLoss
    /// What keeps weights few; nil for nothing, where the loss stands alone.
    package var regularization: SpladeRegularization?
    /// How the passes of the model are cut; nil for one pass.
    package var cache: GradientCacheSettings?

    /// The names of the loss and of what it wraps.
    package var names: [String] { regularization == nil ? [name] : [name, loss.name] }

    /// Whether the loss sets cosine similarity for the model, as the originals do.
    var comparesByCosine: Bool { loss is CoSENTLoss || loss is AnglELoss || loss is CosineSimilarityLoss }

    /// Checks that a data set fits.
    ///
    /// - Parameters:
    ///   - columns: The number of columns of texts.
    ///   - labels: What the labels of a row are; nil for a data set without.
    ///   - width: The number of entries of the vocabulary.
    /// - Returns: What is odd, though possible, as sentences for the user.
    /// - Throws: `TrainingError` that says what fits.
    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws -> [String] {
        if let regularization, !regularization.treatsAllAsDocuments, columns < 2 {
            throw TrainingError(
                .invalidOption,
                "loss",
                found: "is \(name), but the data has \(columns) column\(columns == 1 ? "" : "s") of texts",
                expected: "2 or more columns, queries and documents, or use_document_regularizer_only: true"
            )
        }
        return try EmbeddingObjective(loss).check(columns: columns, labels: labels, width: width)
    }

    /// Adds the gradients of a batch to those of the model's parameters.
    ///
    /// - Parameters:
    ///   - model: The model, with parameters that require gradients.
    ///   - batch: The batch.
    ///   - weight: What loss and gradients are multiplied by.
    ///   - factor: What the weights of regularisers are multiplied by.
    ///   - dropout: The dropout context of the batch.
    ///   - precision: The precision of the model's passes; the loss is computed in float32.
    /// - Returns: The loss times the weight, where that is NaN or infinite without gradients; its parts are without the
    ///   weight.
    /// - Throws: `TorchError` when memory or the device fails; `CancellationError`.
    package func backward(
        _ model: some TextRowsModel,
        _ batch: PreparedLossBatch,
        weight: Double = 1,
        factor: Double,
        dropout: DropoutContext,
        precision: Precision = .full
    ) throws -> LossValue {
        var components: [(key: String, value: Double)] = []
        // The vocabulary's gradients are added in place, in one pass as in slices.
        var context = dropout
        context.isSlice = true
        let total = try model.backward(
            batch.columns,
            cache: cache,
            weight: weight,
            dropout: context,
            precision: precision
        ) { columns in
            let base = try loss.backward(lossBatch(batch, columns), weight: weight)
            guard let regularization else { return base }
            components = [("base_loss", base)]
            guard base.isFinite else { return base }
            for part in regularization.parts(columns, factor: factor) {
                let value = try part.value.scalar()
                components.append((part.key, value))
                if value.isFinite { (part.value * weight).backward() }
            }
            return components.reduce(0) { $0 + $1.value }
        }
        return LossValue(total, components: components)
    }

    /// The loss of a batch, as evaluation takes it: without dropout and without gradients.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - batch: The batch.
    ///   - factor: What the weights of regularisers are multiplied by.
    ///   - precision: The precision of the model's passes.
    /// - Returns: The loss and its parts.
    /// - Throws: As ``backward(_:_:weight:factor:dropout:precision:)``.
    package func value(
        _ model: some TextRowsModel,
        _ batch: PreparedLossBatch,
        factor: Double,
        precision: Precision = .full
    ) throws -> LossValue {
        try model.withRows(of: batch.columns, cache: cache, precision: precision) { columns in
            let base = try loss.value(of: lossBatch(batch, columns))
            guard let regularization else { return LossValue(base) }
            let parts = try regularization.parts(columns, factor: factor).map { ($0.key, try $0.value.scalar()) }
            let components = [("base_loss", base)] + parts
            return LossValue(components.reduce(0) { $0 + $1.1 }, components: components)
        } ?? LossValue(0)
    }

    private func lossBatch(_ batch: PreparedLossBatch, _ embeddings: [Tensor]) throws -> LossBatch {
        try loss.prepared(LossBatch(embeddings: embeddings, labels: batch.labels, step: batch.step))
    }
}

extension SparseModel: TextRowsModel {
    /// The weights of texts, `[texts, vocabulary]`.
    package func rows(
        of texts: [PreparedText],
        task: String?,
        dropout: DropoutContext?,
        precision: Precision
    ) -> Tensor {
        self(PackedBatch(texts.map(\.tokenIDs)), task: task, training: dropout, precision: precision)
    }
}
