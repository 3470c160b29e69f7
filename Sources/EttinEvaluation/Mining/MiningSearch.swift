import EttinInference
import EttinModel

/// The candidates of anchors, searched or kept from an earlier run.
final class MiningSearch {
    private let anchors: TextEmbeddings
    private let corpus: TextEmbeddings
    private let similarity: EmbeddingSimilarity
    private let count: Int
    private let kept: RecordFile?
    /// Packed when it is first needed, which it is not where all was kept.
    private var search: ExactSearch?

    /// - Parameters:
    ///   - anchors: The vectors of the anchors.
    ///   - corpus: The vectors of the corpus.
    ///   - similarity: How they are compared.
    ///   - count: Candidates for each anchor; fewer in a smaller corpus.
    ///   - kept: Where they are kept between runs; nil for nowhere.
    init(
        anchors: TextEmbeddings,
        corpus: TextEmbeddings,
        similarity: EmbeddingSimilarity,
        count: Int,
        kept: RecordFile?
    ) {
        (self.anchors, self.corpus, self.similarity, self.count) = (anchors, corpus, similarity, count)
        self.kept = kept
    }

    /// The candidates of the next anchors, best first.
    ///
    /// - Parameter block: Which anchors; blocks come in order, and are the same in every run.
    /// - Returns: As many for each anchor as there are in the corpus, and none (-1, minus infinity) for the rest.
    /// - Throws: `TorchError` without memory; ``EvaluationError`` for candidates that cannot be kept or read.
    func candidates(_ block: Range<Int>) throws -> [[MiningCandidate]] {
        let found = min(count, corpus.count)
        let stride = found * MemoryLayout<MiningCandidate>.stride
        let missing = [MiningCandidate](repeating: MiningCandidate(place: -1, score: -.infinity), count: count - found)
        if let record = try kept?.next(byteCount: block.count * stride) {
            return record.withUnsafeBytes { bytes in
                (0..<block.count).map { row in
                    (0..<found).map {
                        bytes.loadUnaligned(
                            fromByteOffset: row * stride + $0 * MemoryLayout<MiningCandidate>.stride,
                            as: MiningCandidate.self
                        )
                    } + missing
                }
            }
        }
        let search = try search ?? ExactSearch(corpus: corpus, similarity: similarity)
        self.search = search
        let hits = try search.topK(anchors, block, k: found)
        let candidates = hits.map { $0.map { MiningCandidate(place: Int32($0.index), score: $0.score) } }
        if let kept {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(block.count * stride)
            for row in candidates { row.withUnsafeBytes { bytes += $0 } }
            try kept.append(bytes)
        }
        return candidates.map { $0 + missing }
    }
}
