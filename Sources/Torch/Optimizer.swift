import CTorch

/// Updates parameters, in place, from their gradients, with running means of the gradients and of their squares.
public protocol Optimizer: AnyObject {
    /// The parameters, float32 leaves that require gradients.
    var parameters: [Tensor] { get }
    /// η of the next step.
    var learningRate: Double { get set }
    /// The state, which a run that goes on needs.
    var state: OptimizerState { get }

    /// Updates every parameter that has a gradient.
    func step()
}

/// What an optimizer of Adam's family remembers.
public final class OptimizerState {
    /// The number of steps taken.
    public private(set) var stepCount = 0
    /// The running means of the gradients, in the shapes of the parameters.
    public let firstMoments: [Tensor]
    /// The running means of their squares.
    public let secondMoments: [Tensor]

    init(_ parameters: [Tensor]) {
        firstMoments = parameters.map { .zeros($0.shape, $0.dtype, on: $0.device) }
        secondMoments = parameters.map { .zeros($0.shape, $0.dtype, on: $0.device) }
    }

    /// Takes the place of another run's state.
    ///
    /// - Parameters:
    ///   - stepCount: The number of steps it had taken.
    ///   - firstMoments: Its running means, one for each parameter.
    ///   - secondMoments: Those of the squares.
    public func restore(stepCount: Int, firstMoments: [Tensor], secondMoments: [Tensor]) {
        precondition(
            firstMoments.count == self.firstMoments.count && secondMoments.count == self.secondMoments.count,
            "moments of \(firstMoments.count) parameters for \(self.firstMoments.count)"
        )
        self.stepCount = stepCount
        for (own, given) in zip(self.firstMoments, firstMoments) { own.assign(given) }
        for (own, given) in zip(self.secondMoments, secondMoments) { own.assign(given) }
    }

    /// Parameters with gradients and their moments, for the steps of one update.
    struct Update {
        var indices: [Int] = []
        var values: [Tensor] = []
        var gradients: [Tensor] = []
        var first: [Tensor] = []
        var second: [Tensor] = []
    }

    /// Counts a step, and gathers the parameters that have a gradient.
    func update(_ parameters: [Tensor]) -> Update {
        stepCount += 1
        var result = Update()
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            result.indices.append(index)
            result.values.append(parameter)
            result.gradients.append(gradient)
            result.first.append(firstMoments[index])
            result.second.append(secondMoments[index])
        }
        return result
    }
}

extension Optimizer {
    /// Forgets the gradients of all parameters.
    public func clearGradients() {
        for parameter in parameters { parameter.clearGradient() }
    }

    /// The norms of all gradients as one vector.
    ///
    /// - Returns: The sum of magnitudes, and the Euclidean norm; not finite when any gradient is not.
    public func gradientNorms() -> (l1: Double, l2: Double) {
        let gradients = parameters.compactMap(\.gradient)
        var (euclidean, magnitudes) = (0.0, 0.0)
        let status = withExtendedLifetime(gradients) {
            ct_optimizer_gradient_norms(gradients.map(\.handle), Int32(gradients.count), &euclidean, &magnitudes)
        }
        _ = succeeded(status, "gradientNorms", gradients)
        return (magnitudes, euclidean)
    }

    /// Multiplies all gradients by a number.
    ///
    /// - Parameter factor: The number.
    public func scaleGradients(by factor: Double) {
        let gradients = parameters.compactMap(\.gradient)
        let status = withExtendedLifetime(gradients) {
            ct_optimizer_scale(gradients.map(\.handle), Int32(gradients.count), factor)
        }
        _ = succeeded(status, "scaleGradients", gradients)
    }
}

extension Tensor {
    /// Moves float32 tensors, in place, towards others of the same shapes: `average · decay + value · (1 − decay)`.
    ///
    /// - Parameters:
    ///   - averages: What moves; all copies of these values share the change.
    ///   - values: Where it moves.
    ///   - decay: How much of it stays.
    package static func average(_ averages: [Tensor], toward values: [Tensor], keeping decay: Double) {
        let status = withExtendedLifetime((averages, values)) {
            ct_optimizer_average(averages.map(\.handle), values.map(\.handle), Int32(averages.count), decay)
        }
        _ = succeeded(status, "average", averages)
    }
}
