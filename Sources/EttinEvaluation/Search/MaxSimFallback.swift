package import Torch

package enum MaxSimPairs {
    case all, pairwise
    case grouped(perQuery: Int)
}

package func maxSim(
    queries: Tensor,
    cuQueries: [Int32],
    documents: Tensor,
    cuDocuments: [Int32],
    pairs: MaxSimPairs,
    competesWithZero: [Bool]?
) -> Tensor {
    func rows(_ tensor: Tensor, _ cu: [Int32], _ range: Range<Int>) -> Tensor {
        tensor.narrowed(along: 0, from: Int(cu[range.lowerBound]), count: Int(cu[range.upperBound] - cu[range.lowerBound]))
    }
    let (n, m) = (cuQueries.count - 1, cuDocuments.count - 1)
    func scores(_ query: Int, _ range: Range<Int>) -> Tensor {
        let similarities = rows(documents, cuDocuments, range).matmul(
            rows(queries, cuQueries, query..<query + 1).transposed(0, 1)
        )
        let base = cuDocuments[range.lowerBound]
        let parts = range.map { document -> Tensor in
            let (low, high) = (Int(cuDocuments[document] - base), Int(cuDocuments[document + 1] - base))
            var best = similarities.narrowed(along: 0, from: low, count: high - low).max(along: 0, keepingDimensions: true)
            if competesWithZero?[document] == true { best = best.clamped(min: 0) }
            return best.sum(along: 1)
        }
        return Tensor.concatenate(parts)
    }
    switch pairs {
    case .all: return Tensor.concatenate((0..<n).map { scores($0, 0..<m) }).reshaped(n, m)
    case .pairwise: return Tensor.concatenate((0..<n).map { scores($0, $0..<$0 + 1) })
    case .grouped(let k): return Tensor.concatenate((0..<n).map { scores($0, $0 * k..<($0 + 1) * k) }).reshaped(n, k)
    }
}
