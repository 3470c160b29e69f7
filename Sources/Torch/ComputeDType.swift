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

    /// The dtype of activations between products.
    public var activationDType: DType { self == .float32 ? .float32 : .bfloat16 }

    var cValue: CTPrecision {
        switch self {
        case .float32: CT_PRECISION_FLOAT32
        case .bfloat16: CT_PRECISION_BFLOAT16
        case .int8: CT_PRECISION_INT8
        }
    }
}
