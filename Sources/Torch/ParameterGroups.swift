/// Parameters that share a learning rate and a weight decay.
public struct ParameterGroup: Hashable, Sendable {
    /// The group's learning rate relative to that of the optimizer.
    public let rateFactor: Double
    /// λ.
    public let weightDecay: Double
    /// η₀ where the weight decay is `η / η₀ · λ`, which follows the course of the rate and not its height; nil for `η λ`.
    public let referenceRate: Double?
    /// η of the next step.
    public fileprivate(set) var learningRate: Double

    /// Describes a group.
    ///
    /// - Parameters:
    ///   - learningRate: η of the whole; that of the group is `rateFactor` times it.
    ///   - rateFactor: What the learning rate is multiplied by for this group, above 0; parameters that are not to be
    ///     trained do not require gradients.
    ///   - weightDecay: λ.
    ///   - referenceRate: η₀ of the whole; that of the group is `rateFactor` times it. Nil where λ is multiplied by η.
    public init(learningRate: Double, rateFactor: Double = 1, weightDecay: Double, referenceRate: Double? = nil) {
        requireUsage(rateFactor > 0, "a group with \(rateFactor) times the learning rate")
        requireUsage(referenceRate.map { $0 > 0 } ?? true, "a reference rate of \(referenceRate ?? 0)")
        self.rateFactor = rateFactor
        self.weightDecay = weightDecay
        self.referenceRate = referenceRate.map { $0 * rateFactor }
        self.learningRate = learningRate * rateFactor
    }
}

/// What an optimizer updates: parameters in the order of the model, each a member of a group.
///
/// Groups do not change the order of parameters, on which the files of a checkpoint and the sums of norms depend.
public struct ParameterGroups {
    /// The parameters, float32 leaves that require gradients.
    public let parameters: [Tensor]
    /// The groups.
    public private(set) var groups: [ParameterGroup]
    /// The number of the group of each parameter.
    public let membership: [Int]

    /// The learning rate of the next step; each group's is this times its `rateFactor`.
    public var learningRate: Double {
        didSet {
            for index in groups.indices { groups[index].learningRate = learningRate * groups[index].rateFactor }
        }
    }

    /// Puts parameters into groups.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients.
    ///   - groups: The groups, some of which may be empty.
    ///   - membership: The number of the group of each parameter.
    ///   - learningRate: η before the factors of the groups.
    public init(_ parameters: [Tensor], groups: [ParameterGroup], membership: [Int], learningRate: Double) {
        precondition(parameters.count == membership.count, "one group for each parameter")
        precondition(membership.allSatisfy(groups.indices.contains), "a group that is not there")
        self.parameters = parameters
        self.groups = groups
        self.membership = membership
        self.learningRate = learningRate
    }

    /// Puts parameters that differ in their weight decay alone into groups.
    ///
    /// - Parameters:
    ///   - parameters: float32 leaves that require gradients.
    ///   - weightDecays: λ of each.
    ///   - learningRate: η.
    ///   - referenceRate: η₀ where the weight decay is `η / η₀ · λ`; nil for `η λ`.
    public init(_ parameters: [Tensor], weightDecays: [Double], learningRate: Double, referenceRate: Double? = nil) {
        precondition(parameters.count == weightDecays.count, "one weight decay for each parameter")
        let decays = Set(weightDecays).sorted()
        self.init(
            parameters,
            groups: decays.map {
                ParameterGroup(learningRate: learningRate, weightDecay: $0, referenceRate: referenceRate)
            },
            membership: weightDecays.map { decays.firstIndex(of: $0) ?? 0 },
            learningRate: learningRate
        )
    }
}
