/// A low-rank adapter (LoRA): adds `scale · (dropout(x) · Aᵀ) · Bᵀ` to the output of a ``Linear`` layer.
///
/// `B` starts at zero, so that a new adapter changes nothing. PEFT gives a scale of `lora_alpha / r`, and has other names:
///
/// | key here | attached as | PEFT |
/// |---|---|---|
/// | `….mlp.Wi.lora.A` | `lora` | `….mlp.Wi.lora_A.weight` |
/// | `….attn.Wqkv.lora.q.A` | `lora.q`, on the rows of the queries | `….attn.q_proj.lora_A.weight` |
/// | `….mlp.Wi.lora.magnitude` | `lora` | `….mlp.Wi.lora_magnitude_vector` |
///
/// With a magnitude (DoRA) the rows of the changed weight are scaled to lengths that are learned: for the weight `W` the
/// layer then has the rows of `m ⊙ (W + scale · B A) / ‖W + scale · B A‖`, whose norms take no part in the gradient.
///
/// > Source: Hu et al., arXiv 2106.09685; Liu et al., arXiv 2402.09353; PEFT 0.21 `tuners/lora/dora.py`.
public final class LowRankAdapter: Module, Adapter {
    /// The numbers of places in a model, for ``Tensor/dropout(_:_:place:)``, that are for adapters: each takes another.
    public static let dropoutPlaces = 1 << 15..<1 << 16

    /// `[rank, in]`.
    @Parameter("A") public var down: Tensor
    /// `[out, rank]`.
    @Parameter("B") public var up: Tensor
    /// The lengths of the rows of the changed weight, `[out]`; nil where they are what they come to.
    @Parameter("magnitude") public var magnitude: Tensor?
    /// The factor of the product; PEFT's `lora_alpha / r`.
    public let scale: Double
    /// The probability that an element of the input is dropped.
    public let dropout: Double
    private let dropoutPlace: Int

    /// The width of the input.
    public var inputSize: Int { down.size(1) }

    /// The width of what is added.
    public var outputSize: Int { up.size(0) }

    /// Creates an adapter: `A` uniform in ±1/√in, as PEFT draws it, and `B` zero, both float32.
    ///
    /// - Parameters:
    ///   - inputSize: The width of the layer's input.
    ///   - outputSize: The width of the outputs it adds to.
    ///   - rank: The width between `A` and `B`.
    ///   - scale: The factor of the product; PEFT's `lora_alpha / r`.
    ///   - dropout: The probability that an element of the input is dropped. Masks go by the row of the input: those on a
    ///     trunk's layers, whose rows are tokens, do not depend on how a batch is split into microbatches, those on a
    ///     head, whose rows are labelled places or sequences, do.
    ///   - dropoutPlace: One of ``dropoutPlaces`` that no other adapter of the model has.
    ///   - generator: The random generator of `A`.
    public init(
        _ inputSize: Int,
        _ outputSize: Int,
        rank: Int,
        scale: Double,
        dropout: Double = 0,
        dropoutPlace: Int = dropoutPlaces.lowerBound,
        generator: Philox = Philox(seed: 0)
    ) {
        requireUsage(inputSize > 0 && outputSize > 0 && rank > 0, "an adapter of rank \(rank)")
        requireUsage((0..<1).contains(dropout), "dropout of \(dropout)")
        requireUsage(Self.dropoutPlaces.contains(dropoutPlace), "place \(dropoutPlace) for the dropout of an adapter")
        self.scale = scale
        self.dropout = dropout
        self.dropoutPlace = dropoutPlace
        super.init()
        let bound = 1 / Double(inputSize).squareRoot()
        down = (Tensor(generator.uniforms(count: rank * inputSize), shape: [rank, inputSize]) * 2 - 1) * bound
        up = .zeros([outputSize, rank])
        magnitude = nil
    }

    /// Makes the lengths of rows parameters of their own (DoRA), which begin as those of the weight with the adapter.
    ///
    /// - Parameter weight: The rows of the layer's weight, `[out, in]`.
    public func decompose(_ weight: Tensor) {
        magnitude = withoutGradients { rowNorms(of: weight).copy() }
    }

    /// What is added to the output of the layer.
    ///
    /// - Parameters:
    ///   - input: `[…, inputSize]`.
    ///   - training: The dropout context of a training pass; nil for inference.
    /// - Returns: `[…, outputSize]`, in the type of the input.
    public func callAsFunction(_ input: Tensor, training: DropoutContext?) -> Tensor {
        input.dropout(dropout, training, place: dropoutPlace)
            .linear(down.to(input.dtype))
            .linear(up.to(input.dtype)) * scale
    }

    /// `scale · B · A`.
    public func weightChange() -> Tensor { up.matmul(down) * scale }

    /// Adds what the adapter gives, and scales the sum to the lengths that are learned.
    ///
    /// Where the input is dropped, so is that of the scaled part of the layer, as in PEFT.
    public func adapting(
        _ output: Tensor,
        of input: Tensor,
        rows: AdaptedRows,
        training: DropoutContext?
    ) -> Tensor {
        guard let magnitude else { return output + self(input, training: training) }
        let weight = rows.weight
        let factor = (magnitude / withoutGradients { rowNorms(of: weight.detached()) }).to(input.dtype)
        let base: Tensor
        if dropout > 0, training != nil {
            base = input.dropout(dropout, training, place: dropoutPlace).linear(weight.to(input.dtype))
        } else {
            base = rows.bias.map { output - $0.to(output.dtype) } ?? output
        }
        return output + base * (factor - 1) + self(input, training: training) * factor
    }

    /// The rows of the weight with the change, of the lengths that are learned.
    public func adapting(weight: Tensor) -> Tensor {
        let change = weightChange()
        let changed = weight.to(change.dtype) + change.to(weight.device)
        guard let magnitude else { return changed.to(weight.dtype) }
        let factor = magnitude.to(weight.device) / rowNorms(of: weight)
        return (changed * factor.reshaped(-1, 1)).to(weight.dtype)
    }

    /// The lengths of the rows of a weight with the change.
    private func rowNorms(of weight: Tensor) -> Tensor {
        let change = weightChange()
        let changed = weight.to(change.dtype) + change.to(weight.device)
        return (changed * changed).sum(along: 1).squareRoot()
    }
}
