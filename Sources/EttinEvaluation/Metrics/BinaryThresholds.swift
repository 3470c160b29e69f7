/// How well scores tell pairs that belong together from others, with the thresholds that do it best.
///
/// > Source: sentence-transformers 6.2, `BinaryClassificationEvaluator.compute_metrics`.
struct BinaryThresholds {
    /// The metrics by key, in the order of sentence-transformers' results.
    let metrics: [(key: String, value: Double)]

    /// The keys in the order of the columns of tables.
    static let columns = ["accuracy", "accuracy_threshold", "f1", "precision", "recall", "f1_threshold", "ap", "mcc"]

    /// Measures.
    ///
    /// - Parameters:
    ///   - scores: How near the texts of each pair are.
    ///   - labels: Whether they belong together.
    ///   - isDistance: Whether smaller is nearer.
    init(_ scores: [Float], _ labels: [Bool], isDistance: Bool) {
        // Distances are turned round, and thresholds back; that changes no bit of a float.
        let sign: Float = isDistance ? -1 : 1
        let rows = zip(scores, labels).map { (score: sign * $0, label: $1) }.sorted { $0.score > $1.score }
        let positives = labels.count { $0 }
        var accuracy = (value: 0.0, threshold: Float(-1))
        var f1 = (value: 0.0, precision: 0.0, recall: 0.0, threshold: Float(0))
        var found = 0
        var averagePrecision = 0.0
        var foundBefore = 0
        if let best = rows.first {
            // The threshold that keeps all pairs apart comes first.
            accuracy = (Double(rows.count - positives) / Double(rows.count), best.score.nextUp)
        }
        for (place, row) in rows.enumerated() {
            if row.label { found += 1 }
            let next = place + 1 < rows.count ? rows[place + 1].score : nil
            if row.score == next { continue }
            let threshold = Self.threshold(row.score, next)
            let kept = place + 1
            let correct = Double(found + rows.count - kept - (positives - found)) / Double(rows.count)
            if correct > accuracy.value { accuracy = (correct, threshold) }
            guard found > 0 else { continue }
            let precision = Double(found) / Double(kept)
            let recall = Double(found) / Double(positives)
            averagePrecision += Double(found - foundBefore) / Double(positives) * precision
            foundBefore = found
            let value = 2 * precision * recall / (precision + recall)
            if value > f1.value { f1 = (value, precision, recall, threshold) }
        }
        metrics = [
            ("accuracy", accuracy.value), ("accuracy_threshold", Double(rows.isEmpty ? -1 : sign * accuracy.threshold)),
            ("f1", f1.value), ("f1_threshold", Double(sign * f1.threshold)), ("precision", f1.precision),
            ("recall", f1.recall), ("ap", averagePrecision),
            ("mcc", Self.matthewsCorrelation(rows.map { $0.score >= f1.threshold }, rows.map(\.label))),
        ]
    }

    /// The middle between a score and the next, or the score where that would be the next.
    private static func threshold(_ score: Float, _ next: Float?) -> Float {
        guard let next else { return score }
        let middle = (score + next) / 2
        return middle == next ? score : middle
    }

    /// The correlation of two divisions; 0 where one of them divides nothing.
    ///
    /// > Source: scikit-learn, `matthews_corrcoef`.
    private static func matthewsCorrelation(_ predictions: [Bool], _ labels: [Bool]) -> Double {
        let count = Double(labels.count)
        let both = Double(zip(predictions, labels).count { $0 && $1 })
        let (predicted, actual) = (Double(predictions.count { $0 }), Double(labels.count { $0 }))
        let spread = predicted * (count - predicted) * actual * (count - actual)
        return spread == 0 ? 0 : (both * count - predicted * actual) / spread.squareRoot()
    }
}
