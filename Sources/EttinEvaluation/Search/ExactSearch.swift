public import EttinInference
public import EttinModel
import Torch

/// What a search found.
public struct SearchHit: Sendable, Hashable {
    /// The number of the vector in the corpus, from 0.
    public let index: Int
    /// Its similarity to the query; the higher, the nearer.
    public let score: Float

    /// Describes a hit.
    ///
    /// - Parameters:
    ///   - index: The number of the vector in the corpus, from 0.
    ///   - score: Its similarity to the query.
    public init(index: Int, score: Float) {
        self.index = index
        self.score = score
    }
}

/// Which of two equal scores comes first.
public enum TieRule: Sendable, Hashable {
    /// The one that is earlier in the corpus. For an order of names, sort the corpus by them.
    case ascendingIndex
    /// The one that is later in the corpus.
    case descendingIndex
}

/// Finds the nearest vectors of a corpus by comparing with all of them.
///
/// ```swift
/// let search = try ExactSearch(corpus: documents, similarity: .cosine)
/// let nearest = try search.topK(queries, k: 10)
/// ```
///
/// - The corpus is packed once, in blocks, in the order in which the CPU's kernels read it. Products are made block by
///   block and never kept: besides the corpus, memory is that of the results of a block of queries.
/// - A score is summed along the vectors in one order, wherever they lie and whatever the blocks: equal vectors have equal
///   scores to the last bit, and the number of threads changes nothing.
/// - Distances are found by products as well: the nearest by `q·d − |d|²/2` of vectors less their mean, as products of
///   large vectors lose small distances. Those found are computed anew from the differences; of vectors whose distances
///   differ less than the products are rounded, any may be the last ones. Only the Manhattan distance, which no product
///   gives, takes differences throughout.
///
/// Not `Sendable`: use one from one thread at a time.
public final class ExactSearch {
    /// How queries and corpus are compared.
    public let similarity: EmbeddingSimilarity
    /// The number of vectors in the corpus.
    public let count: Int
    /// The width of a vector.
    public let dimensions: Int
    private let blocks: [Block]
    /// The corpus as it was given, for distances; nil where products say it all.
    private let vectors: TextEmbeddings?
    /// What is subtracted before products, `[dimensions]`; nil where only distances would stay the same.
    private let origin: Tensor?

    /// Consecutive vectors of the corpus.
    private struct Block {
        let range: Range<Int>
        let weight: PrepackedWeight
    }

    // 4 MB of scores at a time stay in a shared cache until they are read; a block of the corpus is read from there too.
    private static let blockVectors = 2048
    private static let blockQueries = 512
    /// Queries whose results exist at a time.
    package static let queriesAtOnce = 4096

    /// Packs a corpus.
    ///
    /// - Parameters:
    ///   - corpus: The vectors to search.
    ///   - similarity: How queries and corpus are compared.
    ///   - precision: The number type of products. In bfloat16 the corpus takes half the memory and scores are rounded
    ///     products of rounded vectors; distances are still computed from the vectors as given.
    /// - Throws: `TorchError` without memory.
    public init(
        corpus: TextEmbeddings,
        similarity: EmbeddingSimilarity = .cosine,
        precision: SearchPrecision = .float32
    ) throws {
        self.similarity = similarity
        count = corpus.count
        dimensions = corpus.dimensions
        requireIndexable(corpus.count)
        vectors = similarity == .euclidean || similarity == .manhattan ? corpus : nil
        guard similarity != .manhattan else {
            blocks = []
            origin = nil
            return
        }
        let origin = similarity == .euclidean ? try withRecovery { corpus.meanOfSome() } : nil
        self.origin = origin
        blocks = try withRecovery {
            withoutGradients {
                stride(from: 0, to: corpus.count, by: Self.blockVectors).map { start in
                    let range = start..<min(corpus.count, start + Self.blockVectors)
                    let given = corpus.tensor(range)
                    let vectors = origin.map { given - $0 } ?? given
                    let halfSquares = (vectors * vectors).sum(along: 1) * -0.5
                    return Block(
                        range: range,
                        weight: PrepackedWeight(
                            similarity == .cosine ? vectors.normalized() : vectors,
                            bias: similarity == .euclidean ? halfSquares : nil,
                            precision: precision == .bfloat16 ? .bfloat16 : .float32
                        )
                    )
                }
            }
        }
    }

    /// Finds the nearest vectors of a corpus.
    ///
    /// - Parameters:
    ///   - queries: The vectors to compare with.
    ///   - corpus: The vectors to search, as wide.
    ///   - k: How many to find for each query; a smaller corpus gives all of it.
    ///   - similarity: How they are compared.
    ///   - ties: Which of two equal scores comes first.
    /// - Returns: For each query its hits, best first.
    /// - Throws: `TorchError` without memory; `CancellationError`.
    public static func topK(
        queries: TextEmbeddings,
        corpus: TextEmbeddings,
        k: Int,
        similarity: EmbeddingSimilarity = .cosine,
        ties: TieRule = .ascendingIndex
    ) throws -> [[SearchHit]] {
        try ExactSearch(corpus: corpus, similarity: similarity).topK(queries, k: k, ties: ties)
    }

    /// Finds the nearest vectors.
    ///
    /// - Parameters:
    ///   - queries: The vectors to compare with, as wide as the corpus.
    ///   - k: How many to find for each query; a smaller corpus gives all of it.
    ///   - ties: Which of two equal scores comes first.
    /// - Returns: For each query its hits, best first.
    /// - Throws: `TorchError` without memory; `CancellationError`.
    /// - Complexity: O(queries · corpus · dimensions) time; O(corpus · dimensions + queries · k) memory.
    public func topK(_ queries: TextEmbeddings, k: Int, ties: TieRule = .ascendingIndex) throws -> [[SearchHit]] {
        var hits: [[SearchHit]] = []
        hits.reserveCapacity(queries.count)
        for start in stride(from: 0, to: queries.count, by: Self.queriesAtOnce) {
            hits += try topK(queries, start..<min(queries.count, start + Self.queriesAtOnce), k: k, ties: ties)
        }
        return hits
    }

    /// Finds the nearest vectors for some of the queries, all of which are searched for at once.
    ///
    /// - Parameters:
    ///   - queries: The vectors to compare with.
    ///   - range: Which of them.
    ///   - k: How many to find for each query.
    ///   - ties: Which of two equal scores comes first.
    /// - Returns: For each query of the range its hits, best first.
    /// - Throws: `TorchError` without memory; `CancellationError`.
    package func topK(
        _ queries: TextEmbeddings,
        _ range: Range<Int>,
        k: Int,
        ties: TieRule = .ascendingIndex
    ) throws -> [[SearchHit]] {
        precondition(
            queries.count == 0 || queries.dimensions == dimensions,
            "queries have \(queries.dimensions) dimensions, the corpus \(dimensions)"
        )
        precondition(k > 0, "k is \(k)")
        let top = TopScores(count: min(k, max(1, count)), rows: range.count, ties: ties)
        if let vectors, similarity == .manhattan {
            try takeDifferences(queries, range, vectors, into: top)
        } else {
            try takeProducts(queries, range, into: top)
        }
        let shared = SharedScores(top: top)
        let nearest = concurrentMap(range.count) { shared.top.hits(row: $0) }
        guard let vectors, similarity == .euclidean else { return nearest }
        return concurrentMap(range.count) { row in
            nearest[row].map {
                let score = vectors.distance($0.index, to: queries, range.lowerBound + row, of: .euclidean)
                return SearchHit(index: $0.index, score: -score)
            }.sorted {
                $0.score != $1.score ? $0.score > $1.score : ($0.index < $1.index) == (ties == .ascendingIndex)
            }
        }
    }

    /// Hands on the products of queries with the corpus, which are compared on a thread of its own meanwhile.
    private func takeProducts(_ queries: TextEmbeddings, _ range: Range<Int>, into top: TopScores) throws {
        try withRecovery {
            try withoutGradients {
                let parts = stride(from: 0, to: range.count, by: Self.blockQueries).map { start in
                    let rows = start..<min(range.count, start + Self.blockQueries)
                    let part = queries.tensor(range.lowerBound + rows.lowerBound..<range.lowerBound + rows.upperBound)
                    return (rows, similarity == .cosine ? part.normalized() : origin.map { part - $0 } ?? part)
                }
                let comparison = ScoreComparison(top)
                for block in blocks {
                    for (rows, part) in parts {
                        try Task.checkCancellation()
                        comparison.add(
                            part.linear(block.weight, dtype: .float32),
                            rows: rows,
                            first: block.range.lowerBound
                        )
                    }
                }
                try comparison.finish()
            }
        }
    }

    /// Hands on the negative distances of queries from the corpus.
    private func takeDifferences(
        _ queries: TextEmbeddings,
        _ range: Range<Int>,
        _ vectors: TextEmbeddings,
        into top: TopScores
    ) throws {
        try Task.checkCancellation()
        let shared = SharedScores(top: top)
        let similarity = similarity
        concurrentForEach(range.count) { row in
            let scores = (0..<vectors.count).map {
                -vectors.distance($0, to: queries, range.lowerBound + row, of: similarity)
            }
            scores.withUnsafeBufferPointer { shared.top.take($0, row: row, first: 0) }
        }
    }
}

/// The number type of a search's products.
public enum SearchPrecision: String, Sendable, Hashable, CaseIterable {
    /// As vectors are.
    case float32
    /// Half the memory; scores differ in the third digit.
    case bfloat16
}

/// Results whose rows are each read and written by one thread at a time.
private struct SharedScores: @unchecked Sendable {
    let top: TopScores
}

private func requireIndexable(_ count: Int) {
    precondition(count <= Int(Int32.max), "a corpus of \(count) vectors")
}

extension TextEmbeddings {
    /// Some of the vectors, `[range.count, dimensions]`.
    fileprivate func tensor(_ range: Range<Int>) -> Tensor {
        values.withUnsafeBytes { bytes in
            let stride = dimensions * MemoryLayout<Float>.stride
            let part = UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound * stride..<range.upperBound * stride])
            return Tensor(bytes: part, shape: [range.count, dimensions], dtype: .float32)
        }
    }

    /// The mean of up to 8,192 of the vectors, evenly spread, `[dimensions]`; those that are not finite do not count.
    fileprivate func meanOfSome() -> Tensor {
        var sums = [Double](repeating: 0, count: dimensions)
        var added = 0
        for index in Swift.stride(from: 0, to: count, by: max(1, count / 4096)) {
            let vector = self[index]
            guard vector.allSatisfy(\.isFinite) else { continue }
            for (column, value) in vector.enumerated() { sums[column] += Double(value) }
            added += 1
        }
        let mean = sums.map { Float($0 / Double(max(1, added))) }
        return mean.withUnsafeBytes { Tensor(bytes: $0, shape: [dimensions], dtype: .float32) }
    }

    /// The distance of a vector from one of others, Euclidean or Manhattan.
    func distance(
        _ index: Int,
        to others: TextEmbeddings,
        _ other: Int,
        of similarity: EmbeddingSimilarity
    ) -> Float {
        values.withUnsafeBufferPointer { mine in
            others.values.withUnsafeBufferPointer { theirs in
                let (a, b) = (index * dimensions, other * dimensions)
                var (sums, column) = (SIMD8<Float>.zero, 0)
                func add(_ difference: SIMD8<Float>) {
                    let size = difference.replacing(with: -difference, where: difference .< 0)
                    sums += similarity == .euclidean ? difference * difference : size
                }
                while column + 8 <= dimensions {
                    var difference = SIMD8<Float>.zero
                    for lane in 0..<8 { difference[lane] = mine[a + column + lane] - theirs[b + column + lane] }
                    add(difference)
                    column += 8
                }
                var rest = SIMD8<Float>.zero
                for lane in 0..<dimensions - column { rest[lane] = mine[a + column + lane] - theirs[b + column + lane] }
                add(rest)
                return similarity == .euclidean ? sums.sum().squareRoot() : sums.sum()
            }
        }
    }
}
