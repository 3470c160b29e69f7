public import Torch

extension OptimizerSettings {
    /// λ of a parameter: none for those of one dimension and for biases, where the recipe says so.
    ///
    /// The embedding decays like every matrix.
    ///
    /// - Parameters:
    ///   - key: The parameter's key.
    ///   - rank: The number of its dimensions.
    /// - Returns: The weight decay.
    ///
    /// > Source: the suite's training code, `filter_bias_norm_wd`.
    public func weightDecay(of key: String, rank: Int) -> Double {
        filtersBiasAndNorm && (rank <= 1 || key.hasSuffix(".bias")) ? 0 : weightDecay
    }

    /// Makes the optimizer.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients, by key.
    ///   - referenceRate: η₀ of decoupled weight decay; the recipe's rate unless a run goes on that had another.
    /// - Returns: An optimizer without history.
    public func optimizer(
        for parameters: StateDictionary,
        referenceRate: Double? = nil
    ) -> any Optimizer {
        let tensors = parameters.map(\.tensor)
        let decays = parameters.map { weightDecay(of: $0.key, rank: $0.tensor.rank) }
        switch name {
        case .decoupledStableAdamW, .stableAdamW:
            return StableAdamW(
                tensors,
                weightDecays: decays,
                learningRate: learningRate,
                referenceRate: name == .stableAdamW ? nil : referenceRate ?? learningRate,
                betas: (beta1, beta2),
                epsilon: epsilon
            )
        case .decoupledAdamW, .adamW:
            return AdamW(
                tensors,
                weightDecays: decays,
                learningRate: learningRate,
                referenceRate: name == .adamW ? nil : referenceRate ?? learningRate,
                betas: (beta1, beta2),
                epsilon: epsilon
            )
        }
    }
}
