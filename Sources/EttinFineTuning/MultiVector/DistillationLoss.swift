import EttinTraining
import Torch

/// The scores of a query's documents are to be distributed as a teacher's: the Kullback-Leibler divergence of both softmax
/// distributions.
///
/// Scores of the model are brought to the range from 0 to 1 for each query; the teacher's stay as they are.
///
/// > Source: PyLate 1.6, `Distillation`.
package struct DistillationLoss: MultiVectorLoss {
    package let name = "Distillation"
    /// How the passes of the model are cut; the original has one pass.
    package var cache: GradientCacheSettings?
    /// Whether the mean over queries is taken, and not the sum; `size_average`.
    package var averages = true
    /// Whether scores of the model are brought to the range from 0 to 1; `normalize_scores`.
    package var normalizesScores = true

    package init() {}

    package func check(columns: [String], lists: [Bool], labels: LossLabels.Kind?) throws -> [String] {
        let expected = "a query, a list of documents (documents) and a list of as many scores (scores) in each row"
        guard columns.count == 2 else {
            throw unsuitable("\(columns.count) column\(columns.count == 1 ? "" : "s") of texts", expected)
        }
        guard !lists[0] else { throw unsuitable("lists in the first column", expected) }
        guard lists[1] else { throw unsuitable("one text in each row of the second column", expected) }
        switch labels {
        case .list, .lists: return []
        case .integer, .real: throw unsuitable("one label in each row", expected)
        case nil: throw unsuitable("no label column", expected)
        }
    }

    package func problem(
        texts: [Int],
        labels: Int,
        first: [Int]
    ) -> (column: Int, found: String, expected: String)? {
        let documents = texts[1]
        if documents != labels { return (1, "has \(documents) texts for \(labels) scores", "as many of both") }
        if documents < 2 { return (1, "has \(documents) texts", "2 or more, whose scores are compared") }
        guard documents != first[1] else { return nil }
        return (1, "has \(documents) texts, and the first row \(first[1])", "as many in every row")
    }

    package func backward(_ batch: MultiVectorBatch, weight: Double) throws -> Double {
        let loss = loss(of: batch)
        let value = try loss.scalar()
        if value.isFinite { (weight == 1 ? loss : loss * weight).backward() }
        return value
    }

    package func value(of batch: MultiVectorBatch) throws -> Double { try loss(of: batch).scalar() }

    private func loss(of batch: MultiVectorBatch) -> Tensor {
        let (queries, documents) = (batch.columns[0], batch.columns[1])
        let ways = documents.count / max(1, queries.count)
        var scores = queries.scores(documents, .grouped(perQuery: ways))
        if normalizesScores {
            // The first of equal scores gets the gradient of the extreme, as torch.max gives it.
            let most = scores.gathered(scores.argmax(along: 1).reshaped(-1, 1), along: 1)
            let least = scores.gathered((scores * -1).argmax(along: 1).reshaped(-1, 1), along: 1)
            scores = (scores - least) / (most - least + 1e-8)
        }
        let teacher = Tensor(batch.labels?.floats ?? [], shape: [queries.count, ways]).to(scores.device)
            .logSoftmax(along: 1)
        let divergence = (teacher.exp() * (teacher - scores.logSoftmax(along: 1))).sum()
        return averages ? divergence / Double(max(1, queries.count)) : divergence
    }
}
