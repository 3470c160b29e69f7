import EttinFiles
import EttinInference
import EttinTokenizer

/// Ranks the documents that BM25 found for each query by the scores of a cross-encoder.
struct DocumentReranking {
    private let ranking: DocumentRanking
    private let count: Int
    private let maxBatchTokens: Int

    /// Pairs that are scored at once, and some more: those of a query stay together.
    private static let blockPairs = 2048

    /// - Parameters:
    ///   - ranking: What is searched, and how equal scores are ordered.
    ///   - count: How many documents are ranked for each query; no others are found.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    init(_ ranking: DocumentRanking, count: Int, maxBatchTokens: Int) {
        (self.ranking, self.count, self.maxBatchTokens) = (ranking, count, maxBatchTokens)
    }

    /// Ranks.
    ///
    /// - Parameters:
    ///   - pipeline: The cross-encoder.
    ///   - progress: Told how many of the pairs are scored.
    /// - Returns: For each query the documents, best first, and how many pairs were truncated.
    /// - Throws: What the model and the texts throw; `CancellationError`.
    func callAsFunction(
        _ pipeline: RerankingPipeline,
        progress: (_ done: Int, _ total: Int) -> Void
    ) throws -> (rankings: [[RankedDocument]], truncatedTexts: Int) {
        let data = ranking.data
        let candidates = try BM25().rankings(
            data,
            depth: min(count, ranking.depth),
            ties: ranking.ties,
            passesOverQueries: ranking.passesOverQueries
        ).map { $0.map(\.document) }
        let pairCount = candidates.reduce(0) { $0 + $1.count }
        var rankings: [[RankedDocument]] = []
        var (done, truncated) = (0, 0)
        while rankings.count < candidates.count {
            let first = rankings.count
            var pairs: [TextPair] = []
            var next = first
            while next < candidates.count, pairs.count < Self.blockPairs {
                let query = try data.queries(next)
                pairs += try candidates[next].map { TextPair(query, try data.documents($0)) }
                next += 1
            }
            let scores = try pipeline.predict(
                pairs,
                prompt: ranking.queryPrompt,
                overlong: pipeline.tokenizer.truncatesLeft ? .keepEnd : .keepStart,
                maxBatchTokens: maxBatchTokens
            )
            truncated += scores.count { $0.isTruncated }
            var place = 0
            for documents in candidates[first..<next] {
                let values = scores[place..<place + documents.count].map { Float($0.value) }
                rankings.append(ordered(documents, values))
                place += documents.count
            }
            done += pairs.count
            progress(done, pairCount)
        }
        return (rankings, truncated)
    }

    private func ordered(_ documents: [Int], _ scores: [Float]) -> [RankedDocument] {
        zip(documents, scores).map { RankedDocument(document: $0, score: $1) }.sorted { one, other in
            guard one.score == other.score else { return one.score > other.score }
            let ids = ranking.data.documentIDs
            return (ExactName(ids[one.document]) < ExactName(ids[other.document])) == (ranking.ties == .ascendingID)
        }
    }
}
