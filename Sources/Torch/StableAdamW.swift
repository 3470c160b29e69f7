import CTorch

/// StableAdamW: AdamW whose learning rate is cut, for each tensor, where its gradients outgrow their running mean.
///
/// For a step `t` from 1 with gradient `g`, `β̂ᵢ = (βᵢᵗ − βᵢ) / (βᵢᵗ − 1)`: `m ← m + (1 − β̂₁)(g − m)`,
/// `v ← β̂₂ v + (1 − β̂₂) g²`, `η_t = η / max(1, √mean(g² / max(v, ε²)))`, `p ← p (1 − η_t λ)`, or
/// `p ← p (1 − η_t / η₀ λ)` with a reference rate `η₀`, then `p ← p − η_t m / (√v + ε)`. All in float32.
///
/// > Source: Wortsman et al., arXiv 2304.13013, section 3.5; torch-optimi 0.2.1, with whose optimizer the suite was
/// > trained.
public final class StableAdamW: Optimizer {
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
    /// η₀ where the weight decay does not depend on the learning rate's height, only on its course.
    public let referenceRate: Double?
    /// The state, which a run that goes on needs.
    public let state: OptimizerState

    /// Creates an optimizer; defaults are the suite's.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients.
    ///   - weightDecays: λ of each.
    ///   - learningRate: η.
    ///   - referenceRate: η₀ of fully decoupled decay, the highest rate of the schedule; nil to multiply λ by η.
    ///   - betas: The decay of both moments.
    ///   - epsilon: Added to the denominator.
    public init(
        _ parameters: [Tensor],
        weightDecays: [Double],
        learningRate: Double,
        referenceRate: Double?,
        betas: (Double, Double) = (0.9, 0.98),
        epsilon: Double = 1e-6
    ) {
        precondition(parameters.count == weightDecays.count, "one weight decay for each parameter")
        precondition(referenceRate.map { $0 > 0 } ?? true, "a reference rate of \(referenceRate ?? 0)")
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
        let options = CTStableAdamW(
            learningRate: learningRate,
            referenceRate: referenceRate ?? 0,
            beta1: betas.0,
            beta2: betas.1,
            epsilon: epsilon
        )
        let status = withExtendedLifetime(update) {
            ct_optimizer_stable_adamw(
                update.values.map(\.handle),
                update.gradients.map(\.handle),
                update.first.map(\.handle),
                update.second.map(\.handle),
                update.indices.map { weightDecays[$0] },
                Int32(update.values.count),
                Int64(state.stepCount),
                options
            )
        }
        _ = succeeded(status, "StableAdamW.step", update.values)
    }
}
