import CTorch

/// Adam with decoupled weight decay, as `torch.optim.AdamW`.
///
/// All tensors are updated in one pass each, in place. For a step `t` from 1 with gradient `g`: `p ← p (1 − η λ)`,
/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
/// `p ← p − η m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)`.
///
/// > Source: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2.
public final class AdamW {
    /// The parameters, leaves that require gradients.
    public let parameters: [Tensor]
    /// η of the next step.
    public var learningRate: Double
    /// β₁ and β₂.
    public let betas: (Double, Double)
    /// ε.
    public let epsilon: Double
    /// λ.
    public let weightDecay: Double
    /// The number of steps taken.
    public private(set) var stepCount = 0
    private let firstMoments: [Tensor]
    private let secondMoments: [Tensor]

    /// Creates an optimizer; defaults are those of torch.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients.
    ///   - learningRate: η.
    ///   - betas: The decay of both moments.
    ///   - epsilon: Added to the denominator.
    ///   - weightDecay: λ, multiplied by the learning rate.
    public init(
        _ parameters: [Tensor],
        learningRate: Double = 1e-3,
        betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8,
        weightDecay: Double = 1e-2
    ) {
        self.parameters = parameters
        self.learningRate = learningRate
        self.betas = betas
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        firstMoments = parameters.map { .zeros($0.shape, $0.dtype, on: $0.device) }
        secondMoments = parameters.map { .zeros($0.shape, $0.dtype, on: $0.device) }
    }

    /// Updates every parameter that has a gradient.
    public func step() {
        stepCount += 1
        var (values, gradients, first, second): ([Tensor], [Tensor], [Tensor], [Tensor]) = ([], [], [], [])
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            values.append(parameter)
            gradients.append(gradient)
            first.append(firstMoments[index])
            second.append(secondMoments[index])
        }
        withExtendedLifetime((values, gradients, first, second)) {
            let status = ct_optimizer_adamw(
                values.map(\.handle),
                gradients.map(\.handle),
                first.map(\.handle),
                second.map(\.handle),
                Int32(values.count),
                Int64(stepCount),
                CTAdamW(
                    learningRate: learningRate,
                    beta1: betas.0,
                    beta2: betas.1,
                    epsilon: epsilon,
                    weightDecay: weightDecay
                )
            )
            _ = succeeded(status, "AdamW.step", values)
        }
    }

    /// Forgets the gradients of all parameters.
    public func clearGradients() {
        for parameter in parameters { parameter.clearGradient() }
    }
}
