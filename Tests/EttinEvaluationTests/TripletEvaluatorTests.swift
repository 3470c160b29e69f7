import EttinInference
import EttinJSON
import EttinModel
import EttinTables
import EttinTokenizer
import TestSupport
import Testing
import Torch

@testable import EttinEvaluation

@Suite struct TripletEvaluatorTests {
    // Vectors and metrics of shared/golden/finetune/evaluators_reranker.json, `triplet`, from sentence-transformers 6.2.
    static let model = VectorTable(vectors: [
        "a1": [1, 0.2, 0], "p1": [0.9, 0.4, 0.1], "n1": [0.1, 1, 0.3],
        "a2": [0, 1, 0.5], "p2": [0.6, 0.4, 0.9], "n2": [0.1, 0.9, 0.6],
        "a3": [0.3, 0.3, 1], "p3": [0.2, 0.5, 2.0], "n3": [3.0, 2.5, 1.0],
    ])

    private func evaluator(
        _ similarities: [EmbeddingSimilarity] = [],
        margins: [EmbeddingSimilarity: Double] = [:]
    ) throws -> TripletEvaluator {
        try TripletEvaluator(
            anchors: TextColumn(["a1", "a2", "a3"]),
            positives: TextColumn(["p1", "p2", "p3"]),
            negatives: TextColumn(["n1", "n2", "n3"]),
            similarities: similarities,
            margins: margins,
            name: "dev"
        )
    }

    @Test func accuraciesAreTheOriginals() throws {
        let usual = try evaluator()
        #expect(usual.primaryMetric == nil)
        #expect(agree(try usual.evaluate(Self.model), [("dev_cosine_accuracy", 0.666666687)], within: 1e-9))
        #expect(usual.primaryMetric == "dev_cosine_accuracy")
        let all = try evaluator([.cosine, .dot, .euclidean, .manhattan])
        let expected = [
            ("dev_cosine_accuracy", 0.666666687), ("dev_dot_accuracy", 0.333333343),
            ("dev_euclidean_accuracy", 0.666666687), ("dev_manhattan_accuracy", 0.666666687),
            ("dev_max_accuracy", 0.666666687),
        ]
        #expect(agree(try all.evaluate(Self.model), expected, within: 1e-9))
        #expect(all.primaryMetric == "dev_max_accuracy")
        let margin = try evaluator(margins: [.cosine: 0.3])
        #expect(agree(try margin.evaluate(Self.model), [("dev_cosine_accuracy", 0.666666687)], within: 1e-9))
        #expect(margin.reports.first?.description == "Triplet")
        #expect(margin.reports.first?.settings["margin"]?["cosine"]?.doubleValue == 0.3)
    }

    @Test func equalScoresDoNotCount() throws {
        let evaluator = try TripletEvaluator(
            anchors: TextColumn(["a1"]),
            positives: TextColumn(["p1"]),
            negatives: TextColumn(["p1"])
        )
        #expect(agree(try evaluator.evaluate(Self.model), [("cosine_accuracy", 0)]))
    }

    @Test func tablesGetALineWithEachEvaluation() throws {
        try withTemporaryFolder { folder in
            let place = EvaluationPlace(folder: folder.file("eval"), epoch: 0.5, step: 20)
            let evaluator = try evaluator([.cosine, .dot])
            _ = try evaluator.evaluate(Self.model, at: EvaluationPlace(folder: place.folder))
            _ = try evaluator.evaluate(Self.model, at: place)
            let text = String(decoding: try folder.read("eval/triplet_evaluation_dev_results.csv"), as: UTF8.self)
            #expect(
                text == """
                    epoch,steps,accuracy_cosine,accuracy_dot\r
                    -1,-1,0.6666666865348816,0.3333333432674408\r
                    0.5,20,0.6666666865348816,0.3333333432674408\r\n
                    """
            )
        }
    }

    @Test func columnsThatDoNotFitAreNamed() throws {
        let error = #expect(throws: EvaluationError.self) {
            try TripletEvaluator(
                anchors: TextColumn(["a1", "a2"]),
                positives: TextColumn(["p1"]),
                negatives: TextColumn(["n1", "n2"])
            )
        }
        #expect(
            error?.description
                == "TripletEvaluator: \"positives\" has 1 rows beside 2 of \"anchors\"; expected as many"
        )
        let few = #expect(throws: EvaluationError.self) {
            try TripletEvaluator(ValueTable(["query", "answer"], [[.text("a"), .text("b")]]))
        }
        #expect(
            few?.description
                == "TripletEvaluator: data has the columns \"query\" and \"answer\"; expected 3 of texts, in this "
                + "order: anchors, positives, negatives"
        )
        let number = try TripletEvaluator(ValueTable(["a", "p", "n"], [[.text("a1"), .integer(3), .text("n1")]]))
        let wrong = #expect(throws: EvaluationError.self) { try number.evaluate(Self.model) }
        #expect(wrong?.description == "row 1: column \"p\" holds a whole number; expected a text")
    }
}

@Suite struct ModelInTrainingTests {
    @Test func givesTheVectorsOfThePipelineAndSeesWhatTrainingChanges() throws {
        try withTemporaryFolder { folder in
            try TinyEncoder.write(to: folder.file("model"))
            // Longer than the model's context of 32 tokens.
            let texts = ["a cat", "", String(repeating: "the dog sat ", count: 40)]
            let pipeline = try TextEmbeddingPipeline(folder: folder.file("model"))
            let model = try EmbeddingModel.loadForTraining(folder: folder.file("model"))
            model.setRequiresGradient(true)
            let training = try ModelInTraining(model)
            func vectors(_ model: any TextVectors) throws -> TextEmbeddings {
                try model.vectors(of: texts, role: .query, prompt: .default, truncateDimension: nil, normalize: false)
            }
            let (expected, found) = (try vectors(pipeline), try vectors(training))
            #expect(found.isTruncated == [false, false, true] && training.modelName == folder.file("model"))
            #expect(zip(expected.values, found.values).allSatisfy { abs($0 - $1) < 1e-5 })
            for (_, tensor) in model.parameters where tensor.shape.count == 2 {
                withoutGradients { tensor.assign(tensor * 1.5) }
            }
            #expect(try vectors(training).values != found.values)
        }
    }
}
