/// A low-rank adapter (LoRA): adds `scale · (dropout(x) · Aᵀ) · Bᵀ` to the output of a ``Linear`` layer.
///
/// `B` starts at zero, so that a new adapter changes nothing. PEFT gives a scale of `lora_alpha / r`, and has other names:
///
/// | key here | attached as | PEFT |
/// |---|---|---|
/// | `….mlp.Wi.lora.A` | `lora` | `….mlp.Wi.lora_A.weight` |
/// | `….attn.Wqkv.lora.q.A` | `lora.q`, on the rows of the queries | `….attn.q_proj.lora_A.weight` |
///
/// > Source: Hu et al., arXiv 2106.09685.
public final class LowRankAdapter: Module, Adapter {
    /// The numbers of places in a model, for ``Tensor/dropout(_:_:place:)``, that are for adapters: each takes another.
    public static let dropoutPlaces = 1 << 15..<1 << 16

    /// `[rank, in]`.
    @Parameter("A") public var down: Tensor
    /// `[out, rank]`.
    @Parameter("B") public var up: Tensor
    /// What the product is multiplied by.
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
    ///   - scale: What the product is multiplied by.
    ///   - dropout: The probability that an element of the input is dropped. Masks go by the row of the input: those on a
    ///     trunk's layers, whose rows are tokens, do not depend on how a batch is split into microbatches, those on a
    ///     head, whose rows are labelled places or sequences, do.
    ///   - dropoutPlace: One of ``dropoutPlaces`` that no other adapter of the model has.
    ///   - generator: What `A` is drawn with.
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
}
