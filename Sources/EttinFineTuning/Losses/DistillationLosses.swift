// Losses whose labels are what a teacher said about the same texts.
package import EttinModel
package import Torch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The difference between the scores of positive and negative is to be the teacher's, by squared error.
///
/// > Source: Hofstätter et al., arXiv 2010.02666; sentence-transformers 6.2, `MarginMSELoss`.
package struct MarginMSELoss: EmbeddingLoss {
    package let name = "MarginMSELoss"
    /// How texts are scored.
    package var similarity = EmbeddingSimilarity.dot

    package init() {}

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        try require(columns, in: 3...Int.max, "3 or more columns: query, positive and negatives")
        let negatives = columns - 2
        let margins = negatives == 1 ? "1 margin" : "\(negatives) margins, one for each negative,"
        let expected = "\(margins) or \(negatives + 1) scores in each row, the positive's first"
        switch labels {
        case nil: throw unsuitable("no label column", expected + ", in label, labels, score or scores")
        case .integer, .real:
            if negatives != 1 { throw unsuitable("one label in each row", expected) }
        case .lists: throw unsuitable("lists of labels", expected)
        case .list(let count):
            if count != negatives, count != negatives + 1 {
                throw unsuitable("a list of \(count) labels in each row", expected)
            }
        }
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        let negatives = batch.embeddings.count - 2
        var margins = batch.labels?.floats ?? []
        if case .list(negatives + 1) = batch.labels?.kind {
            margins = stride(from: 0, to: margins.count, by: negatives + 1).flatMap { row in
                (1...negatives).map { margins[row] - margins[row + $0] }
            }
        }
        let positiveScores = similarity.pairwise(batch.embeddings[0], batch.embeddings[1])
        let predictions = batch.embeddings[2...].map {
            (positiveScores - similarity.pairwise(batch.embeddings[0], $0)).reshaped(-1, 1)
        }
        let differences =
            Tensor.concatenate(predictions, along: 1) - batch.labelTensor(margins, columns: negatives)
        return (differences * differences).mean()
    }
}

/// The scores of candidates are to be distributed as the teacher's: T² · KL(softmax(teacher) ‖ softmax(student)).
///
/// > Source: sentence-transformers 6.2, `DistillKLDivLoss`.
package struct DistillKLDivLoss: EmbeddingLoss {
    package let name = "DistillKLDivLoss"
    /// How texts are scored.
    package var similarity = EmbeddingSimilarity.dot
    /// What the scores of the model are divided by.
    package var studentTemperature = 1.0
    /// What the labels are divided by.
    package var teacherTemperature = 1.0

    package init() {}

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        try require(columns, in: 3...Int.max, "3 or more columns: query and 2 or more candidates")
        let expected = "\(columns - 1) scores in each row, one for each candidate"
        switch labels {
        case .list(columns - 1): return
        case nil: throw unsuitable("no label column", expected + ", in label, labels, score or scores")
        case .list(let count): throw unsuitable("a list of \(count) labels in each row", expected)
        case .integer, .real: throw unsuitable("one label in each row", expected)
        case .lists: throw unsuitable("lists of labels", expected)
        }
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        let candidates = batch.embeddings.count - 1
        let scores = batch.embeddings[1...].map { similarity.pairwise(batch.embeddings[0], $0).reshaped(-1, 1) }
        let student = (Tensor.concatenate(scores, along: 1) / studentTemperature).logSoftmax(along: 1)
        var teacher: [Float] = []
        var negativeEntropy = 0.0
        let labels = batch.labels?.values ?? []
        for row in stride(from: 0, to: labels.count, by: candidates) {
            let scaled = labels[row..<row + candidates].map { $0 / teacherTemperature }
            let largest = scaled.max() ?? 0
            let total = scaled.reduce(0) { $0 + exp($1 - largest) }
            for score in scaled {
                let probability = exp(score - largest) / total
                teacher.append(Float(probability))
                if probability > 0 { negativeEntropy += probability * (score - largest - log(total)) }
            }
        }
        let crossEntropy = (batch.labelTensor(teacher, columns: candidates) * student).sum()
        let rows = Double(max(1, labels.count / candidates))
        return (-crossEntropy + negativeEntropy) * (studentTemperature * studentTemperature / rows)
    }
}

/// Embeddings are to be the teacher's, by squared error: all columns the one label, or each its own.
///
/// > Source: sentence-transformers 6.2, `MSELoss`.
package struct MSELoss: EmbeddingLoss {
    package let name = "MSELoss"

    package init() {}

    package func check(columns: Int, labels: LossLabels.Kind?, width: Int) throws {
        let expected = "the teacher's embedding as the label, a list of as many numbers as the model's has"
        try require(columns, in: 1...Int.max, "1 or more columns and " + expected)
        switch labels {
        case .list(let count):
            guard count != width, count != columns * width else { return }
            let each = columns > 1 ? ", or \(columns) such lists, one for each column" : ""
            throw unsuitable(
                "a list of \(count) labels in each row",
                "\(width) numbers, as many as the model's embeddings have\(each)"
            )
        case nil: throw unsuitable("no label column", expected + ", in label, labels, score or scores")
        case .integer, .real: throw unsuitable("one label in each row", expected)
        case .lists: throw unsuitable("lists of labels", expected)
        }
    }

    package func callAsFunction(_ batch: LossBatch) -> Tensor {
        let columns = batch.embeddings.count
        let width = batch.embeddings[0].size(1)
        let values = batch.labels?.floats ?? []
        let count = values.count / max(1, batch.rowCount)
        let labels = batch.labelTensor(values, columns: count)
        let losses = batch.embeddings.enumerated().map { index, embeddings in
            let targets = count == width ? labels : labels.narrowed(along: 1, from: index * width, count: width)
            let differences = embeddings - targets
            return (differences * differences).mean()
        }
        return losses.dropFirst().reduce(losses[0], +) / Double(columns)
    }
}
