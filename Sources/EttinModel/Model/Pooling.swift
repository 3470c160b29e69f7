public import Torch

/// How the hidden states of a sequence become one vector.
///
/// > Source: sentence-transformers `sentence_transformer/modules/pooling.py`.
public enum Pooling: String, Sendable, Hashable, CaseIterable {
    /// The first token.
    case cls
    /// The largest value of each dimension.
    case max
    /// The mean over tokens.
    case mean
    /// The sum over tokens, divided by the root of their number.
    case meanSqrtLen = "mean_sqrt_len_tokens"
    /// The mean with weights 1, 2, 3, … by position.
    case weightedMean = "weightedmean"
    /// The last token.
    case lastToken = "lasttoken"
}

extension Tensor {
    /// One vector for each sequence of a packed batch.
    ///
    /// Sums are taken in float32 and given back in the dtype of the hidden states.
    ///
    /// - Parameters:
    ///   - batch: The sequences whose hidden states these are.
    ///   - pooling: How tokens are put together.
    ///   - skippedCounts: How many tokens at the start of each sequence do not count, as those of a prompt; nil for
    ///     none. Weights by position count them all the same.
    /// - Returns: `[sequences, hiddenSize]` for `[tokens, hiddenSize]`; zeros for sequences without a token that counts.
    public func pooled(_ batch: PackedBatch, by pooling: Pooling, skipping skippedCounts: [Int]? = nil) -> Tensor {
        let rows = (0..<batch.sequenceCount).map { sequence -> Range<Int> in
            let range = batch.range(of: sequence)
            return Swift.min(range.lowerBound + (skippedCounts?[sequence] ?? 0), range.upperBound)..<range.upperBound
        }
        switch pooling {
        case .cls: return rowOrZero(rows.map(\.first))
        case .lastToken: return rowOrZero(rows.map(\.last))
        case .mean: return sums(rows, of: batch, weight: { _, _ in 1 }, divisor: { $0 })
        case .meanSqrtLen: return sums(rows, of: batch, weight: { _, _ in 1 }, divisor: { $0.squareRoot() })
        case .weightedMean:
            return sums(rows, of: batch, weight: { Float($1 + 1 - batch.range(of: $0).lowerBound) }, divisor: { $0 })
        case .max: return max(ofRows: rows)
        }
    }

    private func rowOrZero(_ rows: [Int?]) -> Tensor {
        guard size(0) > 0 else { return .zeros([rows.count, size(1)], dtype, on: device) }
        let picked = selecting(Tensor(rows.map { Int64($0 ?? 0) }).to(device))
        guard rows.contains(nil) else { return picked }
        let isThere = Tensor(rows.map { $0 == nil ? Float(0) : 1 }, shape: [rows.count, 1])
        return picked * isThere.to(dtype, device)
    }

    /// Weighted sums over rows, each divided by a function of the sum of its weights.
    private func sums(
        _ rows: [Range<Int>],
        of batch: PackedBatch,
        weight: (_ sequence: Int, _ row: Int) -> Float,
        divisor: (Float) -> Float
    ) -> Tensor {
        // After a failure in a recovery scope there are fewer rows than tokens.
        var weights = [Float](repeating: 0, count: batch.tokenCount)
        var groups = [Int64](repeating: 0, count: batch.tokenCount)
        var scales = [Float](repeating: 0, count: rows.count)
        for (sequence, rows) in rows.enumerated() {
            var total: Float = 0
            for row in rows {
                weights[row] = weight(sequence, row)
                groups[row] = Int64(sequence)
                total += weights[row]
            }
            if total > 0 { scales[sequence] = 1 / divisor(total) }
        }
        let weighted = to(.float32) * Tensor(weights, shape: [batch.tokenCount, 1]).to(device)
        let sums = weighted.sum(byGroups: Tensor(groups).to(device), count: rows.count)
        return (sums * Tensor(scales, shape: [rows.count, 1]).to(device)).to(dtype)
    }
}
