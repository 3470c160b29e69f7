import CTorch

extension Tensor {
    /// A gated linear unit: `function(first half of each row) · second half`.
    ///
    /// - Parameter function: What is applied to the first half; one of `Activation.gates`.
    /// - Returns: `[rows, width]` for `[rows, 2 · width]`.
    public func gated(by function: Activation) -> Tensor { gated(by: function, isComposed: false) }

    /// As ``gated(by:)``, perhaps of libtorch's operators alone.
    package func gated(by function: Activation, isComposed: Bool) -> Tensor {
        makeTensor("gated", [self]) { ct_training_gated(handle, function.gate, isComposed, $0) }
    }

    /// The rows that int64 `indices`, none of them twice, name.
    ///
    /// As ``selecting(_:along:)`` of rows, with a faster backward pass.
    package func selecting(distinctRows indices: Tensor) -> Tensor {
        makeTensor("selecting(distinctRows:)", [self, indices]) {
            ct_training_select_rows(handle, indices.handle, $0)
        }
    }

    /// Adds to a residual stream and normalises the sum.
    ///
    /// - Parameters:
    ///   - delta: `[rows, width]`, what is added to this residual.
    ///   - weight: `[width]`, of the norm.
    ///   - bias: `[width]`, or nil.
    ///   - epsilon: Added to the variance.
    /// - Returns: The sum, in the wider type of both, and its norm in the type of `delta`.
    package func addingNormalized(
        _ delta: Tensor,
        weight: Tensor,
        bias: Tensor?,
        epsilon: Double
    ) -> (sum: Tensor, normed: Tensor) {
        addingNormalized(delta, weight: weight, bias: bias, epsilon: epsilon, isComposed: false)
    }

    /// Normalises rows as ``addingNormalized(_:weight:bias:epsilon:)`` does a sum of the same numbers, bit by bit.
    ///
    /// - Parameters:
    ///   - weight: `[width]`, of the norm.
    ///   - bias: `[width]`, or nil.
    ///   - epsilon: Added to the variance.
    ///   - dtype: The type of the result.
    /// - Returns: The norm of this tensor, `[rows, width]`.
    package func normalized(weight: Tensor, bias: Tensor?, epsilon: Double, dtype: DType) -> Tensor {
        makeTensor("normalized", [self, weight]) {
            ct_training_norm(handle, weight.handle, bias?.handle, epsilon, dtype.cValue, $0)
        }
    }

    /// As the public method, perhaps of libtorch's operators alone.
    package func addingNormalized(
        _ delta: Tensor,
        weight: Tensor,
        bias: Tensor?,
        epsilon: Double,
        isComposed: Bool
    ) -> (sum: Tensor, normed: Tensor) {
        var sum: OpaquePointer?
        var normed: OpaquePointer?
        let status = ct_training_add_norm(
            handle,
            delta.handle,
            weight.handle,
            bias?.handle,
            epsilon,
            isComposed,
            &sum,
            &normed
        )
        guard succeeded(status, "addingNormalized", [self, delta, weight]), let sum, let normed else {
            return (.empty, .empty)
        }
        return (Tensor(owning: sum), Tensor(owning: normed))
    }
}
