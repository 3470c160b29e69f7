package import Torch

/// The two architectures of the suite, which share one trunk.
public enum ModelKind: String, Hashable, Sendable, CaseIterable {
    /// Bidirectional attention; trained to fill masks.
    case encoder = "modernbert"
    /// Causal attention; trained to continue text.
    case decoder = "modernbert-decoder"

    /// `encoder` or `decoder`.
    public var name: String { self == .encoder ? "encoder" : "decoder" }

    /// The Python class that Ettin's published weights are for.
    package var languageModelArchitecture: String {
        self == .encoder ? "ModernBertForMaskedLM" : "ModernBertDecoderForCausalLM"
    }
}

/// What a layer attends to.
public enum LayerType: String, Hashable, Sendable, CaseIterable {
    /// The whole sequence.
    case fullAttention = "full_attention"
    /// A window around the token.
    case slidingAttention = "sliding_attention"

    /// The layers of a model in which every n-th is global, beginning with the first.
    ///
    /// - Parameters:
    ///   - layers: The number of layers.
    ///   - interval: Layer `i` is global when `interval` divides `i`; at least 1.
    /// - Returns: One entry per layer.
    public static func pattern(layers: Int, globalEvery interval: Int) -> [LayerType] {
        (0..<max(0, layers)).map { $0 % max(1, interval) == 0 ? .fullAttention : .slidingAttention }
    }

    /// The interval that gives these layers, if one does.
    static func interval(of layers: [LayerType]) -> Int? {
        let second = layers.dropFirst().firstIndex(of: .fullAttention) ?? max(1, layers.count)
        return pattern(layers: layers.count, globalEvery: second) == layers ? second : nil
    }
}

extension Activation {
    /// Finds an activation that ModernBERT may have by any of its names.
    ///
    /// - Parameter name: transformers' name or an alias for it.
    package init?(named name: String) {
        switch name {
        case "swish": self = .silu
        case "gelu_python": self = .gelu
        default:
            guard let activation = Activation(rawValue: name), Activation.gates.contains(activation) else { return nil }
            self = activation
        }
    }
}

/// How a sequence becomes one vector for a classifier.
public enum ClassifierPooling: String, Hashable, Sendable, CaseIterable {
    /// The first token's vector.
    case cls
    /// The mean over all tokens.
    case mean
}

/// What a classifier's labels mean, and with that its loss.
public enum ProblemType: String, Hashable, Sendable, CaseIterable {
    /// Numbers; mean squared error.
    case regression
    /// One class; cross-entropy.
    case singleLabelClassification = "single_label_classification"
    /// Any number of classes; binary cross-entropy.
    case multiLabelClassification = "multi_label_classification"
}

/// The rotary position embedding of one kind of layer.
public struct RotaryParameters: Hashable, Sendable {
    /// The base of the frequencies; `rope_theta`.
    public var theta: Double
    /// What positions are divided by: 1 for `rope_type` "default" and "yarn", `factor` for "linear".
    public var positionScale: Double
    /// How the frequencies are stretched to longer texts; nil unless `rope_type` is "yarn".
    public var yarn: YaRNScaling?

    /// Creates parameters.
    ///
    /// - Parameters:
    ///   - theta: The base of the frequencies.
    ///   - positionScale: What positions are divided by.
    ///   - yarn: How the frequencies are stretched to longer texts.
    public init(theta: Double, positionScale: Double = 1, yarn: YaRNScaling? = nil) {
        self.theta = theta
        self.positionScale = positionScale
        self.yarn = yarn
    }
}

/// How far a query sees to both sides, in tokens; the query itself is always seen.
package struct LayerWindow: Hashable, Sendable {
    /// Tokens before the query; nil for all.
    package let left: Int?
    /// Tokens after the query; nil for all.
    package let right: Int?

    /// Creates a window.
    ///
    /// - Parameters:
    ///   - left: Tokens before the query; nil for all.
    ///   - right: Tokens after the query; nil for all.
    package init(left: Int?, right: Int?) {
        self.left = left
        self.right = right
    }
}

/// How wide a decoder's local window is; the originals differ.
public enum WindowRule: Hashable, Sendable {
    /// The query and `w − 1` tokens before it, as transformers computes; the default.
    case transformers
    /// The query and `w` tokens before it, as the training code computed.
    case training
}
