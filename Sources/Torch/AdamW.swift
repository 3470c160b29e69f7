import CTorch

/// Adam with decoupled weight decay, as `torch.optim.AdamW`.
///
/// All tensors are updated in one pass each, in place. For a step `t` from 1 with gradient `g`: `p ← p (1 − η λ)`,
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
/// `p ← p − η m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)`.
///
/// > Source: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2.
public final class AdamW: Optimizer {
    /// The parameters, leaves that require gradients.
    public let parameters: [Tensor]
    /// η of the next step.
    public var learningRate: Double
    /// β₁ and β₂.
    public let betas: (Double, Double)
    /// ε.
    public let epsilon: Double
    /// λ of each parameter.
    public let weightDecays: [Double]
    /// Where given, the weight decay is `η / reference · λ` instead of `η λ`.
    public let referenceRate: Double?
    /// The state, which a run that goes on needs.
    public let state: OptimizerState

    /// Creates an optimizer; defaults are those of torch.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients.
    ///   - learningRate: η.
    ///   - betas: The decay of both moments.
    ///   - epsilon: Added to the denominator.
    ///   - weightDecay: λ, multiplied by the learning rate.
    public convenience init(
        _ parameters: [Tensor],
        learningRate: Double = 1e-3,
        betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8,
        weightDecay: Double = 1e-2
    ) {
        self.init(
            parameters,
            weightDecays: parameters.map { _ in weightDecay },
            learningRate: learningRate,
            referenceRate: nil,
            betas: betas,
            epsilon: epsilon
        )
    }

    /// Creates an optimizer with a weight decay for each parameter.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients.
    ///   - weightDecays: λ of each.
    ///   - learningRate: η.
    ///   - referenceRate: Where given, the weight decay is `η / referenceRate · λ`: Composer's `DecoupledAdamW`.
    ///   - betas: The decay of both moments.
    ///   - epsilon: Added to the denominator.
    public init(
        _ parameters: [Tensor],
        weightDecays: [Double],
        learningRate: Double,
        referenceRate: Double?,
        betas: (Double, Double),
        epsilon: Double
    ) {
        precondition(parameters.count == weightDecays.count, "one weight decay for each parameter")
        self.parameters = parameters
        self.weightDecays = weightDecays
        self.learningRate = learningRate
        self.referenceRate = referenceRate
        self.betas = betas
        self.epsilon = epsilon
        state = OptimizerState(parameters)
    }

    /// Updates every parameter that has a gradient.
    public func step() {
        let update = state.update(parameters)
        // libtorch takes one weight decay for a list of tensors.
        for decay in Set(update.indices.map { weightDecays[$0] }) {
            let places = update.indices.indices.filter { weightDecays[update.indices[$0]] == decay }
            let options = CTAdamW(
                learningRate: learningRate,
                beta1: betas.0,
                beta2: betas.1,
                epsilon: epsilon,
                weightDecay: referenceRate.map { decay / $0 } ?? decay
            )
            let status = withExtendedLifetime(update) {
                ct_optimizer_adamw(
                    places.map { update.values[$0].handle },
                    places.map { update.gradients[$0].handle },
                    places.map { update.first[$0].handle },
                    places.map { update.second[$0].handle },
                    Int32(places.count),
                    Int64(state.stepCount),
                    options
                )
            }
            _ = succeeded(status, "AdamW.step", update.values)
        }
    }
}
