import EttinModel
import EttinTraining
package import Torch

/// A loss of the leading dimensions of embeddings, summed over several numbers of them.
///
/// Truncated embeddings are scaled to length 1 before the loss sees them, the full ones too.
///
/// > Source: Kusupati et al., arXiv 2205.13147; sentence-transformers 6.2, `MatryoshkaLoss`.
package struct MatryoshkaLoss: EmbeddingLoss {
    package let name = "MatryoshkaLoss"
    /// The loss of embeddings of each size.
    package let loss: any EmbeddingLoss
    /// The sizes with their weights, largest first.
    package let dimensions: [(size: Int, weight: Double)]
    /// How many of the sizes are drawn for each batch; nil for all.
    ///
    /// The original draws from Python's one generator, of which model cards and evaluators draw too; these draws are
    /// those of the batch whatever happened before, in a resumed run too.
    package let sizesPerStep: Int?
    private let seed: UInt64

    /// Creates the loss.
    ///
    /// - Parameters:
    ///   - loss: The loss of embeddings of each size.
    ///   - dimensions: The sizes with their weights.
    ///   - sizesPerStep: How many of the sizes are drawn for each batch; nil for all.
    ///   - seed: Random seed of the draws, which are a function of it and of the number of the batch.
    package init(
        _ loss: any EmbeddingLoss,
        dimensions: [(size: Int, weight: Double)],
        sizesPerStep: Int? = nil,
        seed: UInt64 = 0
    ) {
        self.loss = loss
        self.dimensions = dimensions.enumerated()
            .sorted { ($1.element.size, $0.offset) < ($0.element.size, $1.offset) }.map(\.element)
        self.sizesPerStep = sizesPerStep
        self.seed = seed
    }

    package var cache: GradientCacheSettings? { loss.cache }
    package var labelValues: LossLabels.Values? { loss.labelValues }
    package var readsLabels: Bool { loss.readsLabels }
    package var readsTexts: Bool { loss.readsTexts }

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        try loss.check(columns: columns, labels: labels, width: width)
    }

    package func check(width: Int) throws -> [String] {
        let sizes = dimensions.map(\.size)
        if let size = sizes.first(where: { $0 > width }) {
            throw TrainingError(
                .invalidOption,
                "loss.matryoshka_dims",
                found: "has \(size)",
                expected: "1 to \(width), the width of the model's embeddings"
            )
        }
        var notices = try loss.check(width: width)
        if !sizes.contains(width) {
            notices.append(
                "matryoshka_dims has no \(width), the width of the model's embeddings, which are not trained in full"
            )
        }
        return notices
    }

    package func prepared(_ batch: LossBatch) throws -> LossBatch { try loss.prepared(batch) }

    package func callAsFunction(_ batch: LossBatch) throws -> Tensor {
        let losses = try chosen(at: batch.step).map { try loss(truncated(batch, to: $0.size)) * $0.weight }
        return losses.dropFirst().reduce(losses[0], +)
    }

    package func backward(_ batch: LossBatch, weight: Double) throws -> Double {
        var total = 0.0
        for (size, factor) in chosen(at: batch.step) {
            let graph = truncated(batch, to: size)
            // Leaves, so that what the loss keeps of one size is gone before the next.
            var leaves = graph
            leaves.embeddings = graph.embeddings.map { $0.detached() }
            for leaf in leaves.embeddings { leaf.setRequiresGradient(true) }
            total += try factor * loss.backward(leaves, weight: factor * weight)
            guard total.isFinite else { break }
            for (embeddings, leaf) in zip(graph.embeddings, leaves.embeddings) {
                if let gradient = leaf.gradient { embeddings.backward(gradient) }
            }
        }
        return total
    }

    package func value(of batch: LossBatch) throws -> Double {
        try chosen(at: batch.step).reduce(0) { try $0 + loss.value(of: truncated(batch, to: $1.size)) * $1.weight }
    }

    /// The sizes of a batch.
    private func chosen(at step: Int) -> [(size: Int, weight: Double)] {
        guard let sizesPerStep, sizesPerStep < dimensions.count else { return dimensions }
        let draws = Philox(seed: seed, stream: UInt64(step)).uniforms(count: dimensions.count)
        let drawn = Set(draws.indices.sorted { (draws[$0], $0) < (draws[$1], $1) }.prefix(sizesPerStep))
        return dimensions.indices.filter(drawn.contains).map { dimensions[$0] }
    }

    /// A batch with the leading dimensions of its embeddings, and of labels that are embeddings.
    private func truncated(_ batch: LossBatch, to size: Int) -> LossBatch {
        var batch = batch
        let width = batch.embeddings.first?.size(1) ?? 0
        batch.embeddings = batch.embeddings.map {
            (size < width ? $0.narrowed(along: 1, from: 0, count: size) : $0).normalized()
        }
        if let labels = batch.labels, case .list(let count) = labels.kind, size < width, loss is MSELoss,
            count % width == 0
        {
            let values = stride(from: 0, to: labels.values.count, by: width).flatMap { labels.values[$0..<$0 + size] }
            batch.labels = LossLabels(.list(count: count / width * size), values)
        }
        return batch
    }
}
