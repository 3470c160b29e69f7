import EttinTraining
package import Torch

/// A loss over the vectors of the tokens of a batch's columns: queries first, then documents.
package protocol MultiVectorLoss {
    /// The name of the class in PyLate, such as `Distillation`.
    var name: String { get }
    /// How the passes of the model are cut so that few activations are held at a time; nil for one pass.
    var cache: GradientCacheSettings? { get }

    /// Checks that the columns of a data set fit.
    ///
    /// - Parameters:
    ///   - columns: The names of the columns of texts.
    ///   - lists: Which of them hold lists of texts.
    ///   - labels: What the labels of a row are; nil for a data set without.
    /// - Returns: What is odd, though possible, a sentence each.
    /// - Throws: `TrainingError` that says what fits.
    func check(columns: [String], lists: [Bool], labels: LossLabels.Kind?) throws -> [String]

    /// What is wrong with the lists of a row; nil for nothing.
    ///
    /// - Parameters:
    ///   - texts: The number of texts in each column.
    ///   - labels: The number of labels.
    ///   - first: The number of texts in each column of the first row.
    /// - Returns: The number of the column, what it has, and what is expected.
    func problem(texts: [Int], labels: Int, first: [Int]) -> (column: Int, found: String, expected: String)?

    /// Adds the gradients with respect to the vectors to those they have.
    ///
    /// - Parameters:
    ///   - batch: Vectors and labels.
    ///   - weight: What the gradients are multiplied by.
    /// - Returns: The loss, without the weight; no gradients are added where it is NaN or infinite.
    /// - Throws: When memory or the device fails.
    func backward(_ batch: MultiVectorBatch, weight: Double) throws -> Double

    /// The loss of a batch, where gradients are not recorded.
    ///
    /// - Parameter batch: Vectors and labels.
    /// - Returns: The loss.
    /// - Throws: When memory or the device fails.
    func value(of batch: MultiVectorBatch) throws -> Double
}

extension MultiVectorLoss {
    /// An error about a data set that the loss cannot be computed from.
    func unsuitable(_ found: String, _ expected: String) -> TrainingError {
        TrainingError(.invalidOption, "loss", found: "is \(name), but the data has \(found)", expected: expected)
    }
}

/// The vectors of the texts of a column, one text after the other.
package struct TokenRows {
    /// `[rows, width]` in float32, each row of length 1.
    package let rows: Tensor
    /// Where the rows of each text begin, and their number at the end.
    package let starts: [Int32]
    /// Whether each text, padded as the original pads it, or with tokens that are left out, scores at least 0 for every
    /// vector of a query: the original multiplies the similarities of such tokens by 0.
    package let competesWithZero: [Bool]

    package init(_ rows: Tensor, starts: [Int32], competesWithZero: [Bool]) {
        (self.rows, self.starts, self.competesWithZero) = (rows, starts, competesWithZero)
    }

    /// The number of texts.
    var count: Int { starts.count - 1 }

    /// Some of the texts.
    subscript(range: Range<Int>) -> TokenRows {
        guard range.count < count else { return self }
        let (first, last) = (starts[range.lowerBound], starts[range.upperBound])
        return TokenRows(
            rows.narrowed(along: 0, from: Int(first), count: Int(last - first)),
            starts: starts[range.lowerBound...range.upperBound].map { $0 - first },
            competesWithZero: Array(competesWithZero[range])
        )
    }

    /// Texts of several columns, one column after the other.
    static func joined(_ columns: [TokenRows]) -> TokenRows {
        guard columns.count > 1 else { return columns[0] }
        var starts: [Int32] = [0]
        for column in columns {
            let base = starts[starts.count - 1]
            starts += column.starts.dropFirst().map { base + $0 }
        }
        return TokenRows(
            .concatenate(columns.map(\.rows)),
            starts: starts,
            competesWithZero: columns.flatMap(\.competesWithZero)
        )
    }

    /// Scores by late interaction of these texts, as queries, with documents.
    func scores(_ documents: TokenRows, _ pairs: MaxSimPairs) -> Tensor {
        maxSim(
            queries: rows,
            cuQueries: starts,
            documents: documents.rows,
            cuDocuments: documents.starts,
            pairs: pairs,
            competesWithZero: documents.competesWithZero
        )
    }
}

/// What a loss of late interaction is computed from.
package struct MultiVectorBatch {
    /// The vectors of each column; those of the queries first.
    package var columns: [TokenRows]
    /// The labels; nil for a data set without.
    package var labels: LossLabels?

    package init(columns: [TokenRows], labels: LossLabels? = nil) {
        (self.columns, self.labels) = (columns, labels)
    }

    /// The number of rows.
    var rowCount: Int { columns.first?.count ?? 0 }
}
