import EttinTraining
import Torch

/// In-batch negatives by late interaction: the document of each query's own row is to score higher than all other
/// documents, among them the negatives of all rows.
///
/// > Source: PyLate 1.6, `Contrastive` and `CachedContrastive`.
package struct MultiVectorContrastiveLoss: MultiVectorLoss {
    /// `Contrastive` or `CachedContrastive`.
    package var name = "Contrastive"
    package var cache: GradientCacheSettings?
    /// Queries that are scored at a time, which holds fewer places of maxima; nil for all; `score_mini_batch_size`.
    package var scoredQueries: Int?
    /// Whether the mean over queries is taken, and not the sum; `size_average`.
    package var averages = true
    /// What scores are divided by.
    package var temperature = 1.0
    /// Whether gradients are those of the sum although the mean is returned, as in `CachedContrastive` of PyLate;
    /// `sum_gradients`.
    package var sumsGradients = false

    package init() {}

    package func check(columns: [String], lists: [Bool], labels: LossLabels.Kind?) throws -> [String] {
        let expected = "2 or more columns with a text in each row: a query, a positive and any number of negatives"
        guard columns.count > 1 else { throw unsuitable("1 column of texts", expected) }
        if let place = lists.firstIndex(of: true) {
            throw unsuitable("lists in the column \"\(columns[place])\"", expected)
        }
        return labels == nil ? [] : ["\(name) does not read the label column"]
    }

    package func problem(
        texts: [Int],
        labels: Int,
        first: [Int]
    ) -> (column: Int, found: String, expected: String)? { nil }

    package func backward(_ batch: MultiVectorBatch, weight: Double) throws -> Double {
        let factor = weight * (sumsGradients && averages ? Double(batch.rowCount) : 1)
        var total = 0.0
        for rows in chunks(of: batch) {
            let share = share(of: rows, in: batch)
            let value = try share.scalar()
            total += value
            guard value.isFinite else { break }
            (factor == 1 ? share : share * factor).backward()
        }
        return total
    }

    package func value(of batch: MultiVectorBatch) throws -> Double {
        try chunks(of: batch).reduce(0) { try $0 + share(of: $1, in: batch).scalar() }
    }

    /// What some queries contribute to the loss.
    ///
    /// Documents are in the order of their columns, the positives first.
    private func share(of rows: Range<Int>, in batch: MultiVectorBatch) -> Tensor {
        let documents = TokenRows.joined(Array(batch.columns[1...]))
        let logits = batch.columns[0][rows].scores(documents, .all) / temperature
        let places = Tensor(rows.map(Int64.init), shape: [rows.count, 1]).to(logits.device)
        let losses = logits.logSumExp(along: 1) - logits.gathered(places, along: 1).reshaped(-1)
        return averages ? losses.sum() / Double(max(1, batch.rowCount)) : losses.sum()
    }

    private func chunks(of batch: MultiVectorBatch) -> [Range<Int>] {
        let size = max(1, scoredQueries ?? batch.rowCount)
        return stride(from: 0, to: batch.rowCount, by: size).map { $0..<min($0 + size, batch.rowCount) }
    }
}
