import CTorch

/// The weight of a linear layer in the order this processor's kernels read it.
///
/// A copy: later changes of the tensor it was made from do not reach it. It has no gradient.
public final class PrepackedWeight {
    let handle: OpaquePointer?
    /// The precision of products with it.
    public let precision: ComputeDType

    /// Packs a weight.
    ///
    /// - Parameters:
    ///   - weight: `[outputs, inputs]`, a floating dtype, on the CPU.
    ///   - bias: `[outputs]`, or nil.
    ///   - precision: The number type of products.
    ///   - isGated: Whether the first half of the outputs is activated and multiplied by the second, their gates.
    public init(_ weight: Tensor, bias: Tensor? = nil, precision: ComputeDType, isGated: Bool = false) {
        self.precision = precision
        var packed: OpaquePointer?
        let status = ct_fused_pack(weight.handle, bias?.handle, precision.cValue, isGated, &packed)
        handle = succeeded(status, "PrepackedWeight", [weight]) ? packed : nil
    }

    deinit {
        if let handle { ct_fused_free(handle) }
    }
}

extension TorchRuntime {
    /// The instruction set the fused CPU kernels use, such as `AVX-512 with BF16 and VNNI`.
    public static var kernelInstructionSet: String {
        switch ct_kernels_instruction_set() {
        case CT_AVX2: "AVX2"
        case CT_AVX512: "AVX-512"
        case CT_AVX512_BF16: "AVX-512 with BF16 and VNNI"
        default: "portable"
        }
    }
}
