import EttinJSON
import EttinModel
import EttinRecipes
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite struct EmbeddingLossTests {
    /// A loss of the worked example: sentence-transformers 6.2 on the same embeddings.
    struct Example: CustomStringConvertible, Sendable {
        var recipe: String
        var columns: Int
        var labels: LossLabels?
        var expected: Double
        /// Its key in the golden file, which has the gradients.
        var golden: String?

        var description: String { "\(recipe), \(columns) columns" }
    }

    static let examples = [
        Example(
            recipe: "MultipleNegativesRankingLoss",
            columns: 2,
            expected: 0.018589973,
            golden: "mnrl_pairs_default"
        ),
        Example(
            recipe: "MultipleNegativesRankingLoss",
            columns: 3,
            expected: 5.2003732,
            golden: "mnrl_triplet_default"
        ),
        Example(
            recipe: "MultipleNegativesRankingLoss",
            columns: 4,
            expected: 5.2485542,
            golden: "mnrl_two_negs_default"
        ),
        Example(
            recipe: "{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 2}",
            columns: 3,
            expected: 5.2003732,
            golden: "mnrl_triplet_default"
        ),
        Example(
            recipe: "{type: MultipleNegativesRankingLoss, similarity_fct: dot_score, scale: 1}",
            columns: 3,
            expected: 1.4197639,
            golden: "mnrl_dot_scale1"
        ),
        Example(
            recipe: "MultipleNegativesSymmetricRankingLoss",
            columns: 2,
            expected: 0.011217753,
            golden: "mnrl_symmetric_per_direction"
        ),
        Example(
            recipe: """
                {type: MultipleNegativesRankingLoss, partition_mode: joint,
                 directions: [query_to_doc, query_to_query, doc_to_query, doc_to_doc]}
                """,
            columns: 3,
            expected: 5.2215176,
            golden: "mnrl_gte_joint"
        ),
        Example(
            recipe: "{type: MultipleNegativesRankingLoss, hardness_mode: hard_negatives, hardness_strength: 5}",
            columns: 3,
            expected: 9.74475,
            golden: "mnrl_hardness_hard_negatives_5"
        ),
        Example(
            recipe: "CoSENTLoss",
            columns: 2,
            labels: LossFixtures.reals,
            expected: 1.3032508,
            golden: "cosent"
        ),
        Example(
            recipe: "CoSENTLoss",
            columns: 2,
            labels: LossFixtures.classes,
            expected: 0.244203,
            golden: "cosent_ties"
        ),
        Example(
            recipe: "AnglELoss",
            columns: 2,
            labels: LossFixtures.reals,
            expected: 9.7751135e-06,
            golden: "angle"
        ),
        Example(
            recipe: "CosineSimilarityLoss",
            columns: 2,
            labels: LossFixtures.reals,
            expected: 0.082204245,
            golden: "cosine_similarity_mse"
        ),
        Example(
            recipe: "MarginMSELoss",
            columns: 3,
            labels: LossFixtures.margins,
            expected: 4.9350333,
            golden: "margin_mse_single_margin"
        ),
        Example(
            recipe: "MarginMSELoss",
            columns: 4,
            labels: LossFixtures.scores,
            expected: 16.112066,
            golden: "margin_mse_scores_2neg"
        ),
        Example(
            recipe: "DistillKLDivLoss",
            columns: 4,
            labels: LossFixtures.scores,
            expected: 0.91148311,
            golden: "distill_kl_T1"
        ),
        Example(
            recipe: "{type: DistillKLDivLoss, temperature: 2}",
            columns: 4,
            labels: LossFixtures.scores,
            expected: 1.6532587,
            golden: "distill_kl_T2"
        ),
        Example(
            recipe: "TripletLoss",
            columns: 3,
            expected: 5.4631729,
            golden: "triplet_euclidean_margin5"
        ),
        Example(
            recipe: "{type: TripletLoss, distance_metric: TripletDistanceMetric.COSINE, triplet_margin: 0.5}",
            columns: 3,
            expected: 0.75907493,
            golden: "triplet_cosine_margin0.5"
        ),
        Example(
            recipe: "ContrastiveLoss",
            columns: 2,
            labels: LossFixtures.classes,
            expected: 0.033787157,
            golden: "contrastive"
        ),
        Example(
            recipe: "{type: MatryoshkaLoss, loss: MultipleNegativesRankingLoss, matryoshka_dims: [2, 4]}",
            columns: 3,
            expected: 10.996931,
            golden: "matryoshka_2_4_mnrl"
        ),
        Example(
            recipe: """
                {type: MatryoshkaLoss, loss: {type: CachedMultipleNegativesRankingLoss, mini_batch_size: 1},
                 matryoshka_dims: [2, 4]}
                """,
            columns: 3,
            expected: 10.996931,
            golden: "matryoshka_2_4_mnrl"
        ),
        Example(
            recipe: """
                {type: MatryoshkaLoss, loss: MultipleNegativesRankingLoss, matryoshka_dims: [2, 4],
                 matryoshka_weights: [0.25, 1]}
                """,
            columns: 3,
            expected: 6.6495137
        ),
    ]

    static func objective(_ recipe: String, _ context: EmbeddingLosses.Context = .init()) throws -> EmbeddingObjective {
        let node = try YAMLNode(parsing: Array(recipe.utf8), name: "recipe.yaml", expected: "a loss")
        return try EmbeddingLosses.make(node, context)
    }

    @Test("Losses are those of sentence-transformers", arguments: examples)
    func worked(example: Example) throws {
        let objective = try Self.objective(example.recipe)
        try objective.check(columns: example.columns, labels: example.labels?.kind, width: 4)
        let outcome = try LossFixtures.outcome(objective.loss, columns: example.columns, example.labels)
        LossFixtures.expectClose(outcome.loss, example.expected)
    }

    @Test(
        "Gradients are those of sentence-transformers",
        .enabled(if: SharedData.isAvailable, "the golden files are not beside the repository"),
        arguments: examples.filter { $0.golden != nil }
    )
    func gradients(example: Example) throws {
        let folder = try #require(SharedData.folder)
        let path = "\(folder)/golden/finetune/embedding.json"
        let file = try JSONValue(parsing: String(contentsOfFile: path, encoding: .utf8))
        let key = try #require(example.golden)
        let golden = try #require(file["losses"]?[key])
        let objective = try Self.objective(example.recipe)
        let outcome = try LossFixtures.outcome(objective.loss, columns: example.columns, example.labels)
        for (column, gradient) in outcome.gradients.enumerated() {
            let expected = try #require(golden["grads"]?.arrayValue?[column].arrayValue)
                .flatMap { $0.arrayValue ?? [] }.compactMap(\.doubleValue)
            #expect(expected.count == gradient.count)
            for (value, other) in zip(gradient, expected) {
                LossFixtures.expectClose(Double(value), other, tolerance: 1e-5)
            }
        }
    }

    /// What is added for hardness is a constant to gradients, so that differences do not show them.
    @Test("Gradients agree with differences", arguments: examples.filter { !$0.recipe.contains("hardness") })
    func differences(example: Example) throws {
        let loss = try Self.objective(example.recipe).loss
        let gradients = try LossFixtures.outcome(loss, columns: example.columns, example.labels).gradients
        let step: Float = 1e-2
        for column in 0..<example.columns {
            func moved(by change: Float) throws -> Double {
                var columns = LossFixtures.columns(example.columns).map { $0.detached() }
                var values = try columns[column].array(of: Float.self)
                values[5] += change
                columns[column] = Tensor(values, shape: [3, 4])
                return try loss.value(of: LossBatch(embeddings: columns, labels: example.labels))
            }
            let difference = try (moved(by: step) - moved(by: -step)) / Double(2 * step)
            LossFixtures.expectClose(Double(gradients[column][5]), difference, tolerance: 2e-2)
        }
    }

    @Test func hardPairsAloneCount() throws {
        let objective = try EmbeddingLosses.make(name: "OnlineContrastiveLoss")
        let outcome = try LossFixtures.outcome(objective.loss, columns: 2, LossFixtures.classes)
        // Distances are 0.334, 0.416 and 0.29: no pair with label 1 is farther than the one with label 0.
        #expect(outcome.loss == 0 && outcome.gradients.joined().allSatisfy { $0 == 0 })
        let reversed = try LossFixtures.outcome(objective.loss, columns: 2, LossLabels(.integer, [0, 1, 0]))
        let hard = 1 - 0.58446956
        let apart: [Double] = [0.66611505 - 0.5, 0.70998508 - 0.5]
        let expected: Double = hard * hard + apart[0] * apart[0] + apart[1] * apart[1]
        LossFixtures.expectClose(reversed.loss, expected)
    }

    @Test func embeddingsOfATeacherAreLabelsOfOneColumnOrOfAll() throws {
        let loss = try EmbeddingLosses.make(name: "MSELoss").loss
        let labels = LossLabels(.list(count: 4), LossFixtures.positives.map(Double.init))
        let columns = LossFixtures.columns(2)
        var squares = 0.0
        for (query, positive) in zip(LossFixtures.queries, LossFixtures.positives) {
            let difference = Double(query - positive)
            squares += difference * difference
        }
        let value = try loss.value(of: LossBatch(embeddings: columns, labels: labels))
        LossFixtures.expectClose(value, squares / 24)
        var both: [Double] = []
        for row in 0..<3 {
            for column in [LossFixtures.queries, LossFixtures.positives] {
                both += column[row * 4..<row * 4 + 4].map(Double.init)
            }
        }
        let exact = LossBatch(embeddings: columns, labels: LossLabels(.list(count: 8), both))
        #expect(try loss.value(of: exact) == 0)
    }

    @Test func matryoshkaDrawsAsManySizesAsAskedForByTheNumberOfTheBatch() throws {
        let recipe = """
            {type: MatryoshkaLoss, loss: MultipleNegativesRankingLoss, matryoshka_dims: [4, 3, 2, 1], n_dims_per_step: 2}
            """
        let loss = try Self.objective(recipe).loss
        let each = try (1...4).map { size in
            try Self.objective("{type: MatryoshkaLoss, loss: MultipleNegativesRankingLoss, matryoshka_dims: [\(size)]}")
                .loss.value(of: LossBatch(embeddings: LossFixtures.columns(3)))
        }
        var seen: Set<Int> = []
        for step in 0..<40 {
            let batch = LossBatch(embeddings: LossFixtures.columns(3), step: step)
            let value = try loss.value(of: batch)
            #expect(try loss.value(of: batch) == value)
            let pairs = (0..<4).flatMap { first in (first + 1..<4).map { (first, $0) } }
            let pair = try #require(pairs.firstIndex { abs(each[$0.0] + each[$0.1] - value) < 1e-4 })
            seen.insert(pair)
        }
        #expect(seen.count == 6)
    }
}
