package import EttinModel
package import Torch

/// In-batch negatives (InfoNCE): the document of each query's own row is to be nearer to it than all other documents, among
/// them the negatives of all rows.
///
/// The loss is the mean over queries of `log Σⱼ exp(scale · s(qᵢ, dⱼ)) − scale · s(qᵢ, pᵢ)`, with more candidates in the
/// sum for other ``directions``.
///
/// > Source: sentence-transformers 6.2, `MultipleNegativesRankingLoss` and `CachedMultipleNegativesRankingLoss`.
package struct MultipleNegativesRankingLoss: RowwiseEmbeddingLoss {
    /// Which scores are among the candidates of a row.
    package enum Direction: String, CaseIterable, Sendable {
        /// Of the query with all documents.
        case queryToDoc = "query_to_doc"
        /// Of the query with the other queries.
        case queryToQuery = "query_to_query"
        /// Of the row's first document with all queries.
        case docToQuery = "doc_to_query"
        /// Of the row's first document with the documents of other rows.
        case docToDoc = "doc_to_doc"
    }

    /// What scores are normalised over.
    package enum Partition: String, CaseIterable, Sendable {
        /// The scores of all directions together.
        case joint
        /// Those of each direction; the mean of the losses is taken.
        case perDirection = "per_direction"
    }

    /// Which negatives count for more the nearer they are.
    package enum Hardness: String, CaseIterable, Sendable {
        /// All documents of other rows.
        case inBatchNegatives = "in_batch_negatives"
        /// The negatives of the row itself.
        case hardNegatives = "hard_negatives"
        /// Both.
        case allNegatives = "all_negatives"
    }

    package var name = "MultipleNegativesRankingLoss"
    package var cache: GradientCacheSettings?
    /// What similarities are multiplied by; 1 / temperature.
    package var scale = 20.0
    /// How embeddings are compared.
    package var similarity = EmbeddingSimilarity.cosine
    /// Which scores are among the candidates, ``Direction/queryToDoc`` always.
    package var directions: [Direction] = [.queryToDoc]
    /// What scores are normalised over.
    package var partition = Partition.joint
    /// Which negatives count for more the nearer they are; nil for none.
    package var hardness: Hardness?
    /// What is added to the score of these, as a multiple of their similarity.
    package var hardnessStrength = 0.0

    package var readsLabels: Bool { false }

    package init() {}

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        try require(columns, in: 2...Int.max, "2 or more columns: anchor, positive and any number of negatives")
    }

    package func check(width: Int) throws -> [String] {
        guard let hardness, hardnessStrength == 0 else { return [] }
        return ["hardness_mode \(hardness.rawValue) has no effect: hardness_strength is 0"]
    }

    package func share(of rows: Range<Int>, in batch: LossBatch) -> Tensor {
        let (queries, positives) = (batch.embeddings[0], batch.embeddings[1])
        let documents = batch.embeddings.count == 2 ? positives : .concatenate(Array(batch.embeddings[1...]))
        let isAll = rows.count == batch.rowCount
        func own(_ tensor: Tensor) -> Tensor {
            isAll ? tensor : tensor.narrowed(along: 0, from: rows.lowerBound, count: rows.count)
        }
        func logits(_ direction: Direction) -> Tensor {
            switch direction {
            case .queryToDoc:
                let similarities = similarity.matrix(own(queries), documents)
                return penalized(similarities * scale, similarities, rows, batch)
            case .queryToQuery:
                return similarity.matrix(own(queries), queries)
                    .filled(with: -.infinity, where: ownColumns(rows, of: batch, documents: 0..<1)) * scale
            case .docToQuery: return similarity.matrix(queries, own(positives)).transposed(0, 1) * scale
            case .docToDoc:
                let mask = ownColumns(rows, of: batch, documents: 0..<batch.embeddings.count - 1)
                return similarity.matrix(documents, own(positives)).transposed(0, 1)
                    .filled(with: -.infinity, where: mask) * scale
            }
        }
        let scores = directions.map(logits)
        let places = Tensor(rows.map(Int64.init), shape: [rows.count, 1]).to(queries.device)
        let positiveScores = scores[directions.firstIndex(of: .queryToDoc) ?? 0].gathered(places, along: 1)
        let normalizer =
            switch partition {
            case .joint:
                (scores.count == 1 ? scores[0] : Tensor.concatenate(scores, along: 1)).logSumExp(along: 1)
            case .perDirection:
                scores.dropFirst().reduce(scores[0].logSumExp(along: 1)) { $0 + $1.logSumExp(along: 1) }
                    / Double(scores.count)
            }
        return (normalizer - positiveScores.reshaped(-1)).sum() / Double(batch.rowCount)
    }

    /// Scores with what is added to those of hard negatives.
    ///
    /// > Source: LLaVE, arXiv 2503.04812, equation 5.
    private func penalized(
        _ scores: Tensor,
        _ similarities: Tensor,
        _ rows: Range<Int>,
        _ batch: LossBatch
    ) -> Tensor {
        guard let hardness, hardnessStrength > 0 else { return scores }
        let columns = batch.embeddings.count - 1
        let penalties = similarities.detached() * hardnessStrength
        let excluded =
            switch hardness {
            case .hardNegatives: ownColumns(rows, of: batch, documents: 1..<columns, inverted: true)
            case .inBatchNegatives: ownColumns(rows, of: batch, documents: 0..<columns)
            case .allNegatives: ownColumns(rows, of: batch, documents: 0..<1, of: columns)
            }
        return scores + penalties.filled(with: 0, where: excluded)
    }

    /// Where the documents of each row's own are among those of all rows, bool `[rows, documents]`.
    ///
    /// - Parameters:
    ///   - rows: The rows.
    ///   - batch: The batch.
    ///   - documents: Which documents of a row; the first of them is the positive.
    ///   - columns: How many documents of a row there are; nil for as many as asked for.
    ///   - inverted: Whether it is where they are not, among all documents of the batch.
    /// - Returns: The mask.
    private func ownColumns(
        _ rows: Range<Int>,
        of batch: LossBatch,
        documents: Range<Int>,
        of columns: Int? = nil,
        inverted: Bool = false
    ) -> Tensor {
        let width = (inverted ? batch.embeddings.count - 1 : columns ?? documents.count) * batch.rowCount
        var mask = [UInt8](repeating: inverted ? 1 : 0, count: rows.count * width)
        for (place, row) in rows.enumerated() {
            for document in documents { mask[place * width + document * batch.rowCount + row] = inverted ? 0 : 1 }
        }
        return Tensor(mask, shape: [rows.count, width]).to(.bool, batch.embeddings[0].device)
    }
}
