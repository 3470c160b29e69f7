package import EttinModel
package import Torch

/// Pairs are to be ordered by similarity as by their labels: `log(1 + Σ exp(scale · (sᵢ − sⱼ)))` over the pairs i, j with
/// label i below label j.
///
/// > Source: sentence-transformers 6.2, `CoSENTLoss`.
package struct CoSENTLoss: EmbeddingLoss {
    package var name = "CoSENTLoss"
    /// What similarities are multiplied by.
    package var scale = 20.0
    /// How a pair is compared; nil for the angle in complex space, as AnglE does.
    package var similarity: EmbeddingSimilarity? = .cosine

    package init() {}

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let expected = "2 columns of texts and a number as the label"
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        loss(batch.embeddings[0], batch.embeddings[1], labels: batch.labels?.floats ?? [])
    }

    /// The loss of pairs.
    ///
    /// With scores in the order of labels, the sums over j for an i are ends of the list, of which cumulative sums give all
    /// in linear time.
    func loss(_ first: Tensor, _ second: Tensor, labels: [Float]) -> Tensor {
        let device = first.device
        let order = labels.indices.sorted { (labels[$0], $0) < (labels[$1], $1) }
        let similarities = similarity.map { $0.pairwise(first, second) } ?? first.angleSimilarity(second)
        let scores = (similarities * scale).selecting(Tensor(order.map(Int64.init)).to(device))
        // Where the larger labels begin, for each place of the order.
        var starts = [Int64](repeating: 0, count: order.count)
        var start = order.count
        for place in order.indices.reversed() {
            if place + 1 < order.count, labels[order[place + 1]] > labels[order[place]] { start = place + 1 }
            starts[place] = Int64(start)
        }
        let reversal = Tensor(order.indices.reversed().map(Int64.init)).to(device)
        let ends = (-scores).selecting(reversal).cumulativeLogSumExp(along: 0).selecting(reversal)
        let sums = Tensor.concatenate([ends, .full([1], -.infinity, on: device)]).selecting(Tensor(starts).to(device))
        return Tensor.concatenate([.zeros([1], on: device), scores + sums]).logSumExp(along: 0)
    }
}

/// ``CoSENTLoss`` with the angle in complex space as the similarity, also of triplets, whose pairs have labels 1 and 0.
///
/// > Source: AnglE, arXiv 2309.12871; sentence-transformers 6.2, `AnglELoss`.
package struct AnglELoss: EmbeddingLoss {
    package var name = "AnglELoss"
    private var loss = CoSENTLoss()

    /// Creates the loss.
    ///
    /// - Parameter scale: What similarities are multiplied by.
    package init(scale: Double = 20) {
        loss.scale = scale
        loss.similarity = nil
    }

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let expected = "2 columns of texts and a number as the label, or anchor, positive and negatives"
        try require(columns, in: 2...Int.max, expected)
        if columns == 2 || labels != nil { try requireNumber(labels, expected) }
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        guard batch.embeddings.count > 2 else { return loss(batch) }
        let anchors = batch.embeddings[0]
        let others = Array(batch.embeddings[1...])
        let labels = batch.labels?.floats ?? [Float](repeating: 1, count: batch.rowCount)
        let negatives = labels.map { 1 - $0 }
        return loss.loss(
            .concatenate(others.map { _ in anchors }),
            .concatenate(others),
            labels: labels + others.dropFirst().flatMap { _ in negatives }
        )
    }
}
