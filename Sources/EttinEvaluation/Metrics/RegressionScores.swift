/// How well predicted numbers follow those that are right.
///
/// > Source: SciPy, `pearsonr` and `spearmanr`; scikit-learn, `mean_squared_error`.
public struct RegressionScores: Sendable, Hashable {
    /// Pearson's correlation, -1 to 1; NaN where all predictions or all labels are the same.
    public let pearson: Double
    /// Spearman's correlation, Pearson's of ranks, where equal numbers share the mean of theirs; NaN likewise.
    public let spearman: Double
    /// The mean of the squared differences.
    public let meanSquaredError: Double

    /// Compares.
    ///
    /// - Parameters:
    ///   - predictions: The predicted number of each row.
    ///   - labels: The number of each row.
    /// - Throws: ``EvaluationError`` for no rows, for lists of different lengths, and for a number that is NaN or infinite.
    public init(predictions: [Double], labels: [Double]) throws {
        let name = "RegressionScores"
        try checkLengths([predictions.count, labels.count], of: ["predictions", "labels"], in: name)
        for (list, what) in [(predictions, "prediction"), (labels, "label")] {
            guard let row = list.firstIndex(where: { !$0.isFinite }) else { continue }
            throw EvaluationError(
                .malformed,
                file: name,
                item: "row \(row + 1)",
                found: "has a \(what) that is NaN or infinite",
                expected: what == "label" ? "a number" : "a number; the model has diverged"
            )
        }
        pearson = pearsonCorrelation(predictions, labels)
        spearman = spearmanCorrelation(predictions, labels)
        let squares = zip(predictions, labels).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        meanSquaredError = squares / Double(labels.count)
    }
}
