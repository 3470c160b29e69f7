import Torch

/// A prediction head and output layer with packed weights.
struct FusedHead {
    private let dense: PrepackedWeight
    private let activation: Activation
    private let norm: FusedNorm
    private let output: PrepackedWeight

    /// Packs the weights of a head.
    ///
    /// - Parameters:
    ///   - head: What comes before the output layer.
    ///   - output: The weight of the output layer, `[outputs, hiddenSize]`.
    ///   - bias: The bias of the output layer, or nil.
    ///   - precision: The precision of the trunk's products; with int8 the head computes in bfloat16, as it is where
    ///     the answer is decided.
    init(_ head: PredictionHead, output: Tensor, bias: Tensor?, precision: ComputeDType) {
        let precision: ComputeDType = precision == .float32 ? .float32 : .bfloat16
        dense = PrepackedWeight(head.dense, precision: precision)
        activation = head.activation
        norm = FusedNorm(head.norm)
        self.output = PrepackedWeight(output, bias: bias, precision: precision)
    }

    /// The outputs of some hidden states, `[rows, outputs]`, float32.
    func callAsFunction(_ hidden: Tensor) -> Tensor { transformed(hidden).linear(output, dtype: .float32) }

    /// The outputs pooled as SPLADE does, `[sequences, outputs]`, float32.
    func spladePooled(_ hidden: Tensor, cuSeqlens: [Int32], rule: SpladePoolingRule) -> Tensor {
        transformed(hidden).spladePooled(output, cuSeqlens: cuSeqlens, rule: rule)
    }

    private func transformed(_ hidden: Tensor) -> Tensor {
        hidden.linear(dense, activation: activation, dtype: .float32).layerNorm(norm)
    }
}
