import CTorch

/// Updates parameters, in place, from their gradients, with running means of the gradients and of their squares.
public protocol Optimizer: AnyObject {
    /// The parameters, in groups with their rates and decay.
    var groups: ParameterGroups { get set }
    /// β₁ and β₂.
    var betas: (Double, Double) { get }
    /// ε.
    var epsilon: Double { get }
    /// The state, which a resumed run needs; in the order of the parameters.
    var state: OptimizerState { get }

    /// Updates every parameter that has a gradient.
    func step()
}

/// The state of an optimizer of the Adam family.
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

    /// Replaces the state by that of a resumed run.
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

    /// Counts a step.
    ///
    /// - Parameter groups: The parameters, in the order of the moments.
    /// - Returns: The parameters that have a gradient, with their moments, in their order; those of different rates
    ///   apart, as one call of the library has one rate.
    func updates(_ groups: ParameterGroups) -> [Update] {
        stepCount += 1
        var updates: [Update] = []
        for (index, parameter) in groups.parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            let group = groups.groups[groups.membership[index]]
            let known = updates.firstIndex {
                $0.learningRate == group.learningRate && $0.referenceRate == group.referenceRate
            }
            if known == nil {
                updates.append(Update(learningRate: group.learningRate, referenceRate: group.referenceRate))
            }
            let place = known ?? updates.count - 1
            updates[place].values.append(parameter)
            updates[place].gradients.append(gradient)
            updates[place].first.append(firstMoments[index])
            updates[place].second.append(secondMoments[index])
            updates[place].weightDecays.append(group.weightDecay)
        }
        return updates
    }

    /// Parameters of one rate that have gradients, with what an update of them needs.
    struct Update {
        let learningRate: Double
        let referenceRate: Double?
        var values: [Tensor] = []
        var gradients: [Tensor] = []
        var first: [Tensor] = []
        var second: [Tensor] = []
        var weightDecays: [Double] = []
    }
}

extension Optimizer {
    /// The parameters, float32 leaves that require gradients.
    public var parameters: [Tensor] { groups.parameters }

    /// η of the next step; that of each group is this times its factor.
    public var learningRate: Double {
        get { groups.learningRate }
        set { groups.learningRate = newValue }
    }

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
