import CTorch

/// The type that inference computes in.
public enum ComputeDType: String, Sendable, Hashable, CaseIterable {
    /// 32-bit floating point.
    case float32
    /// bfloat16 operands; sums, norms, softmax and the residual stream in float32.
    case bfloat16
    /// Products of the layers in 8-bit integers, with one scale for each output of a weight and each token;
    /// embeddings, norms, attention and heads as in the files. On the CPU only.
    case int8
    /// 16-bit floating point, as libtorch computes it: on CPUs slower than float32 and of fewer digits than it.
    case float16

    /// Those that CPU kernels have packed weights for.
    package static let packed: [ComputeDType] = [.float32, .bfloat16, .int8]

    /// The dtype of activations between products.
    package var activationDType: DType {
        switch self {
        case .float32: .float32
        case .bfloat16, .int8: .bfloat16
        case .float16: .float16
        }
    }

    var cValue: CTPrecision {
        switch self {
        case .float32: CT_PRECISION_FLOAT32
        case .bfloat16: CT_PRECISION_BFLOAT16
        case .int8: CT_PRECISION_INT8
        case .float16: preconditionFailure("weights are not packed in float16")
        }
    }
}
