import Testing
import Torch

@testable import EttinFineTuning

/// What recipes may say about losses, and what they are told otherwise.
@Suite struct LossRecipeTests {
    struct Refusal: CustomStringConvertible, Sendable {
        var recipe: String
        var parts: [String]
        var description: String { recipe }
    }

    static let refusals = [
        Refusal(recipe: "CoSENTLos", parts: ["loss: is \"CoSENTLos\"", "did you mean CoSENTLoss?"]),
        Refusal(recipe: "Matryoshka2dLoss", parts: ["Matryoshka2dLoss, which is not supported"]),
        Refusal(recipe: "{scale: 3}", parts: ["loss.type: is not there", "the name of a loss"]),
        Refusal(recipe: "[CoSENTLoss]", parts: ["is a list", "the name of a loss"]),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, scal: 3}",
            parts: ["loss.scal: is not a key of loss", "did you mean loss.scale?"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, scale: 0}",
            parts: ["loss.scale: is \"0\"", "a number above 0"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, mini_batch_size: 3}",
            parts: ["loss.mini_batch_size: is not a key of loss"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, similarity_fct: cos}",
            parts: ["similarity_fct: is cos", "cos_sim, dot_score", "did you mean cos_sim?"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, directions: [doc_to_query]}",
            parts: ["directions: has no query_to_doc"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, directions: [query_to_docs]}",
            parts: ["directions: has \"query_to_docs\"", "query_to_doc, query_to_query"]
        ),
        Refusal(
            recipe: """
                {type: MultipleNegativesRankingLoss, directions: [query_to_doc, doc_to_doc],
                 partition_mode: per_direction}
                """,
            parts: ["partition_mode: is per_direction, but directions has doc_to_doc"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, hardness_mode: hard}",
            parts: ["hardness_mode: is \"hard\"", "hard_negatives"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, hardness_strength: -1}",
            parts: ["hardness_strength: is \"-1\"", "0 or more"]
        ),
        Refusal(
            recipe: "{type: MultipleNegativesRankingLoss, gather_across_devices: true}",
            parts: ["gather_across_devices: is true, which is not supported"]
        ),
        Refusal(
            recipe: "{type: CachedMultipleNegativesRankingLoss, mini_batch_size: 0}",
            parts: ["mini_batch_size: is \"0\"", "1 or more"]
        ),
        Refusal(
            recipe: "{type: CachedMultipleNegativesRankingLoss, show_progress_bar: true}",
            parts: ["show_progress_bar: is true"]
        ),
        Refusal(
            recipe: "{type: TripletLoss, distance_metric: EUCLIDIAN}",
            parts: ["distance_metric: is EUCLIDIAN", "did you mean EUCLIDEAN?"]
        ),
        Refusal(
            recipe: "{type: CosineSimilarityLoss, loss_fct: torch.nn.CrossEntropyLoss}",
            parts: ["loss_fct: is torch.nn.CrossEntropyLoss", "MSELoss"]
        ),
        Refusal(recipe: "{type: MSELoss, projection_dim: 8}", parts: ["projection_dim", "not supported"]),
        Refusal(recipe: "GISTEmbedLoss", parts: ["loss.guide: is not there", "embedding model"]),
        Refusal(recipe: "{type: GISTEmbedLoss, guide: none}", parts: ["none"]),
        Refusal(recipe: "{type: MatryoshkaLoss, matryoshka_dims: [4]}", parts: ["loss.loss: is not there"]),
        Refusal(
            recipe: "{type: MatryoshkaLoss, loss: CoSENTLoss}",
            parts: ["loss.matryoshka_dims: is not there"]
        ),
        Refusal(
            recipe: "{type: MatryoshkaLoss, loss: CoSENTLoss, matryoshka_dims: [0]}",
            parts: ["matryoshka_dims: has \"0\"", "1 or more"]
        ),
        Refusal(
            recipe: "{type: MatryoshkaLoss, loss: CoSENTLoss, matryoshka_dims: [4, 2], matryoshka_weights: [1]}",
            parts: ["matryoshka_weights", "a list of 2 numbers"]
        ),
        Refusal(
            recipe: "{type: MatryoshkaLoss, loss: {type: CoSENTLoss, scale: -1}, matryoshka_dims: [4]}",
            parts: ["loss.loss.scale: is \"-1\""]
        ),
        Refusal(
            recipe: "{type: MatryoshkaLoss, loss: {type: MatryoshkaLoss, loss: CoSENTLoss, matryoshka_dims: [4]}, "
                + "matryoshka_dims: [4]}",
            parts: ["is a MatryoshkaLoss itself"]
        ),
    ]

    @Test(arguments: refusals)
    func whatCannotBeIsRefusedByName(refusal: Refusal) throws {
        do {
            _ = try EmbeddingLossTests.objective(refusal.recipe)
            Issue.record("was taken")
        } catch {
            for part in refusal.parts { #expect("\(error)".contains(part), "\(error)") }
            #expect(!"\(error)".contains("\n"))
        }
    }

    @Test func everyLossHasItsDefaults() throws {
        let context = EmbeddingLosses.Context(guide: { _ in StandInGuide(vectors: []) })
        for name in EmbeddingLosses.names where name != "MatryoshkaLoss" {
            let recipe = name.contains("GIST") ? "{type: \(name), guide: a}" : name
            let objective = try EmbeddingLossTests.objective(recipe, context)
            #expect(objective.name == name && objective.names == [name])
            #expect((objective.loss.cache != nil) == name.hasPrefix("Cached"))
            #expect(objective.loss.cache?.rows == (name.hasPrefix("Cached") ? 32 : nil))
        }
        #expect(try EmbeddingLosses.make(nil).name == "CoSENTLoss")
        let wrapped = try EmbeddingLossTests.objective(
            "{type: MatryoshkaLoss, loss: CoSENTLoss, matryoshka_dims: [8]}"
        )
        #expect(wrapped.names == ["MatryoshkaLoss", "CoSENTLoss"])
    }

    struct Misfit: CustomStringConvertible, Sendable {
        var recipe: String
        var columns: Int
        var labels: LossLabels.Kind?
        var part: String
        var description: String { "\(recipe), \(columns) columns, \(String(describing: labels))" }
    }

    static let misfits = [
        Misfit(recipe: "MultipleNegativesRankingLoss", columns: 1, part: "has 1 column of texts; expected 2 or more"),
        Misfit(recipe: "CoSENTLoss", columns: 2, part: "has no label column; expected 2 columns of texts and a number"),
        Misfit(recipe: "CoSENTLoss", columns: 3, labels: .real, part: "has 3 columns of texts"),
        Misfit(recipe: "CoSENTLoss", columns: 2, labels: .list(count: 2), part: "a list of 2 labels in each row"),
        Misfit(recipe: "AnglELoss", columns: 2, part: "has no label column"),
        Misfit(recipe: "CosineSimilarityLoss", columns: 2, part: "has no label column"),
        Misfit(recipe: "ContrastiveLoss", columns: 3, labels: .integer, part: "2 columns of texts and 0 or 1"),
        Misfit(recipe: "TripletLoss", columns: 2, part: "has 2 columns of texts; expected 3 columns: anchor"),
        Misfit(recipe: "MarginMSELoss", columns: 4, labels: .real, part: "2 margins, one for each negative, or 3"),
        Misfit(recipe: "MarginMSELoss", columns: 4, labels: .list(count: 4), part: "a list of 4 labels"),
        Misfit(recipe: "MarginMSELoss", columns: 2, labels: .real, part: "3 or more columns"),
        Misfit(recipe: "DistillKLDivLoss", columns: 2, labels: .real, part: "2 or more candidates"),
        Misfit(recipe: "DistillKLDivLoss", columns: 3, labels: .list(count: 3), part: "2 scores in each row"),
        Misfit(recipe: "MSELoss", columns: 1, labels: .real, part: "the teacher's embedding"),
        Misfit(
            recipe: "MSELoss",
            columns: 1,
            labels: .list(count: 3),
            part: "has a list of 3 labels in each row; expected 8 numbers, as many as the model's embeddings have"
        ),
        Misfit(recipe: "MSELoss", columns: 2, labels: .list(count: 24), part: "or 2 such lists, one for each column"),
        Misfit(
            recipe: "{type: MatryoshkaLoss, loss: MSELoss, matryoshka_dims: [8, 4]}",
            columns: 1,
            labels: .list(count: 4),
            part: "expected 8 numbers"
        ),
        Misfit(
            recipe: "{type: MatryoshkaLoss, loss: TripletLoss, matryoshka_dims: [8]}",
            columns: 2,
            part: "is TripletLoss"
        ),
        Misfit(
            recipe: "{type: MatryoshkaLoss, loss: TripletLoss, matryoshka_dims: [16, 8]}",
            columns: 3,
            part: "matryoshka_dims: has 16; expected 1 to 8, the width"
        ),
    ]

    @Test(arguments: misfits)
    func dataThatDoesNotFitIsRefused(misfit: Misfit) throws {
        let objective = try EmbeddingLossTests.objective(misfit.recipe)
        do {
            try objective.check(columns: misfit.columns, labels: misfit.labels, width: 8)
            Issue.record("was taken")
        } catch {
            #expect("\(error)".contains(misfit.part), "\(error)")
        }
    }

    @Test func whatHasNoEffectIsTold() throws {
        let objective = try EmbeddingLossTests.objective(
            "{type: MultipleNegativesRankingLoss, hardness_mode: hard_negatives}"
        )
        let notices = try objective.check(columns: 2, labels: .integer, width: 8)
        #expect(notices.count == 2 && notices[0].contains("hardness_strength is 0") && notices[1].contains("label"))
        let wrapped = try EmbeddingLossTests.objective("{type: MatryoshkaLoss, loss: CoSENTLoss, matryoshka_dims: [4]}")
        #expect(try wrapped.check(columns: 2, labels: .real, width: 8).contains { $0.contains("has no 8") })
        #expect(try wrapped.check(columns: 2, labels: .real, width: 4).isEmpty)
    }
}

/// A guide that knows vectors by the number of the text.
struct StandInGuide: GuideModel {
    let vectors: [[Float]]

    func guideEmbeddings(of texts: [String]) throws -> (values: [Float], dimensions: Int) {
        let rows = texts.map { vectors[Int($0) ?? 0] }
        return (rows.flatMap(\.self), vectors.first?.count ?? 0)
    }
}
