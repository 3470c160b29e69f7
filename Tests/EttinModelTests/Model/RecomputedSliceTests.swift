import Testing
import Torch

@testable import EttinModel

/// Passes that are slices of a step, whose MLPs are computed part by part where activations are recomputed.
@Suite struct RecomputedSliceTests {
    @Test func partsOfAnMLPDropWhatTheWholeDropsAndAddUp() throws {
        var configuration = LanguageModelLossTests.model(.encoder).configuration
        configuration.mlpDropout = 0.2
        // Three parts, the last one short.
        let batch = PackedBatch((0..<30).map { text in (0..<80).map { Int32(($0 * 7 + text) % 40) } })
        func gradients(recomputes: Bool) throws -> [(key: String, gradient: Tensor)] {
            let model = LanguageModel(configuration)
            model.initialize(.fullMegatron, seed: 4)
            model.setRequiresGradient(true)
            var pass = DropoutContext(seed: 3, step: 2, precedingTokens: 5, recomputesActivations: recomputes)
            pass.isSlice = true
            let hidden = model.trunk(batch, training: pass)
            (hidden * hidden.detached().absolute()).sum().backward()
            return model.parameters.compactMap { key, tensor in tensor.gradient.map { (key, $0) } }
        }
        let (kept, parts) = (try gradients(recomputes: false), try gradients(recomputes: true))
        #expect(kept.map(\.key) == parts.map(\.key) && kept.contains { $0.key.hasSuffix("mlp.Wi.weight") })
        for ((key, one), (_, other)) in zip(kept, parts) {
            let error = try (one - other).norm().scalar() / one.norm().scalar()
            #expect(error < 1e-5, "\(key): \(error)")
        }
    }
}
