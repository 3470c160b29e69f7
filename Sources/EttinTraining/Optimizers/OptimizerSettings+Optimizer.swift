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
    package func weightDecay(of key: String, rank: Int) -> Double {
        filtersBiasAndNorm && (rank <= 1 || key.hasSuffix(".bias")) ? 0 : weightDecay
    }

    /// Makes the optimizer, with the parameters in two groups: those that decay, and those that do not.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients, by key.
    ///   - referenceRate: η₀ of decoupled weight decay; the recipe's rate unless a run is resumed that had another.
    /// - Returns: An optimizer without history.
    public func optimizer(
        for parameters: StateDictionary,
        referenceRate: Double? = nil
    ) -> any Optimizer {
        let groups = [weightDecay, 0].map { group(weightDecay: $0, referenceRate: referenceRate) }
        return optimizer(
            for: parameters,
            groups: groups,
            membership: parameters.map { weightDecay(of: $0.key, rank: $0.tensor.rank) == weightDecay ? 0 : 1 }
        )
    }

    /// Makes the optimizer with groups of the caller's choice.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients, by key.
    ///   - groups: The groups; see ``group(rateFactor:weightDecay:referenceRate:)``.
    ///   - membership: The number of the group of each parameter.
    /// - Returns: An optimizer without history.
    public func optimizer(
        for parameters: StateDictionary,
        groups: [ParameterGroup],
        membership: [Int]
    ) -> any Optimizer {
        let groups = ParameterGroups(
            parameters.map(\.tensor),
            groups: groups,
            membership: membership,
            learningRate: learningRate
        )
        switch name {
        case .decoupledStableAdamW, .stableAdamW:
            return StableAdamW(groups, betas: (beta1, beta2), epsilon: epsilon)
        case .decoupledAdamW, .adamW:
            return AdamW(groups, betas: (beta1, beta2), epsilon: epsilon)
        }
    }

    /// Makes a group of this optimizer's kind.
    ///
    /// - Parameters:
    ///   - rateFactor: What the learning rate is multiplied by for this group.
    ///   - weightDecay: λ of the group; nil for that of the settings.
    ///   - referenceRate: η₀ of decoupled weight decay; nil for the learning rate of the settings.
    /// - Returns: The group.
    public func group(
        rateFactor: Double = 1,
        weightDecay: Double? = nil,
        referenceRate: Double? = nil
    ) -> ParameterGroup {
        ParameterGroup(
            learningRate: learningRate,
            rateFactor: rateFactor,
            weightDecay: weightDecay ?? self.weightDecay,
            referenceRate: name.isDecoupled ? referenceRate ?? learningRate : nil
        )
    }
}
