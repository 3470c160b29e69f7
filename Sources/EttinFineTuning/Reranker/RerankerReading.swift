import EttinInference
import EttinTraining
import Torch

/// How rows of texts become pairs as token ids of a reranker.
struct RerankerReading {
    let preparer: RerankingPipeline.Preparer
    /// Whether pairs that are too long lose the beginnings of their texts.
    let truncatesLeft: Bool
    /// Random seed of the documents that are drawn from other rows.
    let seed: UInt64

    /// Reads rows.
    ///
    /// - Parameters:
    ///   - rows: The numbers of the rows.
    ///   - set: The data set.
    ///   - step: The number of the batch, from 0.
    ///   - pairing: Which texts are scored together.
    /// - Returns: The batch, whose columns are pairs.
    /// - Throws: `TrainingError` naming file and row for an invalid text or label; what reading throws.
    func prepared(
        _ rows: [Int],
        of set: TrainingColumns,
        step: Int,
        _ pairing: RerankerPairing
    ) throws -> PreparedLossBatch {
        let texts = try set.textLists(ofRows: rows)
        let documents = documents(texts, step: step, pairing)
        // The pairs of a query one after the other: its tokens are made once.
        let pairs = zip(texts[0], documents).flatMap { query, documents in documents.map { TextPair(query[0], $0) } }
        let prepared = try preparer.prepare(
            pairs,
            prompt: set.prompts[0].map { .text($0) } ?? .none,
            overlong: truncatesLeft ? .keepEnd : .keepStart
        )
        var columns = [prepared]
        let width = documents.first?.count ?? 0
        if pairing != .lists {
            columns = (0..<width).map { column in rows.indices.map { prepared[$0 * width + column] } }
        }
        return PreparedLossBatch(
            columns: columns,
            labels: try set.labels(ofRows: rows),
            step: step,
            rowCount: rows.count,
            listCounts: pairing == .lists ? [documents.map(\.count)] : []
        )
    }

    /// The documents that each query is scored with: as many for each, unless they are lists.
    private func documents(_ texts: [[[String]]], step: Int, _ pairing: RerankerPairing) -> [[String]] {
        let rowCount = texts[0].count
        switch pairing {
        case .lists: return texts[1]
        case .columns: return (0..<rowCount).map { row in texts[1...].map { $0[row][0] } }
        case .inBatchNegatives(let count):
            let all = texts[1...].flatMap { column in column.map { $0[0] } }
            let drawn = Self.negatives(of: rowCount, columns: texts.count - 1, count: count, seed: seed, step: step)
            return (0..<rowCount).map { row in
                [texts[1][row][0]] + drawn[row].map { all[$0] } + texts[2...].map { $0[row][0] }
            }
        }
    }

    /// The documents of other rows that are drawn for each query, without one twice.
    ///
    /// > Source: sentence-transformers 6.2, `MultipleNegativesRankingLoss.get_in_batch_negatives`, but for the draws, which
    /// > are a function of seed and step here.
    ///
    /// - Parameters:
    ///   - rowCount: The number of rows.
    ///   - columns: The number of columns of documents.
    ///   - count: How many are drawn; nil for all.
    ///   - seed: Random seed.
    ///   - step: The number of the batch.
    /// - Returns: For each row, numbers of documents of all rows, one column after the other.
    static func negatives(of rowCount: Int, columns: Int, count: Int?, seed: UInt64, step: Int) -> [[Int]] {
        let documents = rowCount * columns
        let candidates = (0..<rowCount).map { row in (0..<documents).filter { $0 % rowCount != row } }
        guard let count, count < documents - columns else { return candidates }
        let draws = Philox(seed: seed, stream: UInt64(step)).uniforms(count: rowCount * documents)
        return candidates.enumerated().map { row, candidates in
            let own = draws[row * documents..<(row + 1) * documents]
            func key(_ document: Int) -> (Float, Int) { (own[own.startIndex + document], document) }
            return Array(candidates.sorted { key($0) < key($1) }.prefix(count))
        }
    }
}
