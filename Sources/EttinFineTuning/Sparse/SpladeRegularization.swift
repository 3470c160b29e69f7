import Torch

/// What keeps weights of the vocabulary few: the expected number of products of a search, a part of ``SparseObjective``'s
/// loss.
///
/// > Source: Paria et al., arXiv 2004.05665; SPLADE v2, arXiv 2109.10086; sentence-transformers 6.2, `SpladeLoss` and
/// > `FlopsLoss`.
package struct SpladeRegularization: Sendable {
    /// What the regulariser of documents is multiplied by.
    package var documentWeight: Double
    /// What that of queries is multiplied by; nil for none.
    package var queryWeight: Double?
    /// Documents with so many weights or fewer count as without any; nil for none.
    package var documentThreshold: Double?
    /// Queries with so many weights or fewer count as without any; nil for none.
    package var queryThreshold: Double?
    /// Whether all columns are documents, the first one included.
    package var treatsAllAsDocuments = false

    /// Describes regularisation.
    ///
    /// - Parameters:
    ///   - documentWeight: What the regulariser of documents is multiplied by.
    ///   - queryWeight: What that of queries is multiplied by; nil for none.
    package init(documentWeight: Double, queryWeight: Double? = nil) {
        self.documentWeight = documentWeight
        self.queryWeight = queryWeight
    }

    /// The parts of the loss.
    ///
    /// - Parameters:
    ///   - columns: The weights of each column's texts, `[rows, vocabulary]`.
    ///   - factor: What both weights are multiplied by.
    /// - Returns: A float32 scalar for each regulariser, by its name in the log.
    func parts(_ columns: [Tensor], factor: Double) -> [(key: String, value: Tensor)] {
        let documents = treatsAllAsDocuments ? columns[...] : columns.dropFirst()
        var parts = [
            (
                key: "document_regularizer_loss",
                value: flopsLoss(Array(documents), threshold: documentThreshold) * (documentWeight * factor)
            )
        ]
        if let queryWeight, !treatsAllAsDocuments {
            let queries = flopsLoss([columns[0]], threshold: queryThreshold)
            parts.append(("query_regularizer_loss", queries * (queryWeight * factor)))
        }
        return parts
    }

    /// The weights as they are logged.
    func loggedWeights(factor: Double) -> [(key: String, value: Double)] {
        var weights = [(key: "document_regularizer_weight", value: documentWeight * factor)]
        if let queryWeight, !treatsAllAsDocuments {
            weights.append(("query_regularizer_weight", queryWeight * factor))
        }
        return weights
    }
}

/// The expected number of products, Σᵥ (meanₙ Eₙᵥ)².
///
/// - Parameters:
///   - columns: The rows of E, `[rows, vocabulary]` each.
///   - threshold: Rows with so many entries that are not 0, or fewer, count as 0 throughout; nil for none.
/// - Returns: A float32 scalar.
///
/// > Source: sentence-transformers 6.2, `FlopsLoss`; the threshold of arXiv 2504.14839.
func flopsLoss(_ columns: [Tensor], threshold: Double? = nil) -> Tensor {
    let count = columns.reduce(0) { $0 + $1.size(0) }
    let sums = columns.map { column in
        guard let threshold else { return column.sum(along: 0) }
        let isCounted = withoutGradients {
            let zero = Tensor.zeros([1], on: column.device)
            let active = zero.isLess(than: column.absolute()).to(.float32).sum(along: 1, keepingDimensions: true)
            return Tensor.full([1], threshold, on: column.device).isLess(than: active).to(.float32)
        }
        return (column * isCounted).sum(along: 0)
    }
    let means = sums.dropFirst().reduce(sums[0], +) / Double(max(1, count))
    return (means * means).sum()
}

/// How the weights of regularisers rise from 0 at the beginning of a run.
///
/// > Source: sentence-transformers 6.2, `SpladeRegularizerWeightSchedulerCallback`.
package struct RegularizerSchedule: Hashable, Sendable {
    /// How they rise.
    package enum Shape: String, CaseIterable, Sendable {
        /// With the number of updates.
        case linear
        /// With its square.
        case quadratic
    }

    /// How they rise.
    package var shape = Shape.quadratic
    /// The part of the run after which they are full.
    package var warmupRatio = 1.0 / 3

    package init() {}

    /// What the weights are multiplied by.
    ///
    /// - Parameters:
    ///   - step: The number of the update, from 0.
    ///   - totalSteps: The updates of the run.
    /// - Returns: 0 to 1.
    package func factor(step: Int, of totalSteps: Int) -> Double {
        let warmupSteps = max(1, Int(Double(totalSteps) * warmupRatio))
        guard step < warmupSteps else { return 1 }
        let ratio = Double(step) / Double(warmupSteps)
        return shape == .linear ? ratio : ratio * ratio
    }
}
