package import EttinInference
package import Torch

/// What says which candidates are no negatives: a model that knows the texts better than the one in training.
package protocol GuideModel {
    /// The vectors of texts.
    ///
    /// - Parameter texts: The texts, with prompts; those that are too long are truncated.
    /// - Returns: The vectors one after the other, in the order of the texts, and the width of each.
    /// - Throws: When memory or the device fails; `CancellationError`.
    func guideEmbeddings(of texts: [String]) throws -> (values: [Float], dimensions: Int)
}

extension TextEmbeddingPipeline: GuideModel {
    package func guideEmbeddings(of texts: [String]) throws -> (values: [Float], dimensions: Int) {
        let embeddings = try encode(texts, prompt: .none, overlong: .keepStart)
        return (embeddings.values, embeddings.dimensions)
    }
}

/// In-batch negatives without those that a guide finds nearer to the anchor than its positive.
///
/// Candidates are the positives and negatives of all rows, and, with ``contrastsAnchors`` and ``contrastsPositives``, the
/// other anchors (compared with the anchor) and the other positives (with the row's own).
///
/// > Source: GISTEmbed, arXiv 2402.16829; sentence-transformers 6.2, `GISTEmbedLoss` and `CachedGISTEmbedLoss`.
package struct GISTEmbedLoss: RowwiseEmbeddingLoss {
    /// What a margin is measured in.
    package enum MarginStrategy: String, CaseIterable, Sendable {
        /// The guide's similarity.
        case absolute
        /// Parts of the guide's similarity of anchor and positive.
        case relative
    }

    package var cache: GradientCacheSettings?
    /// The model that is asked.
    package let guide: any GuideModel
    /// What similarities are divided by.
    package var temperature = 0.01
    /// What the margin is measured in.
    package var marginStrategy = MarginStrategy.absolute
    /// How much below the positive's similarity a candidate's is to be.
    package var margin = 0.0
    /// Whether other anchors are candidates.
    package var contrastsAnchors = true
    /// Whether other positives are candidates that are compared with the row's own.
    package var contrastsPositives = true

    package init(guide: any GuideModel) { self.guide = guide }

    package var name: String { cache == nil ? "GISTEmbedLoss" : "CachedGISTEmbedLoss" }
    package var readsLabels: Bool { false }
    package var readsTexts: Bool { true }

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let most = cache == nil ? 3 : Int.max
        let negatives = cache == nil ? "perhaps a negative" : "any number of negatives"
        try require(columns, in: 2...most, "anchor, positive and \(negatives)")
    }

    package func prepared(_ batch: LossBatch) throws -> LossBatch {
        guard batch.guide == nil else { return batch }
        var batch = batch
        let device = batch.embeddings[0].device
        batch.guide = try batch.texts.map { texts in
            let vectors = try guide.guideEmbeddings(of: texts)
            return withoutGradients {
                Tensor(vectors.values, shape: [texts.count, vectors.dimensions]).to(device).unitRows
            }
        }
        return batch
    }

    package func share(of rows: Range<Int>, in batch: LossBatch) throws -> Tensor {
        let embeddings = batch.embeddings.map(\.unitRows)
        let guides = batch.guide ?? []
        let isAll = rows.count == batch.rowCount
        func own(_ tensor: Tensor) -> Tensor {
            isAll ? tensor : tensor.narrowed(along: 0, from: rows.lowerBound, count: rows.count)
        }
        let limits = withoutGradients {
            let similarities = (own(guides[0]) * own(guides[1])).sum(along: -1, keepingDimensions: true)
            return switch marginStrategy {
            case .absolute: similarities - margin
            case .relative: similarities - similarities.absolute() * margin
            }
        }
        let places = Tensor(rows.map(Int64.init), shape: [rows.count, 1]).to(embeddings[0].device)
        /// The similarities of the rows of one column to all of another, but to those that may be positives.
        func scores(_ column: Int, _ others: Int, sparesPositives: Bool = false) -> Tensor {
            let similarities = own(embeddings[column]).matmul(embeddings[others].transposed(0, 1))
            let mask = withoutGradients {
                var guided = own(guides[column]).pairSimilarities(to: guides[others])
                if sparesPositives {
                    guided = guided.filled(with: -.infinity, where: ownColumns(rows, of: batch))
                }
                return limits.isLess(than: guided)
            }
            return similarities.filled(with: -.infinity, where: mask)
        }
        var candidates = [scores(0, 1, sparesPositives: true)]
        if contrastsAnchors { candidates.append(scores(0, 0)) }
        if contrastsPositives { candidates.append(scores(1, 1)) }
        for column in batch.embeddings.indices.dropFirst(2) { candidates.append(scores(0, column)) }
        let logits = Tensor.concatenate(candidates, along: 1) / temperature
        let positives = logits.gathered(places, along: 1)
        return (logits.logSumExp(along: 1) - positives.reshaped(-1)).sum() / Double(batch.rowCount)
    }

    /// Where the positives of some rows are among those of all, bool `[rows, positives]`.
    private func ownColumns(_ rows: Range<Int>, of batch: LossBatch) -> Tensor {
        var mask = [UInt8](repeating: 0, count: rows.count * batch.rowCount)
        for (place, row) in rows.enumerated() { mask[place * batch.rowCount + row] = 1 }
        return Tensor(mask, shape: [rows.count, batch.rowCount]).to(.bool, batch.embeddings[0].device)
    }
}

extension Tensor {
    /// Rows of length 1, as `torch.nn.CosineSimilarity` makes them.
    fileprivate var unitRows: Tensor {
        self / norm(along: -1, keepingDimensions: true).clamped(min: 1e-8)
    }

    /// Inner products of all rows of one tensor with all of another, `[rows, others]`.
    ///
    /// Equal pairs have equal products wherever they stand, which a matrix product does not promise: a text that occurs
    /// twice must not come out nearer to the anchor than itself.
    fileprivate func pairSimilarities(to others: Tensor) -> Tensor {
        let width = size(1)
        let count = Swift.max(1, (1 << 22) / Swift.max(1, others.size(0) * width))
        let table = others.reshaped(1, others.size(0), width)
        let parts = stride(from: 0, to: size(0), by: count).map { start in
            let rows = narrowed(along: 0, from: start, count: Swift.min(count, size(0) - start))
            return (rows.reshaped(-1, 1, width) * table).sum(along: -1)
        }
        return .concatenate(parts)
    }
}
