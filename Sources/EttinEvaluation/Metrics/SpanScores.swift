import EttinFiles

/// How well the spans that predicted tags mark agree with those of the right tags.
///
/// A span counts where its type, its beginning and its end agree. Tags are read as conlleval reads them, whatever scheme
/// they follow (IOB1, IOB2, IOE1, IOE2, IOBES): `I-PER` behind `O` begins a span, and so does a tag of another type.
///
/// ```swift
/// let scores = try SpanScores(predictions: [["B-PER", "I-PER", "O"]], labels: [["B-PER", "O", "O"]])
/// print(scores.micro.f1, scores.accuracy)
/// ```
///
/// > Source: seqeval 1.2, `precision_recall_fscore_support`, `accuracy_score` and `get_entities` in the default mode.
public struct SpanScores: Sendable, Hashable {
    /// The counts of spans of each type, by name.
    public let types: [ClassCounts]
    /// The share of tags that were predicted.
    public let accuracy: Double
    private let averages: ClassAverages

    /// Counts.
    ///
    /// - Parameters:
    ///   - predictions: The predicted tags of each sequence.
    ///   - labels: The tags of each sequence, as many.
    /// - Throws: ``EvaluationError`` for no tags, for sequences of different lengths, and for an empty tag.
    public init(predictions: [[String]], labels: [[String]]) throws {
        let name = "SpanScores"
        try checkLengths([predictions.count, labels.count], of: ["predictions", "labels"], in: name)
        func refused(_ row: Int, _ found: String, _ expected: String) -> EvaluationError {
            EvaluationError(.malformed, file: name, item: "sequence \(row + 1)", found: found, expected: expected)
        }
        var (equal, total) = (0, 0)
        for (row, (predicted, actual)) in zip(predictions, labels).enumerated() {
            guard predicted.count == actual.count else {
                throw refused(
                    row,
                    "has \(predicted.count) predicted tags and \(actual.count) labels",
                    "as many of each"
                )
            }
            guard !(predicted + actual).contains("") else {
                throw refused(row, "has an empty tag", "a tag such as O or B-PER")
            }
            total += actual.count
            equal += zip(predicted, actual).count { $0.utf8.elementsEqual($1.utf8) }
        }
        guard total > 0 else {
            throw EvaluationError(.malformed, file: name, found: "has no tags", expected: "at least one")
        }
        let (found, there) = (Self.spans(predictions), Self.spans(labels))
        types = Set(found.keys).union(there.keys).sorted().map { type in
            let (found, there) = (found[type] ?? [], there[type] ?? [])
            return ClassCounts(
                name: type.text,
                correct: found.intersection(there).count,
                predicted: found.count,
                support: there.count
            )
        }
        accuracy = Double(equal) / Double(total)
        averages = ClassAverages(types)
    }

    /// Precision, recall and F1 of all spans; 0 where there is none.
    public var micro: AveragedScores { averages.micro }

    /// The means over the types, each counting the same; 0 without a type.
    public var macro: AveragedScores { averages.macro }

    /// The means over the types, each weighted by how many spans it has; 0 without a span.
    public var weighted: AveragedScores { averages.weighted }

    /// The scores of each type and their averages as a table.
    ///
    /// - Parameter digits: Decimals of the scores.
    /// - Returns: Lines, without a line end behind the last.
    ///
    /// > Source: seqeval, `classification_report`.
    public func report(digits: Int = 2) -> String {
        let lines: [ClassReport.Line] = [
            .average("micro avg", micro), .average("macro avg", macro), .average("weighted avg", weighted),
        ]
        return ClassReport(classes: types, averages: lines).text(digits: digits)
    }

    // MARK: - Spans

    /// Two tags that follow one another, as far as they decide where spans begin and end.
    private struct Tag {
        let letter: Unicode.Scalar
        let type: ExactName

        static var outside: Tag { Tag("O") }

        init(_ text: String) {
            let scalars = text.unicodeScalars
            letter = scalars.first ?? "O"
            let rest = scalars.dropFirst()
            let type = rest.firstIndex(of: "-").map { rest[rest.index(after: $0)...] } ?? rest
            self.type = ExactName(type.isEmpty ? "_" : String(type))
        }

        /// Letters that are neither outside nor a full stop end and begin spans where the type changes.
        private var isInside: Bool { letter != "O" && letter != "." }

        func ends(before next: Tag) -> Bool {
            switch (letter, next.letter) {
            case ("E", _), ("S", _), ("B", "B"), ("B", "S"), ("B", "O"), ("I", "B"), ("I", "S"), ("I", "O"): true
            default: isInside && type != next.type
            }
        }

        func begins(after previous: Tag?) -> Bool {
            switch (previous?.letter ?? "O", letter) {
            case (_, "B"), (_, "S"), ("E", "E"), ("E", "I"), ("S", "E"), ("S", "I"), ("O", "E"), ("O", "I"): true
            default: isInside && previous?.type != type
            }
        }
    }

    /// The spans of sequences, one behind the other with a tag outside of spans between them, by type.
    private static func spans(_ sequences: [[String]]) -> [ExactName: Set<Range<Int>>] {
        var spans: [ExactName: Set<Range<Int>>] = [:]
        var previous: Tag?
        var (position, begin) = (0, 0)
        func take(_ tag: Tag) {
            if let previous, previous.ends(before: tag) { spans[previous.type, default: []].insert(begin..<position) }
            if tag.begins(after: previous) { begin = position }
            previous = tag
            position += 1
        }
        for tags in sequences {
            for tag in tags { take(Tag(tag)) }
            take(.outside)
        }
        take(.outside)
        return spans
    }
}
