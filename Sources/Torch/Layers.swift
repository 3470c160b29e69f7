/// An affine map of the last dimension: `x · weightᵀ + bias`, and what attached adapters add to it.
public final class Linear: Module {
    /// `[out, in]`.
    @Parameter("weight") public var weight: Tensor
    /// `[out]`.
    @Parameter("bias") public var bias: Tensor?
    @Child("") var adapters: AttachedAdapters
    /// What the weight was before adapters were merged into it; nil when they are not.
    var unmergedWeight: Tensor?

    /// Creates a layer with uninitialised parameters.
    ///
    /// - Parameters:
    ///   - inputSize: The width of the input.
    ///   - outputSize: The width of the output.
    ///   - hasBias: Whether a bias is added.
    public init(_ inputSize: Int, _ outputSize: Int, hasBias: Bool) {
        super.init()
        weight = .uninitialized([outputSize, inputSize])
        bias = hasBias ? .uninitialized([outputSize]) : nil
        adapters = AttachedAdapters()
    }

    /// Maps `[…, in]` to `[…, out]`, in the type of the input.
    ///
    /// - Parameters:
    ///   - input: `[…, in]`. Where an adapter has dropout, the first dimension counts the tokens of the pass, but in a
    ///     head, where it counts labelled places or sequences and masks depend on how a batch is split into microbatches.
    ///   - training: The dropout context of a training pass, for the dropout of adapters; nil for inference.
    /// - Returns: `[…, out]`.
    public func callAsFunction(_ input: Tensor, training: DropoutContext? = nil) -> Tensor {
        let output = input.linear(
            weight.to(input.dtype),
            bias: bias?.to(input.dtype),
            addsGradientInPlace: training?.isSlice ?? false
        )
        return adapters.isEmpty ? output : adapted(output, of: input, training: training)
    }
}

/// Layer normalisation over the last dimension: `(x − mean) / √(biased variance + ε) · weight + bias`.
public final class LayerNorm: Module {
    /// `[width]`.
    @Parameter("weight") public var weight: Tensor
    /// `[width]`.
    @Parameter("bias") public var bias: Tensor?
    /// Added to the variance.
    public let epsilon: Double

    /// Creates a layer with uninitialised parameters.
    ///
    /// - Parameters:
    ///   - width: The size of the last dimension.
    ///   - epsilon: Added to the variance.
    ///   - hasBias: Whether a bias is added.
    public init(_ width: Int, epsilon: Double, hasBias: Bool) {
        self.epsilon = epsilon
        super.init()
        weight = .uninitialized([width])
        bias = hasBias ? .uninitialized([width]) : nil
    }

    /// Normalises each row of `[…, width]`, in the type of the parameters; the result is of the input's type.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.to(weight.dtype).layerNorm(weight: weight, bias: bias, epsilon: epsilon).to(input.dtype)
    }

    /// Adds to a residual stream and normalises the sum.
    ///
    /// - Parameters:
    ///   - delta: `[rows, width]`.
    ///   - residual: `[rows, width]`, to which `delta` is added.
    /// - Returns: The sum, and its norm in the type of `delta`.
    package func callAsFunction(adding delta: Tensor, to residual: Tensor) -> (sum: Tensor, normed: Tensor) {
        residual.addingNormalized(delta, weight: weight, bias: bias, epsilon: epsilon)
    }

    /// Normalises a sum that was taken before, with the same bits.
    ///
    /// - Parameters:
    ///   - sum: `[rows, width]`, the residual.
    ///   - dtype: The type of activations.
    /// - Returns: The norm of the sum.
    package func callAsFunction(of sum: Tensor, as dtype: DType) -> Tensor {
        sum.normalized(weight: weight, bias: bias, epsilon: epsilon, dtype: dtype)
    }
}

/// A table of vectors, one for each token id.
public final class Embedding: Module {
    /// `[vocabulary, width]`.
    @Parameter("weight") public var weight: Tensor
    private let paddingID: Int?

    /// Creates a table with uninitialised values.
    ///
    /// - Parameters:
    ///   - vocabularySize: The number of rows.
    ///   - width: The width of each.
    ///   - paddingID: The row whose use as input gives it no gradient.
    public init(_ vocabularySize: Int, _ width: Int, paddingID: Int?) {
        self.paddingID = paddingID
        super.init()
        weight = .uninitialized([vocabularySize, width])
    }

    /// The rows that int64 `ids` name: `[…, width]`.
    public func callAsFunction(_ ids: Tensor) -> Tensor { self(ids, training: nil) }

    /// The rows that int64 `ids` name: `[…, width]`.
    ///
    /// - Parameters:
    ///   - ids: int64, any shape.
    ///   - training: The context of a training pass, which says how gradients are added up.
    /// - Returns: `[…, width]`.
    package func callAsFunction(_ ids: Tensor, training: DropoutContext?) -> Tensor {
        weight.embedding(
            ids,
            paddingID: paddingID,
            addsGradientInPlace: training?.isSlice ?? false
        )
    }
}
