package import EttinModel
package import Torch

extension EmbeddingSimilarity {
    /// The similarity of all rows of one tensor to all of another.
    ///
    /// - Parameters:
    ///   - a: `[rows, width]`.
    ///   - b: `[others, width]`.
    /// - Returns: `[rows, others]`.
    ///
    /// > Source: sentence-transformers `util/similarity.py`.
    package func matrix(_ a: Tensor, _ b: Tensor) -> Tensor {
        switch self {
        case .cosine: a.normalized().matmul(b.normalized().transposed(0, 1))
        case .dot: a.matmul(b.transposed(0, 1))
        case .euclidean: -a.distances(to: b, p: 2)
        case .manhattan: -a.distances(to: b, p: 1)
        }
    }

    /// The similarity of each row of one tensor to the same row of another.
    ///
    /// - Parameters:
    ///   - a: `[rows, width]`.
    ///   - b: `[rows, width]`.
    /// - Returns: `[rows]`.
    package func pairwise(_ a: Tensor, _ b: Tensor) -> Tensor {
        switch self {
        case .cosine: (a.normalized() * b.normalized()).sum(along: -1)
        case .dot: (a * b).sum(along: -1)
        case .euclidean: -(a - b).norm(along: -1)
        case .manhattan: -(a - b).absolute().sum(along: -1)
        }
    }
}

extension Tensor {
    /// The absolute difference in angle between rows in complex space, by which AnglE compares.
    ///
    /// Each row is a vector of complex numbers, whose real parts come first; one of odd width has a 0 at the end.
    ///
    /// - Parameter other: `[rows, width]`.
    /// - Returns: `[rows]` for `[rows, width]`.
    ///
    /// > Source: AnglE, arXiv 2309.12871; sentence-transformers `util/similarity.py`, `pairwise_angle_sim`.
    func angleSimilarity(_ other: Tensor) -> Tensor {
        let (x, y) = (evenlyWide.normalized(), other.evenlyWide.normalized())
        let (xs, ys) = (x.split(into: 2, along: 1), y.split(into: 2, along: 1))
        let sines = (xs[1] * ys[0] - xs[0] * ys[1]).sum(along: 1)
        return ((x * y).sum(along: 1) + sines).absolute()
    }

    private var evenlyWide: Tensor {
        size(1) % 2 == 0 ? self : .concatenate([self, .zeros([size(0), 1], dtype, on: device)], along: 1)
    }

    /// The cosine of each row with the same row of another, as `torch.nn.functional.cosine_similarity`.
    func cosineSimilarity(_ other: Tensor) -> Tensor {
        func unit(_ rows: Tensor) -> Tensor { rows / rows.norm(along: -1, keepingDimensions: true).clamped(min: 1e-8) }
        return (unit(self) * unit(other)).sum(along: -1)
    }
}
