import Foundation

/// How often a class was predicted, was there, and both at once.
public struct ClassCounts: Sendable, Hashable {
    /// The name of the class; its number where it has no other.
    public let name: String
    /// How often it was predicted where it is.
    public let correct: Int
    /// How often it was predicted.
    public let predicted: Int
    /// How often it is there.
    public let support: Int

    /// The share of the predictions that are right; 0 where there is none.
    public var precision: Double { Self.ratio(correct, predicted) }
    /// The share of what is there that was found; 0 where there is nothing.
    public var recall: Double { Self.ratio(correct, support) }
    /// The harmonic mean of precision and recall; 0 where the class is neither predicted nor there.
    public var f1: Double { Self.ratio(2 * correct, predicted + support) }

    /// The three scores.
    var scores: AveragedScores { AveragedScores(precision: precision, recall: recall, f1: f1) }

    private static func ratio(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
}

/// Precision, recall and F1 of several classes as one.
public struct AveragedScores: Sendable, Hashable {
    /// The precision, 0 to 1.
    public let precision: Double
    /// The recall, 0 to 1.
    public let recall: Double
    /// F1, 0 to 1; a mean of the classes' F1, not that of the means.
    public let f1: Double
}

/// The ways to make one number of several classes'.
///
/// > Source: scikit-learn 1.9, `precision_recall_fscore_support`; divisions by zero give 0, its default.
struct ClassAverages: Sendable, Hashable {
    /// The scores of all counts added up.
    let micro: AveragedScores
    /// The means over the classes, each counting the same.
    let macro: AveragedScores
    /// The means over the classes, each weighted by how often it is there.
    let weighted: AveragedScores

    init(_ classes: [ClassCounts]) {
        func total(_ count: (ClassCounts) -> Int) -> Int { classes.reduce(0) { $0 + count($1) } }
        func mean(_ weight: (ClassCounts) -> Double, over total: Double) -> AveragedScores {
            func mean(_ score: (ClassCounts) -> Double) -> Double {
                total == 0 ? 0 : classes.reduce(0) { $0 + score($1) * weight($1) } / total
            }
            return AveragedScores(precision: mean(\.precision), recall: mean(\.recall), f1: mean(\.f1))
        }
        let all = ClassCounts(
            name: "",
            correct: total(\.correct),
            predicted: total(\.predicted),
            support: total(\.support)
        )
        micro = all.scores
        macro = mean({ _ in 1 }, over: Double(classes.count))
        weighted = mean({ Double($0.support) }, over: Double(all.support))
    }
}

// MARK: -

/// The table of scores for each class that scikit-learn and seqeval print.
///
/// > Source: scikit-learn, `classification_report`; the layout is the same in seqeval.
struct ClassReport {
    /// A line behind those of the classes.
    enum Line {
        /// The accuracy, in the column of F1.
        case accuracy(Double)
        /// An average, named as in the report: `macro avg`.
        case average(String, AveragedScores)
    }

    let classes: [ClassCounts]
    let averages: [Line]

    /// The table.
    ///
    /// - Parameter digits: Decimals of the scores.
    /// - Returns: Lines without a line end behind the last.
    func text(digits: Int) -> String {
        let nameWidth = max("weighted avg".count, digits, classes.map(\.name.count).max() ?? 0)
        let support = classes.reduce(0) { $0 + $1.support }
        func cell(_ text: String, _ width: Int = 9) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        func line(_ name: String, _ cells: [String]) -> String {
            cell(name, nameWidth) + " " + cells.map { " " + cell($0) }.joined()
        }
        func number(_ value: Double) -> String { String(format: "%.\(digits)f", value) }
        func line(_ name: String, _ scores: AveragedScores, _ support: Int) -> String {
            line(name, [scores.precision, scores.recall, scores.f1].map(number) + ["\(support)"])
        }
        var lines = [line("", ["precision", "recall", "f1-score", "support"]), ""]
        lines += classes.map { line($0.name, $0.scores, $0.support) }
        lines.append("")
        lines += averages.map { average in
            switch average {
            case .accuracy(let value): line("accuracy", ["", "", number(value), "\(support)"])
            case .average(let name, let scores): line(name, scores, support)
            }
        }
        return lines.joined(separator: "\n")
    }
}
