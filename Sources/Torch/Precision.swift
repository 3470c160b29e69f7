/// Training precision, by Composer's names.
public enum Precision: String, Sendable, Hashable, CaseIterable {
    /// Everything in the type of the parameters.
    case full = "fp32"
    /// Products and what lies between them in bfloat16; parameters, residuals, norms, losses and gradients of parameters
    /// in float32. Weights are converted where they are used, differentiably.
    case mixedBFloat16 = "amp_bf16"

    /// The type of activations beside parameters of a type.
    ///
    /// - Parameter parameters: The type of the parameters, which for mixed precision are float32.
    /// - Returns: The type in which products are taken.
    public func activationType(for parameters: DType) -> DType {
        self == .mixedBFloat16 ? .bfloat16 : parameters
    }
}
