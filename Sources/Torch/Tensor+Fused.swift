// Steps of a transformer layer on the CPU with what lies between the products done in registers. No gradients.
import CTorch

/// The parameters of a layer norm as fused steps take them.
public struct FusedNorm {
    let weight: Tensor
    let bias: Tensor?
    let epsilon: Double

    /// Creates a norm.
    ///
    /// - Parameters:
    ///   - weight: `[hidden]`.
    ///   - bias: `[hidden]`, or nil.
    ///   - epsilon: What is added to the variance.
    public init(weight: Tensor, bias: Tensor?, epsilon: Double) {
        self.weight = weight.detached().to(.float32, .cpu).contiguous()
        self.bias = bias?.detached().to(.float32, .cpu).contiguous()
        self.epsilon = epsilon
    }

    var cValue: CTFusedNorm { CTFusedNorm(weight: weight.handle, bias: bias?.handle, epsilon: epsilon) }

    static var none: CTFusedNorm { CTFusedNorm(weight: nil, bias: nil, epsilon: 0) }
}

/// What follows attention in one layer: output projection, residual, norm, gated MLP, residual.
public struct FusedFeedForward {
    let output: PrepackedWeight
    let norm: FusedNorm
    let input: PrepackedWeight
    let activation: Activation
    let down: PrepackedWeight

    /// Creates the steps.
    ///
    /// - Parameters:
    ///   - output: The output projection of attention.
    ///   - norm: The norm before the MLP.
    ///   - input: The MLP's gated input projection.
    ///   - activation: What is applied to the MLP's values before their gates.
    ///   - down: The MLP's output projection.
    public init(
        output: PrepackedWeight,
        norm: FusedNorm,
        input: PrepackedWeight,
        activation: Activation,
        down: PrepackedWeight
    ) {
        self.output = output
        self.norm = norm
        self.input = input
        self.activation = activation
        self.down = down
    }
}

/// The tokens of a batch between the layers of a model: the residual stream, in float32, changed in place.
public struct FusedResidual {
    let rows: Tensor

    /// Looks up and normalises the embeddings of a batch.
    ///
    /// - Parameters:
    ///   - ids: Token ids below the number of rows of `embeddings`.
    ///   - embeddings: `[vocabulary, hidden]`, float32 or bfloat16, on the CPU.
    ///   - norm: The norm after the embedding.
    public init(embedding ids: [Int32], in embeddings: Tensor, norm: FusedNorm) {
        rows = makeTensor("FusedResidual", [embeddings]) {
            ct_fused_embed(embeddings.handle, ids, Int64(ids.count), norm.cValue, $0)
        }
    }

    /// A copy of the stream as it is now, `[tokens, hidden]`, float32.
    public var copy: Tensor { rows.copy() }

    /// Finishes one layer and projects for the attention of the next.
    ///
    /// - Parameters:
    ///   - mixed: The outcome of the layer's attention, `[tokens, hidden]`; nil before the first layer.
    ///   - feedForward: The steps after attention; nil before the first layer.
    ///   - norm: The norm before the next attention; nil for none.
    ///   - projection: The next layer's projection to queries, keys and values.
    /// - Returns: Queries, keys and values of each token, `[tokens, 3 · hidden]`, in the activation dtype.
    public func project(
        _ mixed: Tensor?,
        through feedForward: FusedFeedForward?,
        norm: FusedNorm?,
        projection: PrepackedWeight
    ) -> Tensor {
        run(mixed, feedForward, norm: norm?.cValue ?? FusedNorm.none, projection: projection, isFloatFinal: false)
    }

    /// Finishes the last layer and applies the final norm.
    ///
    /// - Parameters:
    ///   - mixed: The outcome of the layer's attention, `[tokens, hidden]`.
    ///   - feedForward: The steps after attention.
    ///   - norm: The final norm.
    ///   - dtype: float32, or the activation dtype of the packed weights.
    /// - Returns: `[tokens, hidden]` in `dtype`.
    public func finish(
        _ mixed: Tensor,
        through feedForward: FusedFeedForward,
        norm: FusedNorm,
        dtype: DType
    ) -> Tensor {
        run(mixed, feedForward, norm: norm.cValue, projection: nil, isFloatFinal: dtype == .float32)
    }

    private func run(
        _ mixed: Tensor?,
        _ feedForward: FusedFeedForward?,
        norm: CTFusedNorm,
        projection: PrepackedWeight?,
        isFloatFinal: Bool
    ) -> Tensor {
        withExtendedLifetime((mixed, feedForward, projection)) {
            var layer = CTFusedLayer(
                output: feedForward?.output.handle,
                mlpNorm: feedForward?.norm.cValue ?? FusedNorm.none,
                input: feedForward?.input.handle,
                gate: feedForward?.activation.gate ?? CT_GATE_NONE,
                down: feedForward?.down.handle,
                nextNorm: norm,
                projection: projection?.handle,
                isFloatFinal: isFloatFinal
            )
            return makeTensor("FusedResidual", [rows] + (mixed.map { [$0] } ?? [])) {
                ct_fused_layer(rows.handle, mixed?.handle, &layer, $0)
            }
        }
    }
}

extension Tensor {
    /// Normalises the last dimension; see ``layerNorm(weight:bias:epsilon:)``.
    ///
    /// - Parameter norm: The parameters.
    /// - Returns: As `self`, which is float32.
    public func layerNorm(_ norm: FusedNorm) -> Tensor {
        layerNorm(weight: norm.weight, bias: norm.bias, epsilon: norm.epsilon)
    }

    /// `activation(self · weightᵀ + bias)` with a packed weight.
    ///
    /// - Parameters:
    ///   - weight: The weight and bias.
    ///   - activation: What is applied to the product; nil for nothing.
    ///   - dtype: float32, or the activation dtype of the weight.
    /// - Returns: `[rows, outputs]` for `[rows, inputs]`.
    public func linear(_ weight: PrepackedWeight, activation: Activation? = nil, dtype: DType) -> Tensor {
        makeTensor("linear", [self]) {
            ct_fused_linear(handle, weight.handle, activation?.gate ?? CT_GATE_NONE, dtype == .float32, $0)
        }
    }
}
