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
    /// The parameters, in groups with their rates and decay; a reference rate is η₀.
    public var groups: ParameterGroups
    /// β₁ and β₂.
    public let betas: (Double, Double)
    /// ε.
    public let epsilon: Double
    /// The state, which a resumed run needs.
    public let state: OptimizerState

    /// Creates an optimizer; defaults are the suite's.
    ///
    /// - Parameters:
    ///   - groups: The parameters.
    ///   - betas: The decay of both moments.
    ///   - epsilon: Added to the denominator.
    public init(_ groups: ParameterGroups, betas: (Double, Double) = (0.9, 0.98), epsilon: Double = 1e-6) {
        self.groups = groups
        self.betas = betas
        self.epsilon = epsilon
        state = OptimizerState(groups.parameters)
    }

    /// Updates every parameter that has a gradient.
    public func step() {
        for update in state.updates(groups) {
            let options = CTStableAdamW(
                learningRate: update.learningRate,
                referenceRate: update.referenceRate ?? 0,
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
                    update.weightDecays,
                    Int32(update.values.count),
                    Int64(state.stepCount),
                    options
                )
            }
            _ = succeeded(status, "StableAdamW.step", update.values)
        }
    }
}
