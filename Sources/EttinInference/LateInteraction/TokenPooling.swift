/// How the vectors of a document are made fewer: neighbours in direction become their mean.
public struct TokenPooling: Sendable, Hashable {
    /// One vector is kept for about this many; 1 keeps all.
    public var factor: Double
    /// How many vectors from the first stay as they are, such as that of `[CLS]`.
    public var protectedTokens: Int
    /// Whether the vectors that are left are scaled to length 1, as sentence-transformers 6 does and PyLate does not.
    public var normalizes: Bool

    /// Creates a rule.
    ///
    /// - Parameters:
    ///   - factor: One vector is kept for about this many, 1 or more.
    ///   - protectedTokens: How many vectors from the first stay as they are.
    ///   - normalizes: Whether the vectors that are left are scaled to length 1.
    public init(factor: Double = 1, protectedTokens: Int = 1, normalizes: Bool = false) {
        self.factor = factor
        self.protectedTokens = protectedTokens
        self.normalizes = normalizes
    }

    /// Refuses factors and counts that mean nothing.
    func check() throws {
        guard factor.isFinite, factor >= 1 else {
            throw InferenceError.invalidOption(name: "pool-factor", found: "\(factor)", expected: "1 or more")
        }
        try EttinInference.check("protected-tokens", protectedTokens, in: 0...Int.max)
    }

    /// The vectors that are left of a document's.
    ///
    /// Clusters are Ward's on distances 1 − cosine, with the vectors taken to be of length 1; each becomes its mean.
    ///
    /// - Parameters:
    ///   - rows: The document's vectors, row by row.
    ///   - width: The width of a vector.
    /// - Returns: The protected rows, then one for each cluster.
    ///
    /// > Source: PyLate 1.6 `ColBERT.pool_embeddings_hierarchical`; sentence-transformers 6.2
    /// > `multi_vector_encoder/modules/token_pooling.py`.
    func callAsFunction(_ rows: ArraySlice<Float>, width: Int) -> [Float] {
        let count = rows.count / width
        let kept = min(protectedTokens, count)
        let pooled = count - kept
        // Python's `//`, which also rounds down where the quotient in floating point is rounded up to an integer.
        let points = Double(pooled)
        let clusters = max(1, Int(((points - points.truncatingRemainder(dividingBy: factor)) / factor).rounded()))
        guard clusters < pooled else { return normalizes ? Self.normalized(Array(rows), width) : Array(rows) }
        let others = Array(rows.dropFirst(kept * width))
        let labels = WardClustering(count: pooled, distances: Self.distances(others, width)).clusters(atMost: clusters)
        let total = (labels.max() ?? 0) + 1
        var sums = [Float](repeating: 0, count: total * width)
        var sizes = [Float](repeating: 0, count: total)
        for (row, label) in labels.enumerated() {
            sizes[label] += 1
            for column in 0..<width { sums[label * width + column] += others[row * width + column] }
        }
        for label in 0..<total {
            for column in 0..<width { sums[label * width + column] /= sizes[label] }
        }
        let result = Array(rows.prefix(kept * width)) + sums
        return normalizes ? Self.normalized(result, width) : result
    }

    /// 1 − cosine of each row and those after it, between 0 and 2; products in float32 as the originals take them.
    private static func distances(_ rows: [Float], _ width: Int) -> [Double] {
        let count = rows.count / width
        var result: [Double] = []
        result.reserveCapacity(count * (count - 1) / 2)
        rows.withUnsafeBufferPointer { rows in
            for a in 0..<count {
                for b in a + 1..<max(count, a + 1) {
                    var product: Float = 0
                    for column in 0..<width { product += rows[a * width + column] * rows[b * width + column] }
                    result.append(Double(min(2, max(0, 1 - product))))
                }
            }
        }
        return result
    }

    private static func normalized(_ rows: [Float], _ width: Int) -> [Float] {
        var rows = rows
        for row in 0..<rows.count / width {
            let range = row * width..<(row + 1) * width
            let length = max(rows[range].reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
            for place in range { rows[place] /= length }
        }
        return rows
    }
}
