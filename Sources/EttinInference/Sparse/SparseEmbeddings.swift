public import EttinModel

/// A text's weights of a vocabulary, of which most are 0.
public struct SparseVector: Sendable, Hashable {
    /// The entries whose weight is not 0, rising.
    public let indices: [Int32]
    /// The weight of each.
    public let values: [Float]

    /// Creates a vector.
    ///
    /// - Parameters:
    ///   - indices: Entries, rising.
    ///   - values: The weight of each.
    public init(indices: [Int32], values: [Float]) {
        precondition(indices.count == values.count, "\(indices.count) entries with \(values.count) weights")
        precondition(zip(indices, indices.dropFirst()).allSatisfy { $0 < $1 }, "entries do not rise")
        self.indices = indices
        self.values = values
    }

    /// What is not 0 of all weights.
    ///
    /// - Parameters:
    ///   - weights: The weight of each entry.
    ///   - limit: The greatest number of weights, the largest magnitudes being kept; nil for all.
    init(_ weights: Slice<UnsafeBufferPointer<Float>>, limit: Int?) {
        let first = weights.startIndex
        var places = weights.indices.filter { weights[$0] != 0 }
        if let limit, places.count > limit {
            let best = places.sorted { (weights[$1].magnitude, $0) < (weights[$0].magnitude, $1) }.prefix(limit)
            places = best.sorted()
        }
        indices = places.map { Int32($0 - first) }
        values = places.map { weights[$0] }
    }

    /// The number of weights that are not 0.
    public var count: Int { indices.count }

    /// The entries by weight, the largest first; equal ones in their order.
    public var byWeight: [(index: Int32, value: Float)] {
        zip(indices, values).sorted { ($1.1, $0.0) < ($0.1, $1.0) }.map { (index: $0.0, value: $0.1) }
    }

    /// How near two vectors are; larger is nearer.
    ///
    /// - Parameters:
    ///   - other: A vector of the same vocabulary.
    ///   - similarity: How they are compared.
    /// - Returns: The similarity, or the negative distance.
    /// - Complexity: O(weights of both).
    public func similarity(to other: SparseVector, by similarity: EmbeddingSimilarity = .dot) -> Float {
        switch similarity {
        case .dot: joined(other) { $0 * $1 }
        case .cosine: joined(other) { $0 * $1 } / (max(length, 1e-12) * max(other.length, 1e-12))
        case .euclidean: -joined(other) { ($0 - $1) * ($0 - $1) }.squareRoot()
        case .manhattan: -joined(other) { ($0 - $1).magnitude }
        }
    }

    private var length: Float { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    /// The sum of what `body` makes of both weights of each entry that either has.
    private func joined(_ other: SparseVector, _ body: (Float, Float) -> Float) -> Float {
        var (a, b) = (0, 0)
        var total: Float = 0
        while a < count || b < other.count {
            let left = a < count ? indices[a] : .max
            let right = b < other.count ? other.indices[b] : .max
            total += body(left <= right ? values[a] : 0, right <= left ? other.values[b] : 0)
            if left <= right { a += 1 }
            if right <= left { b += 1 }
        }
        return total
    }
}

/// Weights of texts, one vector each.
public struct SparseEmbeddings: Sendable, Hashable {
    /// The weights of each text.
    public let vectors: [SparseVector]
    /// The number of entries of the vocabulary.
    public let dimensions: Int
    /// Whether each text was truncated.
    public let isTruncated: [Bool]

    /// Takes weights.
    ///
    /// - Parameters:
    ///   - vectors: The weights of each text.
    ///   - dimensions: The number of entries of the vocabulary, which no index of a vector reaches.
    ///   - isTruncated: Whether each text was truncated.
    public init(vectors: [SparseVector], dimensions: Int, isTruncated: [Bool]) {
        precondition(vectors.count == isTruncated.count, "\(vectors.count) vectors of \(isTruncated.count) texts")
        precondition(
            vectors.allSatisfy { ($0.indices.last ?? -1) < dimensions && ($0.indices.first ?? 0) >= 0 },
            "entries beyond the \(dimensions) of the vocabulary"
        )
        self.vectors = vectors
        self.dimensions = dimensions
        self.isTruncated = isTruncated
    }

    /// The number of texts.
    public var count: Int { vectors.count }

    /// The weights of one text.
    ///
    /// - Parameter index: The number of the text, from 0.
    public subscript(index: Int) -> SparseVector { vectors[index] }

    /// How many weights of a text are not 0 on average; 0 for no texts.
    public var activeDimensions: Double {
        vectors.isEmpty ? 0 : Double(vectors.reduce(0) { $0 + $1.count }) / Double(vectors.count)
    }

    /// The share of weights that are 0, 0 to 1.
    public var sparsityRatio: Double { dimensions == 0 ? 0 : 1 - activeDimensions / Double(dimensions) }

    /// Compares each text with each of some others.
    ///
    /// - Parameters:
    ///   - others: Vectors of the same vocabulary.
    ///   - similarity: How they are compared.
    /// - Returns: For each text its similarities, one for each of the others; larger is nearer.
    public func similarity(to others: SparseEmbeddings, by similarity: EmbeddingSimilarity = .dot) -> [[Float]] {
        vectors.map { vector in others.vectors.map { vector.similarity(to: $0, by: similarity) } }
    }
}
