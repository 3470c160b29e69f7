import CTorch

extension Tensor {
    /// Looks up rows of this `[vocabulary, width]` table.
    ///
    /// - Parameters:
    ///   - ids: int64, any shape.
    ///   - paddingID: The row that receives no gradient, or nil.
    /// - Returns: The shape of `ids` with `width` appended.
    public func embedding(_ ids: Tensor, paddingID: Int? = nil) -> Tensor {
        embedding(ids, paddingID: paddingID, addsGradientInPlace: false)
    }

    /// As ``embedding(_:paddingID:)``, perhaps with a backward pass whose cost does not depend on the size of the table.
    ///
    /// - Parameters:
    ///   - ids: int64, any shape.
    ///   - paddingID: The row that receives no gradient, or nil.
    ///   - addsGradientInPlace: Whether rows are added to a gradient that the table has already, on the CPU. Sums of
    ///     several passes are taken in another order then.
    /// - Returns: The shape of `ids` with `width` appended.
    package func embedding(_ ids: Tensor, paddingID: Int?, addsGradientInPlace: Bool) -> Tensor {
        makeTensor("embedding", [self, ids]) {
            ct_nn_embedding(handle, ids.handle, Int64(paddingID ?? -1), addsGradientInPlace, $0)
        }
    }

    /// `self · weightᵀ + bias`.
    ///
    /// - Parameters:
    ///   - weight: `[out, in]`.
    ///   - bias: `[out]`, or nil.
    /// - Returns: `[…, out]` for `[…, in]`.
    public func linear(_ weight: Tensor, bias: Tensor? = nil) -> Tensor {
        linear(weight, bias: bias, addsGradientInPlace: false)
    }

    /// As ``linear(_:bias:)``, perhaps by our kernels and with a backward pass that adds to the weight's gradient in place.
    ///
    /// Sums are taken in another order then.
    package func linear(_ weight: Tensor, bias: Tensor?, addsGradientInPlace: Bool) -> Tensor {
        makeTensor("linear", [self, weight]) {
            ct_nn_linear(handle, weight.handle, bias?.handle, addsGradientInPlace, $0)
        }
    }

    /// Normalises the last dimension to zero mean and unit (biased) variance, then scales and shifts it.
    public func layerNorm(weight: Tensor, bias: Tensor?, epsilon: Double) -> Tensor {
        makeTensor("layerNorm", [self, weight]) {
            ct_nn_layer_norm(handle, weight.handle, bias?.handle, epsilon, $0)
        }
    }

    /// Exponentials normalised to sum 1 along one dimension.
    public func softmax(along dimension: Int) -> Tensor {
        makeTensor("softmax", [self]) { ct_nn_softmax(handle, Int64(dimension), false, $0) }
    }

    /// The logarithm of ``softmax(along:)``.
    public func logSoftmax(along dimension: Int) -> Tensor {
        makeTensor("logSoftmax", [self]) { ct_nn_softmax(handle, Int64(dimension), true, $0) }
    }

    /// The mean cross-entropy of these logits `[rows, classes]`, computed in float32.
    ///
    /// - Parameters:
    ///   - labels: int64, `[rows]`.
    ///   - ignoreIndex: The label of rows that do not count.
    /// - Returns: A scalar; NaN when no row counts.
    public func crossEntropy(_ labels: Tensor, ignoreIndex: Int = -100) -> Tensor {
        makeTensor("crossEntropy", [self, labels]) {
            ct_nn_cross_entropy(handle, labels.handle, Int64(ignoreIndex), $0)
        }
    }
}
