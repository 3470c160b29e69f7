// Losses of pairs of texts with a label.
import EttinModel
package import Torch

/// The cosine of a pair is to be its label.
///
/// > Source: sentence-transformers 6.2, `CosineSimilarityLoss`.
package struct CosineSimilarityLoss: EmbeddingLoss {
    /// How the difference from the label becomes a loss; of torch.nn.
    package enum Function: String, CaseIterable, Sendable {
        /// The mean of squares.
        case meanSquaredError = "MSELoss"
        /// The mean of absolute values.
        case meanAbsoluteError = "L1Loss"
    }

    /// What the cosine is put through; of torch.nn.
    package enum Transformation: String, CaseIterable, Sendable {
        /// Nothing.
        case identity = "Identity"
        /// max(x, 0).
        case relu = "ReLU"
        /// The logistic function.
        case sigmoid = "Sigmoid"
        /// The hyperbolic tangent.
        case tanh = "Tanh"
    }

    package var name = "CosineSimilarityLoss"
    /// How the difference from the label becomes a loss.
    package var function = Function.meanSquaredError
    /// What the cosine is put through.
    package var transformation = Transformation.identity

    package init() {}

    package var labelValues: LossLabels.Values? { .range(-1...1) }

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let expected = "2 columns of texts and a number as the label"
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        let cosines = batch.embeddings[0].cosineSimilarity(batch.embeddings[1])
        let outputs =
            switch transformation {
            case .identity: cosines
            case .relu: cosines.relu()
            case .sigmoid: cosines.sigmoid()
            case .tanh: cosines.tanh()
            }
        let differences = outputs - batch.labelTensor(batch.labels?.floats ?? [])
        return function == .meanSquaredError ? (differences * differences).mean() : differences.absolute().mean()
    }
}

/// How far the two texts of a pair are from each other.
///
/// > Source: sentence-transformers 6.2, `SiameseDistanceMetric`.
package enum SiameseDistance: String, CaseIterable, Sendable {
    /// The Euclidean distance.
    case euclidean = "EUCLIDEAN"
    /// The sum of absolute differences.
    case manhattan = "MANHATTAN"
    /// 1 − cosine.
    case cosine = "COSINE_DISTANCE"

    func callAsFunction(_ first: Tensor, _ second: Tensor) -> Tensor {
        // As torch.nn.functional.pairwise_distance, which keeps differences off zero.
        let epsilon = 1e-6
        return switch self {
        case .euclidean: (first - second + epsilon).norm(along: -1)
        case .manhattan: (first - second + epsilon).absolute().sum(along: -1)
        case .cosine: -first.cosineSimilarity(second) + 1
        }
    }
}

/// Pairs with label 1 are to be near, those with label 0 at least a margin apart: ½ (y d² + (1 − y) max(0, margin − d)²).
///
/// > Source: Hadsell et al., 2006; sentence-transformers 6.2, `ContrastiveLoss`.
package struct ContrastiveLoss: EmbeddingLoss {
    package let name = "ContrastiveLoss"
    /// How far texts are from each other.
    package var distance = SiameseDistance.cosine
    /// How far pairs with label 0 are to be apart.
    package var margin = 0.5
    /// Whether the mean of the losses of pairs is taken; their sum otherwise.
    package var isAveraged = true

    package init() {}

    package var labelValues: LossLabels.Values? { .range(0...1) }

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let expected = "2 columns of texts and 0 or 1 as the label"
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        let distances = distance(batch.embeddings[0], batch.embeddings[1])
        let labels = batch.labels?.floats ?? []
        let apart = (-distances + margin).relu()
        let losses =
            (batch.labelTensor(labels) * distances * distances
                + batch.labelTensor(labels.map { 1 - $0 }) * apart * apart) * 0.5
        return isAveraged ? losses.mean() : losses.sum()
    }
}

/// ``ContrastiveLoss`` of the hard pairs of a batch: those with label 1 that are farther apart than the nearest with
/// label 0, and the reverse.
///
/// > Source: sentence-transformers 6.2, `OnlineContrastiveLoss`.
package struct OnlineContrastiveLoss: EmbeddingLoss {
    package let name = "OnlineContrastiveLoss"
    /// How far texts are from each other.
    package var distance = SiameseDistance.cosine
    /// How far pairs with label 0 are to be apart.
    package var margin = 0.5

    package init() {}

    package var labelValues: LossLabels.Values? { .binary }

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let expected = "2 columns of texts and 0 or 1 as the label"
        try require(columns, in: 2...2, expected)
        try requireNumber(labels, expected)
    }

    package func callAsFunction(_ batch: LossBatch) throws -> Tensor {
        let distances = distance(batch.embeddings[0], batch.embeddings[1])
        let values = try distances.detached().array(of: Float.self)
        let labels = batch.labels?.floats ?? []
        let positives = values.indices.filter { labels[$0] == 1 }
        let negatives = values.indices.filter { labels[$0] == 0 }
        func mean(_ rows: [Int]) -> Float { rows.reduce(0) { $0 + values[$1] } / Float(rows.count) }
        let farthest = positives.map { values[$0] }.max() ?? mean(negatives)
        let nearest = negatives.map { values[$0] }.min() ?? mean(positives)
        func mask(_ rows: [Int]) -> Tensor {
            var mask = [Float](repeating: 0, count: values.count)
            for row in rows { mask[row] = 1 }
            return batch.labelTensor(mask)
        }
        let apart = (-distances + margin).relu()
        return (mask(positives.filter { values[$0] > nearest }) * distances * distances).sum()
            + (mask(negatives.filter { values[$0] < farthest }) * apart * apart).sum()
    }
}
