import CTorch

/// Activation functions, by transformers' names.
public enum Activation: String, Hashable, Sendable, CaseIterable {
    /// `x · Φ(x)`, exact.
    case gelu
    /// The tanh approximation of `gelu`.
    case geluNew = "gelu_new"
    /// The tanh approximation of `gelu`, the same function under another name.
    case geluTanh = "gelu_pytorch_tanh"
    /// `max(x, 0)`.
    case relu
    /// `x · σ(x)`, also called swish.
    case silu
    /// `x`.
    case identity = "linear"
    /// The hyperbolic tangent.
    case tanh
    /// `σ(x) = 1 / (1 + exp(−x))`.
    case sigmoid

    /// Those a gated linear unit may have.
    public static let gates: [Activation] = [.gelu, .geluNew, .geluTanh, .relu, .silu]

    /// Applies the function to every element.
    public func callAsFunction(_ x: Tensor) -> Tensor {
        switch self {
        case .gelu: x.gelu()
        case .geluNew, .geluTanh: x.geluTanh()
        case .relu: x.relu()
        case .silu: x.silu()
        case .identity: x
        case .tanh: x.tanh()
        case .sigmoid: x.sigmoid()
        }
    }

    /// The function as the kernels of gated linear units know it.
    var gate: CTGate {
        switch self {
        case .gelu: CT_GATE_GELU
        case .geluNew, .geluTanh: CT_GATE_GELU_TANH
        case .relu: CT_GATE_RELU
        case .silu: CT_GATE_SILU
        case .identity: CT_GATE_NONE
        case .tanh, .sigmoid: preconditionFailure("\(rawValue) is not the function of a gated linear unit")
        }
    }
}
