import Torch

extension Activation {
    /// Applies the function to every element.
    func callAsFunction(_ x: Tensor) -> Tensor {
        switch self {
        case .gelu: x.gelu()
        case .geluNew, .geluTanh: x.geluTanh()
        case .relu: x.relu()
        case .silu: x.silu()
        }
    }

    /// The function as part of a gated linear unit.
    var gate: GateFunction {
        switch self {
        case .gelu: .gelu
        case .geluNew, .geluTanh: .geluTanh
        case .relu: .relu
        case .silu: .silu
        }
    }
}
