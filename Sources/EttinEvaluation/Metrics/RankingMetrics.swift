import Foundation

/// The metrics of one list of documents in which some are relevant.
///
/// > Source: sentence-transformers 6.2, `CrossEncoderRerankingEvaluator.compute_metrics`; scikit-learn,
/// > `average_precision_score` and `ndcg_score`.
struct RankingMetrics {
    /// Average precision over the whole list; equal scores count as one rank.
    let map: Double
    /// 1 divided by the rank of the first relevant document among the first k, or 0.
    let mrr: Double
    /// Normalized discounted cumulative gain of the first k; equal scores share what they gain.
    let ndcg: Double

    /// Nothing was found.
    static let zero = RankingMetrics(map: 0, mrr: 0, ndcg: 0)

    /// Which of equal scores comes first, for MRR.
    enum TieOrder {
        /// The one earlier in the list.
        case earlier
        /// The one later in the list.
        case later
    }

    private init(map: Double, mrr: Double, ndcg: Double) {
        self.map = map
        self.mrr = mrr
        self.ndcg = ndcg
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - isRelevant: Whether each document is relevant; at least one is.
    ///   - scores: The score of each; the higher, the earlier it is ranked.
    ///   - k: How many documents count for MRR and nDCG.
    ///   - ties: Which of equal scores comes first, for MRR.
    init(_ isRelevant: [Bool], _ scores: [Double], k: Int, ties: TieOrder) {
        let order = scores.indices.sorted {
            scores[$0] != scores[$1] ? scores[$0] > scores[$1] : ($0 < $1) == (ties == .earlier)
        }
        mrr = order.prefix(k).firstIndex { isRelevant[$0] }.map { 1 / Double($0 + 1) } ?? 0
        let relevant = isRelevant.count { $0 }
        var (sum, gain) = (0.0, 0.0)
        var (begin, found) = (0, 0)
        while begin < order.count {
            var end = begin + 1
            while end < order.count, scores[order[end]] == scores[order[begin]] { end += 1 }
            let hits = order[begin..<end].count { isRelevant[$0] }
            found += hits
            sum += Double(hits) / Double(relevant) * Double(found) / Double(end)
            let discounts = (begin..<min(end, max(begin, k))).reduce(0.0) { $0 + 1 / log2(Double($1 + 2)) }
            gain += Double(hits) / Double(end - begin) * discounts
            begin = end
        }
        map = sum
        ndcg = gain / discountedGain([Double](repeating: 1, count: min(k, relevant)))
    }

    /// The means of several lists' metrics.
    ///
    /// - Parameter lists: The metrics of each list, one at least.
    init(meanOf lists: [RankingMetrics]) {
        func mean(_ value: (RankingMetrics) -> Double) -> Double {
            lists.reduce(0) { $0 + value($1) } / Double(lists.count)
        }
        map = mean(\.map)
        mrr = mean(\.mrr)
        ndcg = mean(\.ndcg)
    }

    /// The metrics by key.
    ///
    /// - Parameters:
    ///   - k: How many documents counted.
    ///   - prefix: What to put before each key.
    /// - Returns: The metrics in the order of sentence-transformers' results.
    func metrics(k: Int, prefix: String = "") -> [(key: String, value: Double)] {
        [("\(prefix)map", map), ("\(prefix)mrr@\(k)", mrr), ("\(prefix)ndcg@\(k)", ndcg)]
    }

    /// The table that gets a line with each evaluation.
    static func table(
        _ file: String,
        k: Int,
        further columns: [String] = [],
        lineEnd: String = "\r\n"
    ) -> EvaluationTable {
        EvaluationTable(file: file, columns: ["MAP", "MRR@\(k)", "NDCG@\(k)"] + columns, lineEnd: lineEnd)
    }
}
