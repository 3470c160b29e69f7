import CTorch

/// Adam with decoupled weight decay, as `torch.optim.AdamW`.
///
/// All tensors are updated in one pass each, in place. For a step `t` from 1 with gradient `g`: `p ← p (1 − η λ)`,
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
/// `p ← p − η m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)`.
///
/// > Source: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2.
public final class AdamW: Optimizer {
    /// The parameters, in groups with their rates and decay.
    public var groups: ParameterGroups
    /// β₁ and β₂.
    public let betas: (Double, Double)
    /// ε.
    public let epsilon: Double
    /// The state, which a resumed run needs.
    public let state: OptimizerState

    /// Creates an optimizer of one group; defaults are those of torch.
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
        let decays = parameters.map { _ in weightDecay }
        self.init(
            ParameterGroups(parameters, weightDecays: decays, learningRate: learningRate),
            betas: betas,
            epsilon: epsilon
        )
    }

    /// Creates an optimizer; defaults are those of torch.
    ///
    /// Groups with a reference rate make it Composer's `DecoupledAdamW`.
    ///
    /// - Parameters:
    ///   - groups: The parameters.
    ///   - betas: The decay of both moments.
    ///   - epsilon: Added to the denominator.
    public init(_ groups: ParameterGroups, betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8) {
        self.groups = groups
        self.betas = betas
        self.epsilon = epsilon
        state = OptimizerState(groups.parameters)
    }

    /// Updates every parameter that has a gradient.
    public func step() {
        for update in state.updates(groups) {
            // libtorch takes one weight decay for a list of tensors.
            for decay in Set(update.weightDecays) {
                let places = update.values.indices.filter { update.weightDecays[$0] == decay }
                let options = CTAdamW(
                    learningRate: update.learningRate,
                    beta1: betas.0,
                    beta2: betas.1,
                    epsilon: epsilon,
                    weightDecay: update.referenceRate.map { decay / $0 } ?? decay
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
}
