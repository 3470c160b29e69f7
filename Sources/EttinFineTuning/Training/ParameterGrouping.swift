import EttinFiles
import EttinTraining
import Torch

/// The groups of a model's parameters: those that decay, those that do not, and those with rates of their own.
///
/// Biases and the weights of norms do not decay, but with Composer's decoupled AdamW, which makes no difference between
/// parameters. A parameter that several patterns match has the rate of the last one.
///
/// > Source: transformers 5.23, `Trainer.get_decay_parameter_names`; sentence-transformers 6.2,
/// > `BaseTrainer.get_optimizer_cls_and_kwargs`.
struct ParameterGrouping {
    /// Rate and decay of each group.
    private let kinds: [(rate: Double?, decays: Bool)]
    /// The number of the group of each parameter, by its key.
    private let membership: [String: Int]

    /// Groups the parameters of a model.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - rules: The rates by name; a parameter's name is the one it has in sentence-transformers, such as
    ///     `model.0.model.layers.0.attn.Wqkv.weight`.
    /// - Throws: `TrainingError` for a pattern that is not a regular expression, or that matches no name.
    init(_ model: Module, _ rules: [TrainingArguments.RateRule]) throws {
        let norms = model.modules().filter { $0.module is LayerNorm }.map { $0.key + "." }
        let keys = model.trainedParameters.map(\.key)
        var kinds: [(rate: Double?, decays: Bool)] = [(nil, true), (nil, false)]
        var membership: [String: Int] = [:]
        for key in keys {
            membership[key] = norms.contains { key.hasPrefix($0) } || Self.isNormOrBias(key) ? 1 : 0
        }
        for rule in rules {
            let expression: Regex<AnyRegexOutput>
            do {
                expression = try Regex(rule.pattern)
            } catch {
                throw TrainingError(
                    .invalidOption,
                    "learning_rate_mapping",
                    found: "has \(quoted(rule.pattern)), which is not a regular expression",
                    expected: "a pattern of parameter names"
                )
            }
            let matches = keys.filter { Self.originalNames(of: $0).contains { $0.firstMatch(of: expression) != nil } }
            guard !matches.isEmpty else {
                throw TrainingError(
                    .invalidOption,
                    "learning_rate_mapping",
                    found: "has \(quoted(rule.pattern)), which no parameter matches",
                    expected: "a part of names such as \(keys.first.map { Self.originalNames(of: $0)[0] } ?? "")"
                )
            }
            for key in matches { membership[key] = kinds.count + (kinds[membership[key] ?? 0].decays ? 0 : 1) }
            kinds += [(rule.rate, true), (rule.rate, false)]
        }
        self.kinds = kinds
        self.membership = membership
    }

    /// Makes the optimizer.
    ///
    /// - Parameters:
    ///   - parameters: The parameters that are trained.
    ///   - settings: The optimizer of the run.
    /// - Returns: An optimizer without history.
    func optimizer(for parameters: StateDictionary, _ settings: OptimizerSettings) -> any Optimizer {
        settings.optimizer(
            for: parameters,
            groups: kinds.map { kind in
                settings.group(
                    rateFactor: kind.rate.map { $0 / settings.learningRate } ?? 1,
                    weightDecay: kind.decays || settings.name.isDecoupled ? settings.weightDecay : 0
                )
            },
            membership: parameters.map { membership[$0.key] ?? 0 }
        )
    }

    /// The names of the parameters that decay.
    var decayed: Set<String> { Set(membership.filter { kinds[$0.value].decays }.keys) }

    private static func isNormOrBias(_ key: String) -> Bool {
        let name = key.lowercased()
        if ["bias", "layernorm", "rmsnorm"].contains(where: name.contains) { return true }
        return name.split(separator: ".").contains { $0 == "norm" || $0.hasSuffix("_norm") }
    }

    /// The names that a parameter has in sentence-transformers, where the transformer is one module deeper.
    private static func originalNames(of key: String) -> [String] {
        guard let dot = key.firstIndex(of: ".") else { return ["model.\(key)"] }
        return ["model.\(key[..<dot]).model\(key[dot...])", "model.\(key)"]
    }
}
