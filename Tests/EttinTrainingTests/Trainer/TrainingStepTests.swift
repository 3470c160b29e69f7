import EttinTraining
import Testing
import Torch

@Suite("A step of training")
struct TrainingStepTests {
    private let weight = Tensor([1, -2] as [Float])
    private let optimizer: AdamW

    init() {
        weight.setRequiresGradient(true)
        optimizer = AdamW([weight], learningRate: 0.1, weightDecay: 0)
    }

    private var values: [Float] { get throws { try weight.detached().array(of: Float.self) } }

    private struct Refusal: Error {}

    @Test("Losses of microbatches add up, gradients are clipped, norms are those before")
    func step() throws {
        let step = TrainingStep(optimizer: optimizer, clippingNorm: 0.5)
        let result = try step.run(microbatches: 2, learningRate: 0.25) { index in
            (weight * Tensor([3, Float(4 * index)])).sum()
        }
        // The gradient is (6, 4).
        #expect(result.loss == 6 - 8)
        #expect(abs(result.gradientNorm1 - 10) < 1e-6 && abs(result.gradientNorm2 - 52.0.squareRoot()) < 1e-6)
        // Adam's first step is the rate against the sign, whatever the length of the gradient.
        let moved = try values
        #expect(abs(moved[0] - 0.75) < 1e-4 && abs(moved[1] + 2.25) < 1e-4)
        let moment = try optimizer.state.firstMoments[0].array(of: Float.self)
        let scale = Float(0.1 * 0.5 / 52.0.squareRoot())
        #expect(abs(moment[0] - 6 * scale) < 1e-6 && abs(moment[1] - 4 * scale) < 1e-6)
        #expect(optimizer.state.stepCount == 1 && weight.gradient == nil)
    }

    @Test("Nothing changes when a step fails", arguments: ["loss", "gradient", "thrown", "memory", "reduction"])
    func failure(kind: String) throws {
        let step = TrainingStep(
            optimizer: optimizer,
            reduction: kind == "reduction" ? { _, _ in throw Refusal() } : nil
        )
        let error = #expect(throws: (any Error).self) {
            try step.run(microbatches: 2, learningRate: 0.25) { index in
                switch (kind, index) {
                case ("loss", 1): return weight.sum() * Double.nan
                // The slope of the root at 0 is infinite, its value is not.
                case ("gradient", 1): return (weight * 0).sum().squareRoot()
                case ("thrown", 1): throw Refusal()
                // What is skipped after this fails nowhere else.
                case ("memory", 1): return weight.sum() + Tensor.zeros([1 << 50]).sum()
                default: return weight.sum()
                }
            }
        }
        #expect((error as? TrainingError)?.kind == (kind == "loss" || kind == "gradient" ? .diverged : nil))
        #expect((error as? TorchError)?.kind == (kind == "memory" ? .outOfMemory : nil))
        #expect(try values == [1, -2])
        #expect(optimizer.state.stepCount == 0 && weight.gradient == nil)
        #expect(try optimizer.state.firstMoments[0].array(of: Float.self) == [0, 0])
        #expect(optimizer.learningRate == 0.1)
        // The next step is as if there had been no failure.
        _ = try TrainingStep(optimizer: optimizer).run(microbatches: 1, learningRate: 0.25) { _ in weight.sum() }
        #expect(optimizer.state.stepCount == 1)
    }

    @Test("What ranks add up takes the place of a rank's own gradients and loss")
    func reduction() throws {
        var seen: [Double] = []
        let step = TrainingStep(optimizer: optimizer) { loss, parameters in
            seen.append(loss)
            // Another rank found the same.
            for parameter in parameters {
                guard let gradient = parameter.gradient else { continue }
                gradient.assign(gradient * 2)
            }
            return loss * 2
        }
        let result = try step.run(microbatches: 2, learningRate: 0.1) { _ in
            (weight * Tensor([1, 2] as [Float])).sum()
        }
        #expect(seen == [-6] && result.loss == -12)
        #expect(abs(result.gradientNorm1 - 12) < 1e-6)
    }

    @Test("Groups have their own rates and decay")
    func groups() throws {
        let other = Tensor([1, 1] as [Float])
        other.setRequiresGradient(true)
        for settings in [
            OptimizerSettings(name: .adamW, learningRate: 0.1, weightDecay: 0.5),
            OptimizerSettings(name: .stableAdamW, learningRate: 0.1, weightDecay: 0.5),
        ] {
            weight.detached().assign(Tensor([1, -2] as [Float]))
            other.detached().assign(Tensor([1, 1] as [Float]))
            let optimizer = settings.optimizer(
                for: [("a", weight), ("b", other)],
                groups: [settings.group(weightDecay: 0), settings.group(rateFactor: 0.1)],
                membership: [0, 1]
            )
            let step = TrainingStep(optimizer: optimizer)
            _ = try step.run(microbatches: 1, learningRate: 0.2) { _ in weight.sum() + other.sum() }
            #expect(optimizer.groups.groups.map(\.learningRate) == [0.2, 0.2 * 0.1])
            let (first, second) = (try values, try other.detached().array(of: Float.self))
            #expect(abs(first[0] - 0.8) < 1e-4 && abs(first[1] + 2.2) < 1e-4)
            // Decay first, then the step: 1 − 0.02 · 0.5 − 0.02.
            #expect(second.allSatisfy { abs($0 - 0.97) < 1e-4 })
        }
    }
}
