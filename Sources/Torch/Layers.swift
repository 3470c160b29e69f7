/// An affine map of the last dimension: `x · weightᵀ + bias`.
public final class Linear: Module {
    /// `[out, in]`.
    @Parameter("weight") public var weight: Tensor
    /// `[out]`.
    @Parameter("bias") public var bias: Tensor?

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
    }

    /// Maps `[…, in]` to `[…, out]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.linear(weight, bias: bias)
    }
}

/// Layer normalisation over the last dimension.
public final class LayerNorm: Module {
    /// `[width]`.
    @Parameter("weight") public var weight: Tensor
    /// `[width]`.
    @Parameter("bias") public var bias: Tensor?
    /// What is added to the variance.
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

    /// Normalises each row of `[…, width]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.layerNorm(weight: weight, bias: bias, epsilon: epsilon)
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
    public func callAsFunction(_ ids: Tensor) -> Tensor {
        weight.embedding(ids, paddingID: paddingID)
    }
}
