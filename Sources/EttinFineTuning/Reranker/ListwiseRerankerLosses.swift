// Losses over the documents of a query, of which each query may have another number. What does not depend on the scores,
// such as orders, masks and weights, is made in Swift; the sums are tensors.
import EttinTraining
package import Torch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A loss over lists of documents.
package protocol ListwiseRerankerLoss: RerankerLoss {}

extension ListwiseRerankerLoss {
    package var pairing: RerankerPairing { .lists }

    package func labelCounts(texts: [Int]) -> ClosedRange<Int>? { texts[1]...texts[1] }

    package func check(columns: [Bool], labels: LossLabels.Kind?, labelCount: Int) throws {
        let expected = "2 columns, a query and a list of documents, and a list of as many numbers as the label"
        try requireOneScore(labelCount)
        guard columns.count == 2 else {
            throw unsuitable("\(columns.count) column\(columns.count == 1 ? "" : "s") of texts", expected)
        }
        if columns[0] { throw unsuitable("lists of texts in the first column", expected) }
        guard columns[1] else { throw unsuitable("a text alone in the second column", expected) }
        switch labels {
        case .list, .lists: return
        case .integer, .real: throw unsuitable("one label in each row", expected)
        case nil: throw unsuitable("no label column", expected + ", named label, labels, score or scores")
        }
    }
}

extension RerankerLossBatch {
    /// The labels of each list.
    fileprivate var lists: [[Double]] {
        let values = labels?.values ?? []
        return ranges.map { Array(values[$0]) }
    }

    /// Scores in rows as long as the longest, in an order of each row.
    ///
    /// - Parameters:
    ///   - scores: `[pairs]`.
    ///   - filler: The score of what fills up shorter rows.
    ///   - orders: The places of the pairs of each row.
    ///   - isBehind: Whether it stands behind their own scores; before them otherwise.
    /// - Returns: `[rows, longest]`.
    fileprivate func padded(_ scores: Tensor, filler: Double, _ orders: [[Int]], isBehind: Bool = true) -> Tensor {
        let end = scores.size(0)
        let places = filled(orders, with: end, isBehind: isBehind)
        let extended = Tensor.concatenate([scores, .full([1], filler, on: scores.device)])
        return extended.selecting(indices(places)).reshaped(-1, counts.max() ?? 0)
    }

    /// Rows of values made as long as the longest, one after the other.
    fileprivate func filled<Value>(_ rows: [[Value]], with value: Value, isBehind: Bool = true) -> [Value] {
        let longest = counts.max() ?? 0
        return rows.flatMap { row in
            let rest = [Value](repeating: value, count: longest - row.count)
            return isBehind ? row + rest : rest + row
        }
    }
}

/// Documents are to be in the order of their labels: pairs of documents in the wrong order count by what they cost nDCG.
///
/// > Source: Wang et al., "The LambdaLoss Framework for Ranking Metric Optimization"; sentence-transformers 6.2,
/// > `LambdaLoss` and `RankNetLoss`.
package struct LambdaLoss: ListwiseRerankerLoss {
    /// How much a pair of documents counts.
    package enum Weighting: Hashable, Sendable {
        /// All alike, which is RankNet.
        case none
        /// The gain of the first over the discount of its place.
        case ndcgLoss1
        /// The difference of gains by the difference of discounts of their distance.
        case ndcgLoss2
        /// What nDCG changes by when the two are exchanged.
        case lambdaRank
        /// The two before, the first so many times.
        case ndcgLoss2PP(mu: Double)

        /// The weight of a pair of documents.
        ///
        /// - Parameters:
        ///   - one: The place of a document in the order of scores, from 0.
        ///   - other: That of another.
        ///   - gains: The gains by place.
        /// - Returns: The weight.
        func callAsFunction(_ one: Int, _ other: Int, _ gains: [Double]) -> Double {
            func discount(_ place: Int) -> Double { log2(Double(place) + 2) }
            let difference = abs(gains[one] - gains[other])
            switch self {
            case .none: return 1
            case .ndcgLoss1: return gains[one] / discount(one)
            case .ndcgLoss2:
                let distance = abs(one - other)
                return distance == 0 ? 0 : abs(1 / discount(distance - 1) - 1 / discount(distance)) * difference
            case .lambdaRank: return abs(1 / discount(one) - 1 / discount(other)) * difference
            case .ndcgLoss2PP(let mu):
                return mu * Self.ndcgLoss2(one, other, gains) + Self.lambdaRank(one, other, gains)
            }
        }
    }

    package var name = "LambdaLoss"
    package var cache: GradientCacheSettings?
    /// How much a pair of documents counts.
    package var weighting = Weighting.ndcgLoss2PP(mu: 10)
    /// The first places that count; nil for all.
    package var k: Int?
    /// What the difference of two scores is multiplied by.
    package var sigma = 1.0
    /// The least of an ideal DCG.
    package var epsilon = 1e-10
    /// Whether logarithms have base 2; the natural ones otherwise.
    package var isBinary = true
    /// What scores go through.
    package var activation = Activation.identity

    package init() {}

    package func callAsFunction(_ batch: RerankerLossBatch) throws -> Tensor {
        let scores = activation(batch.column())
        let values = try scores.detached().array(of: Float.self)
        var (ones, others, weights) = ([Int](), [Int](), [Float]())
        for (range, labels) in zip(batch.ranges, batch.lists) {
            let order = labels.indices.sorted {
                (values[range.lowerBound + $1], $0) < (values[range.lowerBound + $0], $1)
            }
            let gains = gains(labels, order)
            let first = k ?? order.count
            for one in order.indices {
                for other in order.indices where min(one, other) < first {
                    guard weighting == .ndcgLoss1 || labels[order[one]] > labels[order[other]] else { continue }
                    ones.append(range.lowerBound + order[one])
                    others.append(range.lowerBound + order[other])
                    weights.append(Float(weighting(one, other, gains)))
                }
            }
        }
        guard !ones.isEmpty else { return scores.sum() * 0 }
        // As the original keeps differences off infinity.
        let limit = 1e8
        let differences = scores.selecting(batch.indices(ones)) - scores.selecting(batch.indices(others))
        let bounded = -(-differences.clamped(min: -limit)).clamped(min: -limit)
        let sum = (batch.tensor(weights) * (bounded * sigma).logSigmoid()).sum()
        return sum / (-Double(ones.count) * (isBinary ? log(2) : 1))
    }

    /// What each document adds to nDCG before its discount, in the order of scores.
    private func gains(_ labels: [Double], _ order: [Int]) -> [Double] {
        func gain(_ label: Double) -> Double { exp2(max(0, label)) - 1 }
        let ideal = labels.sorted(by: >).prefix(k ?? labels.count).enumerated()
            .reduce(0) { $0 + gain($1.element) / log2(Double($1.offset) + 2) }
        return order.map { gain(labels[$0]) / max(ideal, epsilon) }
    }
}

/// The softmax of scores is to be that of labels: cross-entropy.
///
/// > Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach"; sentence-transformers 6.2,
/// > `ListNetLoss`.
package struct ListNetLoss: ListwiseRerankerLoss {
    package let name = "ListNetLoss"
    package var cache: GradientCacheSettings?
    /// What scores go through.
    package var activation = Activation.identity

    package init() {}

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let shares = batch.lists.map { labels in
            let largest = labels.max() ?? 0
            let powers = labels.map { exp($0 - largest) }
            let total = powers.reduce(0, +)
            return powers.map { Float($0 / total) }
        }
        let scores = batch.padded(activation(batch.column()), filler: -1e16, batch.ranges.map(Array.init))
        let targets = batch.tensor(batch.filled(shares, with: 0), shape: scores.shape)
        return -(targets * scores.logSoftmax(along: 1)).sum() / Double(max(1, batch.counts.count))
    }
}

/// The likelihood of an order by the scores (Plackett–Luce), with more weight on its first places or without.
///
/// > Source: Lan et al., "Position-Aware ListMLE"; sentence-transformers 6.2, `PListMLELoss` and `ListMLELoss`.
package struct PListMLELoss: ListwiseRerankerLoss {
    package var name = "PListMLELoss"
    package var cache: GradientCacheSettings?
    /// What scores go through.
    package var activation = Activation.identity
    /// Whether the documents of a row are in the right order; by their labels otherwise.
    package var respectsInputOrder = true
    /// Whether first places weigh more, by `2^(n − place) − 1`.
    package var weighsPlaces = true

    package init() {}

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        // From the last to the first, so that cumulative sums are those of the documents behind each.
        let orders = zip(batch.ranges, batch.lists).map { range, labels in
            let order = labels.indices.sorted { (labels[$1], $0) < (labels[$0], $1) }
            return Array((respectsInputOrder ? Array(range) : order.map { range.lowerBound + $0 }).reversed())
        }
        let filler = -Double(Float.greatestFiniteMagnitude)
        let scores = batch.padded(activation(batch.column()), filler: filler, orders, isBehind: false)
        let isAbsent = batch.filled(batch.counts.map { [UInt8](repeating: 0, count: $0) }, with: 1, isBehind: false)
        let weights = batch.filled(batch.counts.map { placeWeights($0).reversed() }, with: 0, isBehind: false)
        let likelihoods = (scores - scores.cumulativeLogSumExp(along: 1))
            .filled(with: 0, where: Tensor(isAbsent, shape: scores.shape).to(.bool, scores.device))
        return -(likelihoods * batch.tensor(weights, shape: scores.shape)).sum() / Double(max(1, batch.counts.count))
    }

    /// The weights of the places of a list.
    private func placeWeights(_ count: Int) -> [Float] {
        guard weighsPlaces else { return [Float](repeating: 1, count: count) }
        // Powers of long lists are scaled down, as in the original, where they would be infinite.
        let scale = Double(max(0, count - 127))
        let powers = (0..<count).map { exp2(Double(count - 1 - $0) - scale) - exp2(-scale) }
        let total = powers.reduce(1e-10, +)
        return powers.map { Float($0 / total) }
    }
}

/// The rank of each document by the scores, made smooth, is to be that by the labels; errors at the top count more.
///
/// > Source: sentence-transformers 6.2, `ADRMSELoss`.
package struct ADRMSELoss: ListwiseRerankerLoss {
    package let name = "ADRMSELoss"
    package var cache: GradientCacheSettings?
    /// How sharp ranks are.
    package var alpha = 1.0
    /// What scores go through.
    package var activation = Activation.identity

    package init() {}

    package func callAsFunction(_ batch: RerankerLossBatch) -> Tensor {
        let scores = activation(batch.column())
        var (ones, others) = ([Int](), [Int]())
        var (ranks, weights) = ([Float](), [Float]())
        for (range, labels) in zip(batch.ranges, batch.lists) {
            for one in labels.indices {
                for other in labels.indices where other != one {
                    ones.append(range.lowerBound + one)
                    others.append(range.lowerBound + other)
                }
                let greater = labels.count { $0 > labels[one] }
                let equal = labels.count { $0 == labels[one] }
                let rank = Double(greater) + (Double(equal) + 1) / 2
                ranks.append(Float(rank))
                weights.append(Float(1 / log2(rank + 1)))
            }
        }
        let differences = scores.selecting(batch.indices(others)) - scores.selecting(batch.indices(ones))
        let found =
            (differences * alpha).sigmoid().reshaped(-1, 1).sum(byGroups: batch.indices(ones), count: ranks.count)
            .reshaped(-1) + 1
        let errors = found - batch.tensor(ranks)
        return (batch.tensor(weights) * errors * errors).sum() / Double(max(1, ranks.count))
    }
}
