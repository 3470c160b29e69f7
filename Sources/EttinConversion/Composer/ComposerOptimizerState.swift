import EttinModel
package import Torch

/// The state of an optimizer in a raw training checkpoint, under our names of the parameters.
///
/// Composer stores it by the parameters' names, or in older versions by their numbers, which follow the groups: first
/// the parameters without weight decay (of one dimension, or biases), then all others, each in the order of the model.
package struct ComposerOptimizerState {
    /// Parameters with settings of their own.
    package struct Group: Hashable, Sendable {
        /// The parameters.
        package let keys: [String]
        /// The learning rate of the last step; `lr`.
        package let learningRate: Double
        /// The rate that schedules multiply; `initial_lr`.
        package let initialLearningRate: Double?
        /// The rate to which decoupled weight decay is relative; `max_lr`.
        package let maximumLearningRate: Double?
        /// λ; `weight_decay`.
        package let weightDecay: Double
        /// β₁ and β₂; `beta1` and `beta2`, or `betas`.
        package let betas: [Double]
        /// ε; `eps`.
        package let epsilon: Double
    }

    /// What the optimizer keeps for one parameter.
    package struct Moments {
        /// The parameter.
        package let key: String
        /// The number of steps taken.
        package let step: Int
        /// The mean of gradients; `exp_avg`.
        package let first: Tensor
        /// The mean of squared gradients; `exp_avg_sq`.
        package let second: Tensor
    }

    /// The class, such as `StableAdamW`.
    package let name: String
    /// The groups, those without weight decay first.
    package let groups: [Group]
    /// The moments in the order of the groups.
    package let moments: [Moments]

    /// Reads the first optimizer of a training state; nil when it has none.
    init?(_ values: ComposerValues, _ weights: ComposerWeights) throws {
        guard let optimizers = values.state["optimizers"], let entry = optimizers.entries?.first else { return nil }
        name = entry.key.string ?? "optimizer"
        let place = "state.optimizers.\(name)"
        let stored = try values.required("param_groups", of: entry.value, place)
        guard let storedGroups = stored.elements else {
            throw values.problem("\(place).param_groups", "is \(stored.kind)", "a list")
        }
        let expected = Self.groups(of: weights, count: storedGroups.count)
        var groups: [Group] = []
        var numbers: [Int: String] = [:]
        for (index, group) in storedGroups.enumerated() {
            let place = "\(place).param_groups[\(index)]"
            let keys = try Self.keys(of: group, expected: expected[index], numbers: &numbers, values, place)
            groups.append(try Self.group(group, keys: keys, values, place))
        }
        self.groups = groups
        let table = try Self.table(entry.value, numbers, values, place)
        let shapes = [String: [Int]](weights.tensors.map { ($0.key, $0.tensor.shape) }, uniquingKeysWith: { $1 })
        moments = try zip(groups, storedGroups).flatMap { group, storedGroup in
            try group.keys.map { key in
                guard let entry = table[key] else {
                    throw values.problem("\(place).state", "lacks \(key)", "its moments")
                }
                let place = "\(place).state of \(key)"
                let step = try entry["step"] ?? values.required("step", of: storedGroup, place)
                return Moments(
                    key: key,
                    step: try values.count(step, "\(place): step"),
                    first: try Self.moment("exp_avg", of: entry, shape: shapes[key], values, place),
                    second: try Self.moment("exp_avg_sq", of: entry, shape: shapes[key], values, place)
                )
            }
        }
    }

    // MARK: - Parameters

    /// The parameters of each group in the order in which they are numbered.
    private static func groups(of weights: ComposerWeights, count: Int) -> [[String]] {
        guard count == 2 else { return [weights.tensors.map(\.key)] + Array(repeating: [], count: max(0, count - 1)) }
        let isExempt = { (key: String, tensor: PickledTensor) in tensor.shape.count <= 1 || key.hasSuffix(".bias") }
        return [weights.tensors.filter(isExempt).map(\.key), weights.tensors.filter { !isExempt($0, $1) }.map(\.key)]
    }

    private static func keys(
        of group: PickledValue,
        expected: [String],
        numbers: inout [Int: String],
        _ values: ComposerValues,
        _ place: String
    ) throws -> [String] {
        let parameters = try values.required("params", of: group, place)
        guard let items = parameters.elements else {
            throw values.problem("\(place).params", "is \(parameters.kind)", "a list")
        }
        if items.allSatisfy({ $0.string != nil }), !items.isEmpty {
            return try items.map { item in
                let name = item.string ?? ""
                guard let key = ComposerWeights.key(of: name) else {
                    throw values.problem("\(place).params", "names \(name)", "weights of the model")
                }
                return key
            }
        }
        guard items.count == expected.count else {
            throw values.problem(
                "\(place).params",
                "has \(items.count) parameters",
                "\(expected.count): those of the model that belong to the group"
            )
        }
        for (item, key) in zip(items, expected) { numbers[try values.integer(item, "\(place).params")] = key }
        return expected
    }

    private static func table(
        _ optimizer: PickledValue,
        _ numbers: [Int: String],
        _ values: ComposerValues,
        _ place: String
    ) throws -> [String: PickledValue] {
        let state = try values.required("state", of: optimizer, place)
        var table: [String: PickledValue] = [:]
        for entry in state.entries ?? [] {
            let key = entry.key.integer.flatMap { numbers[$0] } ?? entry.key.string.flatMap(ComposerWeights.key)
            guard let key else {
                throw values.problem("\(place).state", "is of a parameter that no group has", "those of the groups")
            }
            table[key] = entry.value
        }
        return table
    }

    // MARK: - Values

    private static func group(
        _ group: PickledValue,
        keys: [String],
        _ values: ComposerValues,
        _ place: String
    ) throws -> Group {
        func number(_ key: String) throws -> Double {
            try values.number(values.required(key, of: group, place), "\(place).\(key)")
        }
        func optional(_ key: String) throws -> Double? {
            guard let value = group[key], value != .none else { return nil }
            return try values.number(value, "\(place).\(key)")
        }
        return Group(
            keys: keys,
            learningRate: try number("lr"),
            initialLearningRate: try optional("initial_lr"),
            maximumLearningRate: try optional("max_lr"),
            weightDecay: try number("weight_decay"),
            betas: try betas(of: group, values, place),
            epsilon: try number("eps")
        )
    }

    /// β₁ and β₂, which torch keeps together and torch-optimi apart.
    private static func betas(of group: PickledValue, _ values: ComposerValues, _ place: String) throws -> [Double] {
        if let first = group["beta1"], let second = group["beta2"] {
            return [try values.number(first, "\(place).beta1"), try values.number(second, "\(place).beta2")]
        }
        let betas = try values.required("betas", of: group, place)
        guard let items = betas.elements, items.count == 2 else {
            throw values.problem("\(place).betas", "is \(betas.kind)", "two numbers")
        }
        return try items.map { try values.number($0, "\(place).betas") }
    }

    private static func moment(
        _ name: String,
        of entry: PickledValue,
        shape: [Int]?,
        _ values: ComposerValues,
        _ place: String
    ) throws -> Tensor {
        let value = try values.required(name, of: entry, place)
        guard case .tensor(let tensor) = value else {
            throw values.problem("\(place): \(name)", "is \(value.kind)", "a tensor")
        }
        guard let shape, tensor.shape == shape else {
            let expected = shape.map { "\($0), that of the weight" } ?? "a weight of the model"
            throw values.problem("\(place): \(name)", "has shape \(tensor.shape)", expected)
        }
        return try values.archive.tensor(tensor)
    }
}
