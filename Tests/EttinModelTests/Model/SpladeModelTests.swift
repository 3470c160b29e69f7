import Testing
import Torch

@testable import EttinModel

/// SPLADE's weights of a language model in training, whose output layer is the embedding.
@Suite struct SpladeModelTests {
    private static let batch = LanguageModelLossTests.batch

    private static func gradients(
        _ precision: Precision,
        recomputes: Bool,
        passes: Int = 1,
        _ pooled: (LanguageModel, Tensor, DropoutContext) -> Tensor
    ) throws -> [(key: String, gradient: Tensor)] {
        let model = LanguageModelLossTests.model(.encoder)
        for _ in 0..<passes {
            let training = DropoutContext(recomputesActivations: recomputes)
            let weights = pooled(model, model.trunk(batch, training: training, precision: precision), training)
            let factors = Tensor((0..<weights.elementCount).map { Float($0 % 11) - 3 }, shape: weights.shape)
            (weights * factors).sum().backward()
        }
        return model.parameters.compactMap { key, tensor in tensor.gradient.map { (key, $0) } }
    }

    @Test(arguments: Precision.allCases, [SpladePoolingRule(), SpladePoolingRule(isSum: true)])
    func gradientsAreThoseOfWholeLogits(precision: Precision, rule: SpladePoolingRule) throws {
        let expected = try Self.gradients(.full, recomputes: false) { model, hidden, _ in
            let logits = model.logits(hidden)
            let weights = (logits.relu() + 1).log()
            let ranges = (0..<Self.batch.sequenceCount).map(Self.batch.range(of:))
            guard rule.isSum else { return weights.max(ofRows: ranges) }
            return weights.sum(byGroups: Tensor(Self.batch.sequenceIndices), count: ranges.count)
        }
        func pooled(_ model: LanguageModel, _ hidden: Tensor, _ training: DropoutContext) -> Tensor {
            model.spladePooled(hidden, of: Self.batch, training: training, rule: rule)
        }
        let kept = try Self.gradients(precision, recomputes: false, pooled)
        #expect(kept.map(\.key) == expected.map(\.key) && kept.contains { $0.key == "decoder.bias" })
        for ((key, gradient), (_, other)) in zip(kept, expected) {
            #expect(gradient.dtype == .float32)
            let error = try (gradient - other).norm().scalar() / max(1e-3, other.norm().scalar())
            // Of roundings to bfloat16 some change which token has the maximum.
            #expect(error < (precision == .full ? 1e-4 : 0.25), "\(key): \(error)")
        }
        let recomputed = try Self.gradients(precision, recomputes: true, pooled)
        for ((key, one), (_, other)) in zip(kept, recomputed) { #expect(try one.isEqual(to: other), "\(key)") }
        // The gradient of the tied weight is added to where it lies.
        let twice = try Self.gradients(precision, recomputes: false, passes: 2, pooled)
        for ((key, one), (_, other)) in zip(kept, twice) {
            let error = try (one * 2 - other).norm().scalar() / max(1e-3, one.norm().scalar())
            #expect(error < 1e-5, "\(key): \(error)")
        }
    }
}
