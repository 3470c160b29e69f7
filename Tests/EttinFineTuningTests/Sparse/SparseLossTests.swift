import EttinJSON
import EttinModel
import EttinRecipes
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

/// Numbers of sentence-transformers 6.2, some of them of shared/golden/finetune/sparse.json.
@Suite("Losses of sparse models")
struct SparseLossTests {
    static let queries: [Float] = [0, 1.2, 0, 0.4, 0, 0.7, 0, 0, 1.1, 0, 0, 0, 0.9, 0, 0.3]
    static let documents: [Float] = [0, 0.8, 0.2, 0.6, 0, 1, 0, 0, 0.9, 0.1, 0.3, 0, 0.5, 0, 0]
    static let negatives: [Float] = [0.5, 0, 0, 0.2, 0.7, 0, 0.6, 0, 0, 0, 0, 0, 0, 1.3, 0.4]

    private static func columns(_ count: Int) -> [Tensor] {
        [queries, documents, negatives].prefix(count).map { values in
            let column = Tensor(values, shape: [3, 5])
            column.setRequiresGradient(true)
            return column
        }
    }

    private static func make(_ recipe: String) throws -> SparseObjective {
        let tree = try RecipeTree(.object([:]), name: "recipe")
        var changed = tree
        try changed.override("loss=\(recipe)")
        return try SparseLosses.make(changed.root["loss"])
    }

    private static func splade(_ weights: String, _ loss: String = "SparseMultipleNegativesRankingLoss") throws
        -> SparseObjective
    {
        try make("{type: SpladeLoss, loss: \(loss), \(weights)}")
    }

    @Test("The expected number of products")
    func flops() throws {
        let columns = Self.columns(3)
        LossFixtures.expectClose(try flopsLoss([columns[0]]).scalar(), 0.56444442)
        LossFixtures.expectClose(try flopsLoss([columns[1]]).scalar(), 0.56444442)
        LossFixtures.expectClose(try flopsLoss([columns[1], columns[2]]).scalar(), 0.44805557)
        LossFixtures.expectClose(try flopsLoss([columns[1]], threshold: 2).scalar(), 0.43777782)
    }

    struct Example: CustomStringConvertible, Sendable {
        let golden: String
        let weights: String
        let columns: Int
        let components: [Double]
        var description: String { golden }
    }

    static let examples = [
        Example(
            golden: "pairs_q5e-5_d3e-5",
            weights: "query_regularizer_weight: 5e-5, document_regularizer_weight: 3e-5",
            columns: 2,
            components: [0.63136762, 1.6933333e-05, 2.8222221e-05]
        ),
        Example(
            golden: "triplet_q0.05_d0.03",
            weights: "query_regularizer_weight: 0.05, document_regularizer_weight: 0.03",
            columns: 3,
            components: [1.2431751, 0.013441667, 0.028222222]
        ),
        Example(
            golden: "doc_only",
            weights: "document_regularizer_weight: 0.03, use_document_regularizer_only: true",
            columns: 3,
            components: [1.2431751, 0.014099999]
        ),
    ]

    private static let names = ["base_loss", "document_regularizer_loss", "query_regularizer_loss"]

    /// The parts of a loss at full weights, and the gradients of their sum.
    private static func outcome(
        _ objective: SparseObjective,
        _ columns: [Tensor],
        _ labels: LossLabels? = nil
    ) throws -> (parts: [(key: String, value: Double)], gradients: [[Float]]) {
        let batch = LossBatch(embeddings: columns, labels: labels)
        var parts = [(key: "base_loss", value: try objective.loss.backward(batch, weight: 1))]
        for part in objective.regularization?.parts(columns, factor: 1) ?? [] {
            parts.append((part.key, try part.value.scalar()))
            part.value.backward()
        }
        return (parts, try columns.map { try $0.gradient?.array(of: Float.self) ?? [] })
    }

    @Test("A loss is the sum of its parts", arguments: examples)
    func parts(example: Example) throws {
        let objective = try Self.splade(example.weights)
        #expect(objective.names == ["SpladeLoss", "SparseMultipleNegativesRankingLoss"])
        let parts = try Self.outcome(objective, Self.columns(example.columns)).parts
        #expect(parts.map(\.key) == Array(Self.names.prefix(example.components.count)))
        for (part, expected) in zip(parts, example.components) {
            #expect(abs(part.value - expected) <= 1e-6 * max(1e-2, abs(expected)), "\(part) is not \(expected)")
        }
    }

    @Test(
        "Gradients are those of sentence-transformers",
        .enabled(if: SharedData.isAvailable, "the golden files are not beside the repository"),
        arguments: examples
    )
    func gradients(example: Example) throws {
        let path = "\(try #require(SharedData.folder))/golden/finetune/sparse.json"
        let file = try JSONValue(parsing: String(contentsOfFile: path, encoding: .utf8))
        let golden = try #require(file["splade_loss"]?[example.golden])
        let (parts, gradients) = try Self.outcome(Self.splade(example.weights), Self.columns(example.columns))
        LossFixtures.expectClose(parts.reduce(0) { $0 + $1.value }, try #require(golden["total"]?.doubleValue))
        for (column, gradient) in gradients.enumerated() {
            let expected = try #require(golden["grads"]?.arrayValue?[column].arrayValue)
                .flatMap { $0.arrayValue ?? [] }.compactMap(\.doubleValue)
            #expect(expected.count == gradient.count)
            for (value, other) in zip(gradient, expected) { LossFixtures.expectClose(Double(value), other) }
        }
    }

    @Test("Rows below the threshold have no gradient, though they count in the mean")
    func threshold() throws {
        let objective = try Self.splade(
            "document_regularizer_weight: 2, document_regularizer: {type: FlopsLoss, threshold: 2}",
            "{type: SparseTripletLoss, triplet_margin: 0}"
        )
        let columns = Self.columns(2)
        let part = try #require(objective.regularization?.parts(columns, factor: 0.5).first)
        LossFixtures.expectClose(try part.value.scalar(), 0.43777782)
        part.value.backward()
        let gradient = try #require(try columns[1].gradient?.array(of: Float.self))
        // The third document has two weights: its row is left out.
        #expect(gradient[10..<15].allSatisfy { $0 == 0 } && gradient[1] > 0)
    }

    @Test("Weights rise to full ones in a third of the run")
    func schedule() {
        var schedule = RegularizerSchedule()
        let quadratic = [0: 0, 1: 5e-7, 2: 2e-6, 5: 1.25e-5, 9: 4.05e-5, 10: 5e-5, 29: 5e-5]
        for (step, weight) in quadratic {
            #expect(abs(schedule.factor(step: step, of: 30) * 5e-5 - weight) < 1e-12, "\(step)")
        }
        schedule.shape = .linear
        for (step, weight) in [0: 0, 1: 5e-6, 2: 1e-5, 5: 2.5e-5, 9: 4.5e-5, 10: 5e-5, 29: 5e-5] {
            #expect(abs(schedule.factor(step: step, of: 30) * 5e-5 - weight) < 1e-12, "\(step)")
        }
        // The card's run of 6188 updates.
        #expect(schedule.factor(step: 2061, of: 6188) < 1 && schedule.factor(step: 2062, of: 6188) == 1)
        #expect(schedule.factor(step: 0, of: 2) == 0 && schedule.factor(step: 1, of: 2) == 1)
    }

    @Test("Inner losses have the defaults of sparse models")
    func defaults() throws {
        let usual = try SparseLosses.make(nil)
        let ranking = try #require(usual.loss as? MultipleNegativesRankingLoss)
        #expect(ranking.scale == 1 && ranking.similarity == .dot && usual.cache == nil)
        #expect(usual.regularization?.queryWeight == 5e-5 && usual.regularization?.documentWeight == 3e-5)
        let weights = "document_regularizer_weight: 1, query_regularizer_weight: 1"
        let distillation = try #require(
            try Self.splade(weights, "SparseDistillKLDivLoss").loss as? DistillKLDivLoss
        )
        #expect(distillation.studentTemperature == 2 && distillation.teacherTemperature == 2)
        #expect(distillation.similarity == .dot && distillation.name == "SparseDistillKLDivLoss")
        for name in ["SparseCoSENTLoss", "SparseAnglELoss", "SparseCosineSimilarityLoss"] {
            let objective = try Self.splade(weights, name)
            #expect(objective.comparesByCosine && objective.loss.name == name)
        }
        #expect(try Self.splade(weights, "SparseMarginMSELoss").comparesByCosine == false)
        #expect(try Self.make("SparseMSELoss").regularization == nil)
        let cached = try Self.make("{type: CachedSpladeLoss, loss: SparseMSELoss, mini_batch_size: 4, \(weights)}")
        #expect(cached.cache == GradientCacheSettings(rows: 4) && cached.names[0] == "CachedSpladeLoss")
    }

    @Test("What says nothing is told")
    func notices() throws {
        #expect(SparseLosses.notices(try SparseLosses.make(nil)) == [])
        let only = try Self.splade(
            "document_regularizer_weight: 1, query_regularizer_weight: 1, use_document_regularizer_only: true"
        )
        #expect(SparseLosses.notices(only).first?.contains("no effect of query_regularizer_weight") == true)
        let alone = try Self.splade("document_regularizer_weight: 1")
        #expect(SparseLosses.notices(alone).first?.contains("no query_regularizer_weight") == true)
    }

    @Test(
        "What fits no sparse model is refused by its name",
        arguments: [
            ("FlopsLoss", "SpladeLoss, which has it"),
            ("SparseMultipleNegativesRankingLoss", "it is not used alone"),
            ("SpladeLos", "did you mean SpladeLoss?"), ("CSRLoss", "not supported"),
            ("SpladeLoss", "loss.loss: is not there"),
            ("{type: SpladeLoss, loss: SparseTripletLoss}", "document_regularizer_weight: is not there"),
            ("{type: SpladeLoss, loss: SparseTripletLoss, document_regularizer_weight: -1}", "0 or more"),
            (
                "{type: SpladeLoss, loss: SparseTripletLoss, document_regularizer_weight: 1, query_regularizer_weight: -3}",
                "query_regularizer_weight: is -3"
            ),
            (
                """
                {type: SpladeLoss, loss: SparseTripletLoss, document_regularizer_weight: 1,
                 query_regularizer_threshold: -1}
                """,
                "query_regularizer_threshold: is -1"
            ),
            (
                """
                {type: SpladeLoss, loss: SparseTripletLoss, document_regularizer_weight: 1,
                 document_regularizer: L1Loss}
                """,
                "FlopsLoss"
            ),
            ("{type: SpladeLoss, loss: FlopsLoss, document_regularizer_weight: 1}", "a loss that it regularizes"),
            (
                "{type: SpladeLoss, loss: TripletLoss, document_regularizer_weight: 1}",
                "did you mean SparseTripletLoss?"
            ),
            (
                "{type: SpladeLoss, loss: SparseTripletLoss, document_regularizer_weight: 1, mini_batch_size: 3}",
                "mini_batch_size"
            ),
        ]
    )
    func refusals(_ recipe: String, _ text: String) throws {
        let error = #expect(throws: (any Error).self) { try Self.make(recipe) }
        #expect("\(try #require(error))".contains(text), "\(String(describing: error))")
    }

    @Test("Data that a loss does not take is refused")
    func data() throws {
        let pair = try Self.splade("document_regularizer_weight: 1", "SparseMSELoss")
        let one = #expect(throws: (any Error).self) {
            try pair.check(columns: 1, labels: .list(count: 5), width: 5)
        }
        #expect("\(try #require(one))".contains("2 or more columns"))
        let margins = try Self.splade("document_regularizer_weight: 1", "SparseMarginMSELoss")
        let labels = #expect(throws: (any Error).self) { try margins.check(columns: 3, labels: nil, width: 5) }
        #expect("\(try #require(labels))".contains("SparseMarginMSELoss, but the data has no label column"))
        let unread = try SparseLosses.make(nil).check(columns: 2, labels: .real, width: 5)
        #expect(unread == ["SparseMultipleNegativesRankingLoss does not read the label column"])
    }
}
