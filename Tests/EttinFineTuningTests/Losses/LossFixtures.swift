import EttinJSON
import EttinModel
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

/// The worked example of losses, and what compares with it.
enum LossFixtures {
    static let queries: [Float] = [0.2, -0.4, 1, 0.5, 1.5, 0.3, -0.7, 0.1, -0.6, 0.8, 0.4, -1.1]
    static let positives: [Float] = [0.6, 0.2, 0.5, 0.3, 0.9, 0.1, 0.3, -0.6, 0.2, 0.7, 0.6, -0.4]
    static let negatives: [Float] = [0.3, -0.1, 0.8, 0.6, 1, 0.5, -0.2, 0.2, -0.1, 0.9, 0.1, -0.5]
    static let others: [Float] = [-0.3, 0.1, 0.8, 0.2, 0.8, 0.8, -0.1, -0.4, -0.2, 0.9, 0.9, -0.3]

    /// The first columns of the example as leaves.
    static func columns(_ count: Int) -> [Tensor] {
        [queries, positives, negatives, others].prefix(count).map { values in
            let column = Tensor(values, shape: [3, 4])
            column.setRequiresGradient(true)
            return column
        }
    }

    static let reals = LossLabels(.real, [0.9, 0.2, 0.5])
    static let classes = LossLabels(.integer, [1, 0, 1])
    static let margins = LossLabels(.real, [1.5, -0.25, 3])
    static let scores = LossLabels(.list(count: 3), [5, 2, 1, 4, 3.5, 0, 6, 1, 2])

    /// The loss of the example and its gradients, once as a whole and once as a gradient cache takes them.
    static func outcome(
        _ loss: any EmbeddingLoss,
        columns count: Int,
        _ labels: LossLabels? = nil
    ) throws -> (loss: Double, gradients: [[Float]]) {
        let whole = columns(count)
        let total = try loss(LossBatch(embeddings: whole, labels: labels))
        total.backward()
        let apart = columns(count)
        let value = try loss.backward(LossBatch(embeddings: apart, labels: labels), weight: 2)
        #expect(try abs(value - total.scalar()) <= 1e-6 * max(1, abs(value)))
        #expect(try loss.value(of: LossBatch(embeddings: columns(count), labels: labels)) == value)
        let gradients = try whole.map { try $0.gradient?.array(of: Float.self) ?? [] }
        for (column, expected) in zip(apart, gradients) {
            let gradient = try column.gradient?.array(of: Float.self) ?? []
            for (a, b) in zip(gradient, expected) { #expect(abs(a - 2 * b) <= 1e-5 * max(1, abs(b))) }
        }
        return (value, gradients)
    }

    static func expectClose(_ value: Double, _ expected: Double, tolerance: Double = 1e-5) {
        #expect(abs(value - expected) <= tolerance * max(1, abs(expected)), "\(value) is not \(expected)")
    }
}
