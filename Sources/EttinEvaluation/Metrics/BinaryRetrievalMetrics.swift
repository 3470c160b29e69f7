import Foundation

/// The cut-offs of sentence-transformers' retrieval metrics.
public struct RetrievalCutoffs: Hashable, Sendable {
    /// The cut-offs of MRR.
    public var mrr: [Int]
    /// The cut-offs of nDCG.
    public var ndcg: [Int]
    /// The cut-offs of accuracy.
    public var accuracy: [Int]
    /// The cut-offs of precision and recall.
    public var precisionRecall: [Int]
    /// The cut-offs of MAP.
    public var map: [Int]

    /// Chooses cut-offs, all different, each 1 or more and at least one for each metric; the defaults are those of
    /// sentence-transformers.
    ///
    /// - Parameters:
    ///   - mrr: The cut-offs of MRR.
    ///   - ndcg: The cut-offs of nDCG.
    ///   - accuracy: The cut-offs of accuracy.
    ///   - precisionRecall: The cut-offs of precision and recall.
    ///   - map: The cut-offs of MAP.
    public init(
        mrr: [Int] = [10],
        ndcg: [Int] = [10],
        accuracy: [Int] = [1, 3, 5, 10],
        precisionRecall: [Int] = [1, 3, 5, 10],
        map: [Int] = [100]
    ) {
        self.mrr = mrr
        self.ndcg = ndcg
        self.accuracy = accuracy
        self.precisionRecall = precisionRecall
        self.map = map
    }

    var all: [Int] { mrr + ndcg + accuracy + precisionRecall + map }
    /// How many documents of a query count.
    var deepest: Int { all.max() ?? 1 }

    /// The keys of the metrics, in the order of sentence-transformers' results.
    var keys: [String] {
        accuracy.map { "accuracy@\($0)" } + precisionRecall.map { "precision@\($0)" }
            + precisionRecall.map { "recall@\($0)" } + ndcg.map { "ndcg@\($0)" } + mrr.map { "mrr@\($0)" }
            + map.map { "map@\($0)" }
    }

    /// The keys in the order of the columns of tables, with the columns' names.
    var columns: [(key: String, header: String)] {
        accuracy.map { ("accuracy@\($0)", "Accuracy@\($0)") }
            + precisionRecall.flatMap { [("precision@\($0)", "Precision@\($0)"), ("recall@\($0)", "Recall@\($0)")] }
            + mrr.map { ("mrr@\($0)", "MRR@\($0)") } + ndcg.map { ("ndcg@\($0)", "NDCG@\($0)") }
            + map.map { ("map@\($0)", "MAP@\($0)") }
    }

    /// The metrics of rankings in which documents are relevant or not.
    ///
    /// - Parameters:
    ///   - rankings: For each query whether each document is relevant, best first.
    ///   - relevantCounts: For each query how many documents are relevant, 1 or more.
    /// - Returns: The means over queries, by key.
    ///
    /// > Source: sentence-transformers 6.2, `InformationRetrievalEvaluator.compute_metrics`.
    func metrics(_ rankings: [[Bool]], relevantCounts: [Int]) -> [String: Double] {
        var sums: [String: Double] = [:]
        for (ranking, relevant) in zip(rankings, relevantCounts) {
            func hits(_ k: Int) -> Int { ranking.prefix(k).count { $0 } }
            for k in accuracy { sums["accuracy@\(k)", default: 0] += hits(k) > 0 ? 1 : 0 }
            for k in precisionRecall {
                sums["precision@\(k)", default: 0] += Double(hits(k)) / Double(k)
                sums["recall@\(k)", default: 0] += Double(hits(k)) / Double(relevant)
            }
            for k in mrr {
                sums["mrr@\(k)", default: 0] += ranking.prefix(k).firstIndex(of: true).map { 1 / Double($0 + 1) } ?? 0
            }
            for k in ndcg {
                let gain = discountedGain(ranking.prefix(k).map { $0 ? 1 : 0 })
                let ideal = discountedGain([Double](repeating: 1, count: min(relevant, k)))
                sums["ndcg@\(k)", default: 0] += gain / ideal
            }
            for k in map {
                sums["map@\(k)", default: 0] += precisionSum(ranking.prefix(k)) / Double(min(k, relevant))
            }
        }
        return sums.mapValues { $0 / Double(rankings.count) }
    }
}

/// Gains by rank, each divided by the binary logarithm of the rank plus 1.
func discountedGain(_ gains: some Sequence<Double>) -> Double {
    gains.enumerated().reduce(0) { $0 + $1.element / log2(Double($1.offset + 2)) }
}

/// The sum of the precisions at the ranks of relevant documents.
func precisionSum(_ ranking: some Sequence<Bool>) -> Double {
    var (hits, sum) = (0.0, 0.0)
    for (rank, isRelevant) in ranking.enumerated() where isRelevant {
        hits += 1
        sum += hits / Double(rank + 1)
    }
    return sum
}
