/// The optimizer and its hyperparameters; `optimizer` in a recipe.
public struct OptimizerSettings: Hashable, Sendable {
    /// The optimizers, by their names in recipes.
    public enum Name: String, Hashable, Sendable, CaseIterable {
        /// StableAdamW whose weight decay does not scale with the peak learning rate; what the suite was trained with.
        case decoupledStableAdamW = "decoupled_stableadamw"
        /// StableAdamW with weight decay times learning rate.
        case stableAdamW = "stableadamw"
        /// AdamW whose weight decay does not scale with the peak learning rate.
        case decoupledAdamW = "decoupled_adamw"
        /// AdamW with weight decay times learning rate.
        case adamW = "adamw"

        /// Whether weight decay follows the course of the learning rate and not its height.
        package var isDecoupled: Bool { self == .decoupledStableAdamW || self == .decoupledAdamW }

        /// The name under which the rate is logged, `lr-…/group0`.
        package var loggedName: String {
            switch self {
            case .decoupledStableAdamW, .stableAdamW: "StableAdamW"
            case .decoupledAdamW: "DecoupledAdamW"
            case .adamW: "AdamW"
            }
        }
    }

    /// The optimizer; `name`.
    public var name: Name
    /// The peak learning rate; `lr`.
    public var learningRate: Double
    /// The decay of the mean gradient; the first of `betas`.
    public var beta1: Double
    /// The decay of the mean squared gradient; the second of `betas`.
    public var beta2: Double
    /// Added to the root of the mean squared gradient; `eps`.
    public var epsilon: Double
    /// The share of a weight that a step at the peak rate takes away; `weight_decay`.
    public var weightDecay: Double
    /// Whether biases and norms keep their weight; `filter_bias_norm_wd`.
    public var filtersBiasAndNorm: Bool
    /// Whether norms of the gradient are recorded; `log_grad_norm`.
    public var logsGradientNorm: Bool

    /// Creates settings, by default those the suite was trained with.
    ///
    /// - Parameters:
    ///   - name: Which optimizer.
    ///   - learningRate: The peak learning rate.
    ///   - beta1: The decay of the mean gradient.
    ///   - beta2: The decay of the mean squared gradient.
    ///   - epsilon: Added to the root of the mean squared gradient.
    ///   - weightDecay: The share of a weight that a step at the peak rate takes away.
    ///   - filtersBiasAndNorm: Whether biases and norms keep their weight.
    ///   - logsGradientNorm: Whether norms of the gradient are recorded.
    public init(
        name: Name = .decoupledStableAdamW,
        learningRate: Double = 3e-3,
        beta1: Double = 0.9,
        beta2: Double = 0.98,
        epsilon: Double = 1e-6,
        weightDecay: Double = 3e-4,
        filtersBiasAndNorm: Bool = true,
        logsGradientNorm: Bool = true
    ) {
        self.name = name
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.filtersBiasAndNorm = filtersBiasAndNorm
        self.logsGradientNorm = logsGradientNorm
    }

    /// Checks that the numbers make an optimizer.
    ///
    /// - Parameter key: The key of the optimizer in the recipe, for messages.
    /// - Throws: `TrainingError` naming the key that is wrong.
    package func check(key: String = "optimizer") throws {
        func check(_ name: String, _ value: Double, _ expected: String, _ isAllowed: (Double) -> Bool) throws {
            guard value.isFinite, isAllowed(value) else {
                throw TrainingError(.invalidOption, "\(key).\(name)", found: "is \(value)", expected: expected)
            }
        }
        try check("lr", learningRate, "a number above 0") { $0 > 0 }
        try check("betas[0]", beta1, "from 0 to below 1") { 0 <= $0 && $0 < 1 }
        try check("betas[1]", beta2, "from 0 to below 1") { 0 <= $0 && $0 < 1 }
        try check("eps", epsilon, "a number above 0") { $0 > 0 }
        try check("weight_decay", weightDecay, "a number of 0 or more") { $0 >= 0 }
    }
}
