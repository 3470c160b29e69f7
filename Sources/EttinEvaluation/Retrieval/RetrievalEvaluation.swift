import EttinFiles

/// Retrieval metrics by the rules of trec_eval.
///
/// Gains are the grades as they are, and documents without a grade above 0 are not relevant; nDCG compares with all judged
/// documents of the query; MAP@k is divided by the number of all relevant documents; every query with judgements counts.
/// Rankings come with equal scores ordered by descending id.
///
/// > Source: trec_eval, `ndcg_cut`, `map_cut`, `recall`, `P`, `success`; MRR@k and its name as in BEIR.
public struct RetrievalEvaluation: Sendable, Hashable {
    /// The metrics that are computed at each cut-off.
    public enum Measure: String, Sendable, Hashable, CaseIterable {
        /// Normalized discounted cumulative gain.
        case ndcg
        /// Mean average precision.
        case map
        /// The share of the relevant documents that was found.
        case recall
        /// The share of relevant documents among those found.
        case precision
        /// 1 divided by the rank of the first relevant document.
        case mrr
        /// Whether any relevant document was found.
        case hitRate = "hit_rate"
    }

    /// The cut-offs.
    public let cutoffs: [Int]
    /// The number of queries.
    public let queryCount: Int
    private let values: [Measure: [Double]]

    /// A metric.
    ///
    /// - Parameters:
    ///   - measure: The metric.
    ///   - cutoff: One of ``cutoffs``, which is a precondition.
    /// - Returns: The mean over queries.
    public func value(_ measure: Measure, at cutoff: Int) -> Double {
        guard let place = cutoffs.firstIndex(of: cutoff), let values = values[measure] else {
            preconditionFailure("\(cutoff) is not one of the cut-offs \(cutoffs)")
        }
        return values[place]
    }

    /// The metrics by key, such as `ndcg@10`.
    public var metrics: [Metric] {
        Measure.allCases.flatMap { measure in
            cutoffs.map { ("\(measure.rawValue)@\($0)", value(measure, at: $0)) }
        }
    }

    /// Measures rankings.
    ///
    /// - Parameters:
    ///   - rankings: For each query the documents, best first.
    ///   - data: The queries with their judgements.
    ///   - cutoffs: The cut-offs, 1 or more each.
    package init(_ rankings: [[RankedDocument]], of data: RetrievalData, cutoffs: [Int]) {
        precondition(rankings.count == data.queryIDs.count, "\(rankings.count) rankings")
        self.cutoffs = cutoffs
        queryCount = rankings.count
        var sums = Dictionary(
            uniqueKeysWithValues: Measure.allCases.map { ($0, [Double](repeating: 0, count: cutoffs.count)) }
        )
        for (query, documents) in rankings.enumerated() {
            let judgements = data.judgements[query]
            let grades = documents.map { max(0, judgements[ExactName(data.documentIDs[$0.document])] ?? 0) }
            let ideal = judgements.values.filter { $0 > 0 }.sorted(by: >)
            for (place, k) in cutoffs.enumerated() {
                for (measure, value) in Self.values(grades.prefix(k), ideal, k: k) { sums[measure]?[place] += value }
            }
        }
        values = sums.mapValues { $0.map { $0 / Double(max(1, rankings.count)) } }
    }

    /// The metrics of one query.
    private static func values(_ grades: ArraySlice<Int>, _ ideal: [Int], k: Int) -> [Measure: Double] {
        guard !ideal.isEmpty else { return [:] }
        let relevant = grades.map { $0 > 0 }
        let hits = Double(relevant.count { $0 })
        let all = Double(ideal.count)
        return [
            .ndcg: discountedGain(grades.map(Double.init)) / discountedGain(ideal.prefix(k).map(Double.init)),
            .map: precisionSum(relevant) / all,
            .recall: hits / all,
            .precision: hits / Double(k),
            .mrr: relevant.firstIndex(of: true).map { 1 / Double($0 + 1) } ?? 0,
            .hitRate: hits > 0 ? 1 : 0,
        ]
    }
}
