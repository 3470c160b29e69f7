package import EttinInference
package import EttinModel
package import Torch

/// A model that makes rows of numbers of texts: a vector or a score for each text, or a vector for each of its tokens.
///
/// Losses are computed from these rows, and gradients with respect to them are cached; see ``GradientCache``.
package protocol TextRowsModel {
    /// The number of rows that the model makes of a text.
    func rowCount(of text: PreparedText) -> Int

    /// The task by which a text takes a way of its own through the model; nil where it takes that of all.
    func route(of text: PreparedText) -> String?

    /// What the model makes of texts, with gradients where they are recorded.
    ///
    /// - Parameters:
    ///   - texts: The texts, of one task.
    ///   - task: What they are to the task; nil where nothing says.
    ///   - dropout: The dropout context; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[rows, width]` in float32, the rows of each text one after the other.
    func rows(of texts: [PreparedText], task: String?, dropout: DropoutContext?, precision: Precision) -> Tensor

    /// Whether a training pass drops activations anywhere, so that it differs from inference.
    var dropsActivations: Bool { get }

    /// Computes with weights that are prepacked for inference, which are given up afterwards.
    ///
    /// - Parameters:
    ///   - longestText: The number of tokens of the longest text.
    ///   - body: What computes rows, without a dropout context.
    /// - Returns: What `body` returns.
    func withPrepackedWeights<Result>(longestText: Int, _ body: () throws -> Result) rethrows -> Result
}

extension TextRowsModel {
    /// A row for each text.
    package func rowCount(of text: PreparedText) -> Int { 1 }

    /// The text's own task.
    package func route(of text: PreparedText) -> String? { text.task }

    /// Computes with the weights as they are.
    package func withPrepackedWeights<Result>(longestText: Int, _ body: () throws -> Result) rethrows -> Result {
        try body()
    }

    /// Adds the gradients of a loss to those of the model's parameters, holding the activations of one slice at a time.
    ///
    /// - Parameters:
    ///   - columns: The texts of each column.
    ///   - settings: How the passes are cut; nil for one pass.
    ///   - weight: What loss and gradients are multiplied by.
    ///   - dropout: The dropout context of the batch.
    ///   - precision: The precision of the model's passes.
    ///   - loss: Takes the rows of each column, leaves in the order of its texts; adds the weighted gradients with respect
    ///     to them, unless the loss is NaN or infinite, and returns the loss without the weight.
    /// - Returns: The loss times the weight; where that is NaN or infinite, no gradients are added.
    /// - Throws: `TorchError` when memory or the device fails; what the loss throws; `CancellationError`.
    package func backward(
        _ columns: [[PreparedText]],
        cache settings: GradientCacheSettings?,
        weight: Double,
        dropout: DropoutContext,
        precision: Precision,
        loss: (_ rows: [Tensor]) throws -> Double
    ) throws -> Double {
        try withRecovery {
            let cache = GradientCache(columns, settings, rowCount: rowCount(of:), route: route(of:))
            guard let last = cache.slices.last else { return 0 }
            // The last slice keeps its activations and is not replayed. Without cuts, slices are ways of their own through
            // the model, and all keep theirs.
            let (kept, others) = settings == nil ? (cache.slices[...], []) : ([last], cache.slices.dropLast())
            let before = cache.rowsWithoutGradients(of: others, self, dropout: dropout, precision: precision)
            let replayed = kept.map { cache.rows(of: $0, self, dropout: dropout, precision: precision) }
            // What the first pass left does not fit the slices, whose memory is to be all that is held.
            if !others.isEmpty { TorchRuntime.releaseKeptMemory() }
            let leaves = cache.columns(Tensor.concatenate(before + replayed.map { $0.detached() }))
            for leaf in leaves { leaf.setRequiresGradient(true) }
            let value = try loss(leaves) * weight
            guard value.isFinite else { return value }
            let gradients = cache.gradients(of: leaves)
            func gradient(of slice: GradientCache.Slice) -> Tensor {
                gradients.narrowed(along: 0, from: slice.rows.lowerBound, count: slice.rows.count)
            }
            for (slice, rows) in zip(kept, replayed) where rows.requiresGradient { rows.backward(gradient(of: slice)) }
            for slice in others {
                try Task.checkCancellation()
                let replayed = cache.rows(of: slice, self, dropout: dropout, precision: precision)
                if replayed.requiresGradient { replayed.backward(gradient(of: slice)) }
            }
            return value
        }
    }

    /// Computes something of the rows of columns, without dropout and without gradients.
    ///
    /// - Parameters:
    ///   - columns: The texts of each column.
    ///   - settings: How the passes are cut.
    ///   - precision: The precision of the model's passes.
    ///   - body: Takes the rows of each column, in the order of its texts.
    /// - Returns: What `body` returns; nil for columns without texts.
    /// - Throws: `TorchError` when memory or the device fails; what `body` throws.
    package func withRows<Result>(
        of columns: [[PreparedText]],
        cache settings: GradientCacheSettings?,
        precision: Precision,
        _ body: (_ rows: [Tensor]) throws -> Result
    ) throws -> Result? {
        try withRecovery {
            try withoutGradients {
                let cache = GradientCache(
                    columns,
                    settings ?? GradientCacheSettings(),
                    rowCount: rowCount(of:),
                    route: route(of:)
                )
                guard !cache.slices.isEmpty else { return nil }
                let parts = cache.rowsWithoutGradients(of: cache.slices, self, dropout: nil, precision: precision)
                return try body(cache.columns(Tensor.concatenate(parts)))
            }
        }
    }
}

extension EmbeddingModel: TextRowsModel {
    /// The embeddings of texts, `[texts, width]`.
    package func rows(
        of texts: [PreparedText],
        task: String?,
        dropout: DropoutContext?,
        precision: Precision
    ) -> Tensor {
        let promptTokenCounts = texts.map(\.promptTokenCount)
        return self(
            PackedBatch(texts.map(\.tokenIDs)),
            promptTokenCounts: promptTokenCounts.allSatisfy { $0 == 0 } ? nil : promptTokenCounts,
            task: task,
            training: dropout,
            precision: precision
        ).to(.float32)
    }
}
