import EttinModel
package import Torch

/// The positive is to be nearer to the anchor than the negative, by a margin: max(0, d(a, p) − d(a, n) + margin).
///
/// > Source: sentence-transformers 6.2, `TripletLoss`.
package struct TripletLoss: EmbeddingLoss {
    /// How far two texts are from each other.
    package enum Distance: String, CaseIterable, Sendable {
        /// 1 − cosine.
        case cosine = "COSINE"
        /// The Euclidean distance.
        case euclidean = "EUCLIDEAN"
        /// The sum of absolute differences.
        case manhattan = "MANHATTAN"

        func callAsFunction(_ first: Tensor, _ second: Tensor) -> Tensor {
            switch self {
            case .cosine: -EmbeddingSimilarity.cosine.pairwise(first, second) + 1
            case .euclidean: -EmbeddingSimilarity.euclidean.pairwise(first, second)
            case .manhattan: -EmbeddingSimilarity.manhattan.pairwise(first, second)
            }
        }
    }

    package var name = "TripletLoss"
    /// How far two texts are from each other.
    package var distance = Distance.euclidean
    /// How much nearer the positive is to be.
    package var margin = 5.0

    package var readsLabels: Bool { false }

    package init() {}

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        try require(columns, in: 3...3, "3 columns: anchor, positive and negative")
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        let (anchors, positives, negatives) = (batch.embeddings[0], batch.embeddings[1], batch.embeddings[2])
        return (distance(anchors, positives) - distance(anchors, negatives) + margin).relu().mean()
    }
}
