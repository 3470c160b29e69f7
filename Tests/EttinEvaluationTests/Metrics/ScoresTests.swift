import Testing

@testable import EttinEvaluation

/// Values are those of scikit-learn 1.9, SciPy 1.17 and seqeval 1.2; Interop/test_scores.py compares many more.
@Suite struct ScoresTests {
    private func near(_ one: Double, _ other: Double) -> Bool { abs(one - other) < 1e-12 }

    @Test func twoClassesHaveTheScoresOfScikitLearn() throws {
        let scores = try ClassificationScores(
            predictions: [1, 0, 1, 1, 0, 1, 0, 1],
            labels: [1, 0, 0, 1, 1, 1, 0, 1],
            classNames: ["no", "yes"]
        )
        #expect(scores.labels == [0, 1] && scores.confusion == [[2, 1], [1, 4]])
        #expect(scores.accuracy == 0.75 && scores.micro.f1 == 0.75)
        #expect(near(scores.f1(ofClass: 1), 0.8) && near(scores.f1(ofClass: 0), 2.0 / 3))
        #expect(near(scores.macro.f1, 0.7333333333333334) && near(scores.weighted.f1, 0.75))
        #expect(near(scores.matthewsCorrelation, 0.4666666666666667))
        #expect(
            scores.report() == """
                              precision    recall  f1-score   support

                          no       0.67      0.67      0.67         3
                         yes       0.80      0.80      0.80         5

                    accuracy                           0.75         8
                   macro avg       0.73      0.73      0.73         8
                weighted avg       0.75      0.75      0.75         8
                """
        )
    }

    @Test func classesThatNobodyPredictsCountAsZero() throws {
        let scores = try ClassificationScores(predictions: [0, 0, 2], labels: [0, 1, 1])
        #expect(scores.classes.map(\.precision) == [0.5, 0, 0] && scores.classes.map(\.recall) == [1, 0, 0])
        #expect(near(scores.macro.f1, 2.0 / 9) && near(scores.weighted.f1, 2.0 / 9))
        #expect(near(scores.matthewsCorrelation, 0.25))
        let one = try ClassificationScores(predictions: [1, 1], labels: [1, 1])
        #expect(one.matthewsCorrelation == 0 && one.accuracy == 1 && one.f1(ofClass: 1) == 1 && one.f1(ofClass: 0) == 0)
    }

    @Test func largestScoresArePredictedTheFirstOfEqualOnes() throws {
        let scores = try ClassificationScores(scores: [[0.5, 0.5], [-1, 2], [3, -3]], labels: [0, 1, 1])
        #expect(scores.confusion == [[1, 0], [1, 1]])
        #expect(throws: EvaluationError.self) { try ClassificationScores(scores: [[.nan, 1]], labels: [0]) }
    }

    @Test func setsOfClassesAreComparedAsAWholeAndByClass() throws {
        let scores = try MultiLabelScores(
            predictions: [[true, false, true], [false, false, false], [true, true, false]],
            labels: [[true, false, true], [false, true, false], [false, true, false]]
        )
        #expect(near(scores.accuracy, 1.0 / 3) && near(scores.micro.f1, 0.75))
        #expect(near(scores.macro.f1, (2.0 / 3 + 2.0 / 3 + 1) / 3))
        #expect(throws: EvaluationError.self) { try MultiLabelScores(predictions: [[true]], labels: [[true, false]]) }
    }

    @Test func equalNumbersShareTheMeanOfTheirRanks() throws {
        let scores = try RegressionScores(predictions: [1, 2, 2, 4], labels: [0, 1, 3, 2.5])
        #expect(near(scores.spearman, 0.6324555320336758) && near(scores.pearson, 0.6493311948292405))
        #expect(near(scores.meanSquaredError, 1.3125))
        #expect(try RegressionScores(predictions: [1, 1], labels: [0, 1]).spearman.isNaN)
    }

    @Test(arguments: [
        // IOB2, and IOB1 whose first tag of a span is I.
        ([["B-PER", "I-PER", "O", "B-LOC"], ["O"]], [["B-PER", "I-PER", "O", "B-LOC"], ["O"]], 2, 2, 2),
        ([["I-PER", "I-PER", "O", "I-LOC"]], [["B-PER", "I-PER", "O", "B-LOC"]], 2, 2, 2),
        // Another type ends a span, B begins one within the same type.
        ([["B-PER", "I-LOC", "B-LOC"]], [["B-PER", "B-LOC", "I-LOC"]], 1, 3, 2),
        // IOE: E ends a span. IOBES: S is one.
        ([["I-PER", "E-PER", "I-PER"]], [["I-PER", "E-PER", "E-PER"]], 2, 2, 2),
        ([["S-PER", "B-LOC", "E-LOC"]], [["S-PER", "S-LOC", "O"]], 1, 2, 2),
        // Spans do not cross sequences; tags without types are of one.
        ([["B-PER"], ["I-PER"]], [["B-PER"], ["O"]], 1, 2, 1), ([["B", "I", "O"]], [["B", "I", "I"]], 0, 1, 1),
    ])
    func spansAreReadAsSeqevalReadsThem(
        _ predictions: [[String]],
        _ labels: [[String]],
        _ correct: Int,
        _ predicted: Int,
        _ support: Int
    ) throws {
        let types = try SpanScores(predictions: predictions, labels: labels).types
        func total(_ count: (ClassCounts) -> Int) -> Int { types.reduce(0) { $0 + count($1) } }
        #expect(total(\.correct) == correct && total(\.predicted) == predicted && total(\.support) == support)
    }

    @Test func spansHaveScoresByTypeAndATable() throws {
        let scores = try SpanScores(
            predictions: [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]],
            labels: [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
        )
        #expect(scores.accuracy == 0.8 && scores.micro.f1 == 0.5 && scores.macro.f1 == 0.5)
        #expect(
            scores.report() == """
                              precision    recall  f1-score   support

                        MISC       0.00      0.00      0.00         1
                         PER       1.00      1.00      1.00         1

                   micro avg       0.50      0.50      0.50         2
                   macro avg       0.50      0.50      0.50         2
                weighted avg       0.50      0.50      0.50         2
                """
        )
        let none = try SpanScores(predictions: [["O"]], labels: [["O"]])
        #expect(none.types.isEmpty && none.micro.f1 == 0 && none.macro.f1 == 0 && none.accuracy == 1)
    }

    @Test func whatCannotBeComparedIsRefused() {
        func message(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return ""
        }
        #expect(
            message { _ = try ClassificationScores(predictions: [1], labels: [1, 0]) }
                == "ClassificationScores: \"labels\" has 2 rows beside 1 of \"predictions\"; expected as many"
        )
        #expect(message { _ = try ClassificationScores(predictions: [], labels: []) }.contains("has no data"))
        #expect(message { _ = try ClassificationScores(predictions: [1], labels: [-1]) }.contains("is -1"))
        #expect(
            message { _ = try RegressionScores(predictions: [1, .infinity], labels: [1, 2]) }
                == "RegressionScores: row 2 has a prediction that is NaN or infinite; "
                + "expected a number; the model has diverged"
        )
        #expect(message { _ = try SpanScores(predictions: [["O"]], labels: [["O", "O"]]) }.contains("sequence 1"))
        #expect(message { _ = try SpanScores(predictions: [[""]], labels: [["O"]]) }.contains("empty tag"))
        #expect(message { _ = try SpanScores(predictions: [[]], labels: [[]]) }.contains("has no tags"))
    }
}
