import EttinJSON
import EttinModel
import EttinRecipes
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

/// The worked example of the losses: raw vectors of tokens, which are normalised before they are compared.
private struct LossExample {
    static let queries: [Float] = [2, 0.5, 0, 0.6, 0.8, -0.3, 0.1, 1, 0.4, 0.7, 0.6, 0.8]
    static let documents: [Float] = [
        0.8, 0.6, 0.1, 0.2, -0.4, 1, 0.3, -1, 0.5, -0.6, 0.2, 0.8, 1, 1, 0.2, -0.3, 0.4, 0.1, 0.5, 0.9, 0.7, 0.2, 0.1,
        -0.9,
    ]
    /// The tokens that count: the second of the first document is in the skip list, that of the third is padding.
    static let counted = [[0], [2, 3], [4], [6, 7]]

    let queries = LossExample.leaf(LossExample.queries)
    let documents = LossExample.leaf(LossExample.documents)

    private static func leaf(_ values: [Float]) -> Tensor {
        let tensor = Tensor(values, shape: [values.count / 3, 3])
        tensor.setRequiresGradient(true)
        return tensor
    }

    private func column(_ order: [Int]) -> TokenRows {
        let places = order.flatMap { Self.counted[$0] }
        return TokenRows(
            documents.normalized().selecting(Tensor(places.map(Int64.init))),
            starts: order.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32(Self.counted[$1].count)) },
            competesWithZero: order.map { Self.counted[$0].count < 2 }
        )
    }

    /// A batch whose vectors are leaves, to which a loss may come back as often as it likes, as those of a run are.
    static func leaves(of batch: MultiVectorBatch) -> MultiVectorBatch {
        var batch = batch
        batch.columns = batch.columns.map { column in
            let rows = column.rows.detached()
            rows.setRequiresGradient(true)
            return TokenRows(rows, starts: column.starts, competesWithZero: column.competesWithZero)
        }
        return batch
    }

    private var queryRows: TokenRows {
        TokenRows(queries.normalized(), starts: [0, 2, 4], competesWithZero: [false, false])
    }

    /// Two documents of each query, with the scores of a teacher.
    var distillation: MultiVectorBatch {
        MultiVectorBatch(
            columns: [queryRows, column([0, 1, 2, 3])],
            labels: LossLabels(.list(count: 2), [9.5, 7, 3, 6.5])
        )
    }

    /// Positives, and negatives where they are asked for.
    func contrast(negatives: Bool) -> MultiVectorBatch {
        MultiVectorBatch(columns: [queryRows, column([0, 3])] + (negatives ? [column([1, 2])] : []))
    }
}

@Suite("Losses of late interaction")
struct MultiVectorLossTests {
    private func loss(_ recipe: String) throws -> any MultiVectorLoss {
        try MultiVectorLosses.make(YAMLNode(JSONValue(parsing: Array(recipe.utf8))))
    }

    // shared/golden/finetune/colbert.json, from PyLate 1.6.
    @Test(
        "Distillation is that of PyLate",
        arguments: [
            (#""Distillation""#, 0.16540766), (#"{"type": "Distillation", "normalize_scores": false}"#, 0.22418496),
            (#"{"type": "Distillation", "size_average": false}"#, 0.33081532),
        ]
    )
    func distillation(recipe: String, expected: Double) throws {
        let loss = try loss(recipe)
        let value = try withoutGradients { try loss.value(of: LossExample().distillation) }
        #expect(abs(value - expected) < 1e-6, "\(value)")
        #expect(try abs(loss.backward(LossExample().distillation, weight: 2) - value) < 1e-6)
    }

    @Test(
        "Contrastive and its cached form are those of PyLate",
        arguments: [
            (#""Contrastive""#, false, 0.47456646), (#""Contrastive""#, true, 0.98378175),
            (#"{"type": "Contrastive", "temperature": 0.5}"#, true, 0.77461779),
            (#"{"type": "CachedContrastive", "mini_batch_size": 1}"#, true, 0.98378175),
        ]
    )
    func contrastive(recipe: String, negatives: Bool, expected: Double) throws {
        let loss = try loss(recipe)
        let value = try withoutGradients { try loss.value(of: LossExample().contrast(negatives: negatives)) }
        #expect(abs(value - expected) < 1e-6, "\(value)")
    }

    @Test("The cached form has the gradients of the plain one, or, as PyLate has them, those of the sum")
    func gradientsOfTheSum() throws {
        func gradients(_ recipe: String) throws -> [Float] {
            let batch = LossExample.leaves(of: LossExample().contrast(negatives: true))
            _ = try loss(recipe).backward(batch, weight: 1)
            return try batch.columns.flatMap { try #require($0.rows.gradient).array(of: Float.self) }
        }
        let plain = try gradients(#""Contrastive""#)
        #expect(plain.contains { abs($0) > 0.01 })
        for (a, b) in zip(try gradients(#"{"type": "CachedContrastive", "mini_batch_size": 1}"#), plain) {
            #expect(abs(a - b) < 1e-6)
        }
        let cached = #"{"type": "CachedContrastive", "mini_batch_size": 1, "sum_gradients": true}"#
        for (a, b) in zip(try gradients(cached), plain) { #expect(abs(a - 2 * b) < 1e-6) }
    }

    @Test(
        "Gradients are those of PyLate",
        .enabled(if: SharedData.isAvailable, "needs shared/golden"),
        arguments: [
            ("default", #""Distillation""#),
            ("normalize_scores_false", #"{"type": "Distillation", "normalize_scores": false}"#),
            ("size_average_false", #"{"type": "Distillation", "size_average": false}"#),
        ]
    )
    func golden(key: String, recipe: String) throws {
        let path = try #require(SharedData.folder) + "/golden/finetune/colbert.json"
        let file = try JSONValue(parsing: String(contentsOfFile: path, encoding: .utf8))
        let golden = try #require(file["distillation"]?[key])
        let example = LossExample()
        let value = try loss(recipe).backward(example.distillation, weight: 1)
        #expect(abs(value - (golden["loss"]?.doubleValue ?? .nan)) < 1e-6)
        for (name, tensor) in [("grad_q", example.queries), ("grad_d", example.documents)] {
            let expected = try #require(golden[name]?.arrayValue)
                .flatMap { $0.arrayValue ?? [] }.flatMap { $0.arrayValue ?? [] }.compactMap(\.doubleValue)
            let found = try #require(tensor.gradient).array(of: Float.self)
            #expect(expected.count == found.count)
            for (a, b) in zip(found, expected) { #expect(abs(Double(a) - b) < 1e-6, "\(name): \(a) is not \(b)") }
        }
    }

    @Test(
        "Arguments that do not fit are named",
        arguments: [
            (#"{"type": "Destillation"}"#, "did you mean Distillation?"),
            (#"{"type": "Distillation", "temperature": 2}"#, "temperature"),
            (#"{"type": "Contrastive", "temperature": 0}"#, "a number above 0"),
            (#"{"type": "Contrastive", "score_metric": "XTRScores"}"#, "is XTRScores, which is not supported"),
            (#"{"type": "Contrastive", "gather_across_devices": true}"#, "gather_across_devices"),
            (#"{"type": "CachedContrastive", "mini_batch_size": 0}"#, "mini_batch_size"),
        ]
    )
    func refusals(recipe: String, text: String) throws {
        let error = #expect(throws: TrainingError.self) { try loss(recipe) }
        #expect("\(try #require(error))".contains(text), "\(String(describing: error))")
    }
}
