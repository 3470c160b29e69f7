package import EttinInference
package import EttinModel

extension EmbeddingSimilarity {
    /// How near two vectors are; larger is nearer.
    ///
    /// Computed in double precision and rounded once, so that equal vectors give equal scores wherever they stand.
    ///
    /// - Parameters:
    ///   - one: A vector.
    ///   - other: Another; a precondition is that it has the same width.
    /// - Returns: The score.
    ///
    /// > Source: sentence-transformers 6.2, `pairwise_cos_sim` and its sisters.
    package func score(_ one: ArraySlice<Float>, _ other: ArraySlice<Float>) -> Float {
        precondition(one.count == other.count, "vectors of \(one.count) and \(other.count) dimensions")
        return one.withUnsafeBufferPointer { one in
            other.withUnsafeBufferPointer { other in
                var (sum, oneNorm, otherNorm) = (0.0, 0.0, 0.0)
                switch self {
                case .cosine:
                    for index in one.indices {
                        let (x, y) = (Double(one[index]), Double(other[index]))
                        sum += x * y
                        oneNorm += x * x
                        otherNorm += y * y
                    }
                    // Norms are clamped as `normalize` does it.
                    return Float(sum / (max(oneNorm.squareRoot(), 1e-12) * max(otherNorm.squareRoot(), 1e-12)))
                case .dot:
                    for index in one.indices { sum += Double(one[index]) * Double(other[index]) }
                    return Float(sum)
                case .euclidean:
                    for index in one.indices {
                        let difference = Double(one[index]) - Double(other[index])
                        sum += difference * difference
                    }
                    return Float(-sum.squareRoot())
                case .manhattan:
                    for index in one.indices { sum += abs(Double(one[index]) - Double(other[index])) }
                    return Float(-sum)
                }
            }
        }
    }

    /// How near the vectors of each row are.
    ///
    /// - Parameters:
    ///   - ones: Vectors.
    ///   - others: As many vectors of the same width.
    /// - Returns: A score for each row.
    package func scores(_ ones: TextEmbeddings, _ others: TextEmbeddings) -> [Float] {
        precondition(ones.count == others.count, "\(ones.count) vectors beside \(others.count)")
        return (0..<ones.count).map { score(ones[$0], others[$0]) }
    }
}
