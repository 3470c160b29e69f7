import EttinInference

/// How well predicted classes agree with those that are right, where each row has one.
///
/// ```swift
/// let scores = try ClassificationScores(predictions: [1, 0, 1, 1], labels: [1, 0, 0, 1])
/// print(scores.accuracy, scores.matthewsCorrelation, scores.f1(ofClass: 1))
/// print(scores.report())
/// ```
///
/// Classes that are neither predicted nor there do not count. Precision and F1 without a prediction are 0, and so is
/// recall where a class is not there, as scikit-learn has it by default.
///
/// > Source: scikit-learn 1.9, `accuracy_score`, `precision_recall_fscore_support`, `matthews_corrcoef`,
/// > `confusion_matrix`.
public struct ClassificationScores: Sendable, Hashable {
    /// The numbers of the classes that are predicted or there, ascending.
    public let labels: [Int]
    /// Their counts, in the same order.
    public let classes: [ClassCounts]
    /// How many rows of a class, the row of the table, were predicted to be of another, its column; in the order of
    /// ``labels``.
    public let confusion: [[Int]]
    /// The number of rows.
    public let rowCount: Int
    private let averages: ClassAverages

    /// Counts.
    ///
    /// - Parameters:
    ///   - predictions: The predicted class of each row, from 0.
    ///   - labels: The class of each row.
    ///   - classNames: The names of the classes by number; a class without one is called by its number.
    /// - Throws: ``EvaluationError`` for no rows, for lists of different lengths, and for a negative class.
    public init(predictions: [Int], labels: [Int], classNames: [String] = []) throws {
        try checkLengths([predictions.count, labels.count], of: ["predictions", "labels"], in: Self.typeName)
        if let wrong = (predictions + labels).first(where: { $0 < 0 }) {
            throw EvaluationError(
                .malformed,
                file: Self.typeName,
                item: "a class",
                found: "is \(wrong)",
                expected: "0 or more; data without labels cannot be measured"
            )
        }
        let known = Set(predictions).union(labels).sorted()
        let places = Dictionary(uniqueKeysWithValues: known.enumerated().map { ($1, $0) })
        var confusion = Array(repeating: Array(repeating: 0, count: known.count), count: known.count)
        for (prediction, label) in zip(predictions, labels) {
            if let row = places[label], let column = places[prediction] { confusion[row][column] += 1 }
        }
        classes = known.indices.map { place in
            ClassCounts(
                name: known[place] < classNames.count ? classNames[known[place]] : "\(known[place])",
                correct: confusion[place][place],
                predicted: confusion.reduce(0) { $0 + $1[place] },
                support: confusion[place].reduce(0, +)
            )
        }
        self.labels = known
        self.confusion = confusion
        rowCount = labels.count
        averages = ClassAverages(classes)
    }

    /// Counts the classes with the largest scores, the first of equal ones.
    ///
    /// - Parameters:
    ///   - scores: A score for each class in each row, logits or probabilities.
    ///   - labels: The class of each row.
    ///   - classNames: The names of the classes by number.
    /// - Throws: ``EvaluationError`` as ``init(predictions:labels:classNames:)``, and for a score that is NaN.
    public init(scores: [[Double]], labels: [Int], classNames: [String] = []) throws {
        let predictions = try scores.enumerated().map { row, scores in
            if scores.contains(where: \.isNaN) {
                throw EvaluationError(
                    .malformed,
                    file: Self.typeName,
                    item: "row \(row + 1)",
                    found: "has a score that is NaN",
                    expected: "numbers; the model has diverged"
                )
            }
            return largest(scores).label
        }
        try self.init(predictions: predictions, labels: labels, classNames: classNames)
    }

    private static let typeName = "ClassificationScores"

    /// The share of rows whose class was predicted.
    public var accuracy: Double { Double(classes.reduce(0) { $0 + $1.correct }) / Double(rowCount) }

    /// Precision, recall and F1 of all counts added up, each of which is the accuracy.
    public var micro: AveragedScores { averages.micro }

    /// The means over the classes, each counting the same.
    public var macro: AveragedScores { averages.macro }

    /// The means over the classes, each weighted by how often it is there.
    public var weighted: AveragedScores { averages.weighted }

    /// F1 of one class, as GLUE has that of class 1.
    ///
    /// - Parameter label: The number of the class.
    /// - Returns: 0 to 1; 0 for a class that is neither predicted nor there.
    public func f1(ofClass label: Int) -> Double { labels.firstIndex(of: label).map { classes[$0].f1 } ?? 0 }

    /// The correlation of predictions and labels: of two classes Matthews', of more its generalisation.
    ///
    /// -1 to 1; 0 where all predictions, or all labels, are of one class.
    ///
    /// > Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient".
    public var matthewsCorrelation: Double {
        func product(_ one: (ClassCounts) -> Int, _ other: (ClassCounts) -> Int) -> Double {
            classes.reduce(0) { $0 + Double(one($1)) * Double(other($1)) }
        }
        let count = Double(rowCount)
        let spread =
            (count * count - product(\.predicted, \.predicted)) * (count * count - product(\.support, \.support))
        guard spread > 0 else { return 0 }
        let agreement = Double(classes.reduce(0) { $0 + $1.correct }) * count
        return (agreement - product(\.predicted, \.support)) / spread.squareRoot()
    }

    /// The scores of each class and their averages as a table.
    ///
    /// - Parameter digits: Decimals of the scores.
    /// - Returns: Lines, without a line end behind the last.
    ///
    /// > Source: scikit-learn, `classification_report`.
    public func report(digits: Int = 2) -> String {
        let lines: [ClassReport.Line] = [
            .accuracy(accuracy), .average("macro avg", macro), .average("weighted avg", weighted),
        ]
        return ClassReport(classes: classes, averages: lines).text(digits: digits)
    }
}

// MARK: -

/// How well predicted sets of classes agree with those that are right, where a row may have several classes or none.
///
/// > Source: scikit-learn 1.9, `accuracy_score` and `precision_recall_fscore_support` of label indicators.
public struct MultiLabelScores: Sendable, Hashable {
    /// The counts of all classes, by number.
    public let classes: [ClassCounts]
    /// The share of rows whose classes were predicted, all of them and no other.
    public let accuracy: Double
    private let averages: ClassAverages

    /// Counts.
    ///
    /// - Parameters:
    ///   - predictions: For each row whether each class was predicted.
    ///   - labels: For each row whether it is of each class.
    ///   - classNames: The names of the classes by number; a class without one is called by its number.
    /// - Throws: ``EvaluationError`` for no rows, and for lists of different lengths.
    public init(predictions: [[Bool]], labels: [[Bool]], classNames: [String] = []) throws {
        let name = "MultiLabelScores"
        try checkLengths([predictions.count, labels.count], of: ["predictions", "labels"], in: name)
        let classCount = labels[0].count
        for (number, row) in zip(predictions, labels).enumerated() {
            guard row.0.count != classCount || row.1.count != classCount else { continue }
            throw EvaluationError(
                .malformed,
                file: name,
                item: "row \(number + 1)",
                found: "has \(row.0.count) predictions and \(row.1.count) labels",
                expected: "\(classCount) of each, as the first row has labels"
            )
        }
        classes = (0..<classCount).map { label in
            let rows = zip(predictions, labels).map { (prediction: $0[label], label: $1[label]) }
            return ClassCounts(
                name: label < classNames.count ? classNames[label] : "\(label)",
                correct: rows.count { $0.prediction && $0.label },
                predicted: rows.count { $0.prediction },
                support: rows.count { $0.label }
            )
        }
        accuracy = Double(zip(predictions, labels).count { $0 == $1 }) / Double(labels.count)
        averages = ClassAverages(classes)
    }

    /// Precision, recall and F1 of all counts added up.
    public var micro: AveragedScores { averages.micro }

    /// The means over the classes, each counting the same.
    public var macro: AveragedScores { averages.macro }

    /// The means over the classes, each weighted by how often it is there.
    public var weighted: AveragedScores { averages.weighted }
}
