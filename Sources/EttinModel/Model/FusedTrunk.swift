// The trunk for inference on the CPU: the same layers as `ModernBERT`, with weights packed once and everything between
// two attentions done in one pass over the tokens.
//
// Shape suffixes: T packed tokens, D hidden.
import Torch

/// A trunk's weights packed for inference.
final class FusedTrunk {
    private struct Layer {
        let norm: FusedNorm?
        let projection: PackedWeight
        let feedForward: FusedFeedForward
        let window: AttentionWindow
        let rope: RotaryParameters
    }

    /// The precision of the products.
    let precision: WeightPrecision
    private let configuration: ModernBERTConfiguration
    private let embeddings: Tensor
    private let embeddingNorm: FusedNorm
    private let layers: [Layer]
    private let finalNorm: FusedNorm
    private let outputDType: DType
    private var tables: [RotaryParameters: RotaryHalfTable] = [:]

    /// Packs the weights of a model.
    ///
    /// - Parameters:
    ///   - model: A trunk with its parameters on the CPU, in float32 or bfloat16.
    ///   - precision: The precision of the products.
    init(_ model: ModernBERT, precision: WeightPrecision) {
        let configuration = model.configuration
        self.configuration = configuration
        self.precision = precision
        embeddings = model.embeddings.tokens.weight.detached()
        outputDType = embeddings.dtype
        embeddingNorm = FusedNorm(model.embeddings.norm)
        finalNorm = FusedNorm(model.finalNorm)
        layers = model.layers.enumerated().map { index, layer in
            let pack = { PackedWeight($0 as Linear, precision: precision) }
            let window = configuration.window(layer: index, rule: model.windowRule)
            return Layer(
                norm: layer.attentionNorm.map(FusedNorm.init),
                projection: pack(layer.attention.projections),
                feedForward: FusedFeedForward(
                    output: pack(layer.attention.output),
                    norm: FusedNorm(layer.mlpNorm),
                    input: PackedWeight(layer.mlp.input, precision: precision, isGated: true),
                    activation: configuration.hiddenActivation.fused,
                    down: pack(layer.mlp.output)
                ),
                window: AttentionWindow(left: window.left, right: window.right),
                rope: configuration.rope(layer: index)
            )
        }
    }

    /// The dtype of keys and values.
    var activationDType: DType { precision.activationDType }

    /// The size of the packed weights.
    var byteCount: Int {
        layers.reduce(0) { $0 + $1.projection.byteCount + $1.feedForward.byteCount }
    }

    /// As ``ModernBERT/callAsFunction(_:isTraining:)`` and ``ModernBERT/allHiddenStates(_:)``.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - keepingAll: Whether the states before each layer are given too.
    /// - Returns: States `[tokens, hiddenSize]` in the dtype of the embeddings, the final-normed ones last.
    func hiddenStates(_ batch: PackedBatch, keepingAll: Bool) -> [Tensor] {
        hiddenStates(batch.inputIDs, keepingAll: keepingAll) { mixed($1, batch, layer: $0) }
    }

    /// Attention of one layer among the tokens of a batch.
    private func mixed(_ qkvTD: Tensor, _ batch: PackedBatch, layer index: Int) -> Tensor {
        let table = self.table(layers[index].rope, positions: batch.lengths.max() ?? 0)
        return qkvTD.fusedAttention(
            heads: configuration.attentionHeads,
            cuSeqlens: batch.cuSeqlens,
            window: layers[index].window,
            cosines: table.cosines,
            sines: table.sines
        )
    }

    /// The final-normed states of new tokens behind cached ones; see ``ModernBERT/callAsFunction(_:cache:)``.
    ///
    /// The cache has room reserved for the new tokens.
    func hiddenStates(_ batch: PackedBatch, cache: KVCache) -> [Tensor] {
        let starts = cache.lengths
        guard starts.contains(where: { $0 > 0 }) else { return firstStates(batch, cache: cache) }
        let rows = Tensor(starts.map(Int64.init))
        let positions = (starts.max() ?? 0) + 1
        var turns: [RotaryParameters: (cosines: Tensor, sines: Tensor)] = [:]
        return hiddenStates(batch.inputIDs, keepingAll: false) { index, qkvTD in
            let rope = layers[index].rope
            let turn =
                turns[rope]
                ?? {
                    let table = self.table(rope, positions: positions)
                    return (table.cosines.selecting(rows), table.sines.selecting(rows))
                }()
            turns[rope] = turn
            let projections = qkvTD.reshaped(
                batch.sequenceCount,
                3,
                configuration.attentionHeads,
                configuration.headDimensions
            )
            return cache.step(projections: projections, cosines: turn.cosines, sines: turn.sines, layer: index)
                .reshaped(batch.sequenceCount, configuration.hiddenSize)
        }
    }

    /// The states of the first tokens of a cache.
    private func firstStates(_ batch: PackedBatch, cache: KVCache) -> [Tensor] {
        let positions = Tensor(batch.lengths.flatMap { (0..<$0).map(Float.init) })
        var tables: [RotaryParameters: RotaryTable] = [:]
        return hiddenStates(batch.inputIDs, keepingAll: false) { index, qkvTD in
            let (rope, width) = (layers[index].rope, configuration.headDimensions)
            let table = tables[rope] ?? RotaryTable(rope, width: width, positions: positions, dtype: activationDType)
            tables[rope] = table
            let parts = qkvTD.split(into: 3, along: 1).map {
                $0.reshaped(batch.tokenCount, configuration.attentionHeads, width)
            }
            cache.store(keys: table.rotate(parts[1]), values: parts[2], layer: index)
            return mixed(qkvTD, batch, layer: index)
        }
    }

    /// The trunk, given how each layer's projections, not yet rotated, become mixed values.
    private func hiddenStates(
        _ ids: [Int32],
        keepingAll: Bool,
        mixing: (_ layer: Int, _ qkvTD: Tensor) -> Tensor
    ) -> [Tensor] {
        guard let first = layers.first, let last = layers.last else { return [] }
        let residual = FusedResidual(embedding: ids, in: embeddings, norm: embeddingNorm)
        var kept: [Tensor] = []
        var qkvTD = residual.project(nil, through: nil, norm: first.norm, projection: first.projection)
        for index in layers.indices {
            if keepingAll { kept.append(residual.copy.to(outputDType)) }
            let mixedTD = mixing(index, qkvTD)
            guard index + 1 < layers.count else {
                let dtype = outputDType == .float32 ? .float32 : activationDType
                kept.append(residual.finish(mixedTD, through: last.feedForward, norm: finalNorm, dtype: dtype))
                break
            }
            let next = layers[index + 1]
            qkvTD = residual.project(
                mixedTD,
                through: layers[index].feedForward,
                norm: next.norm,
                projection: next.projection
            )
        }
        return kept.map { $0.to(outputDType) }
    }

    /// The rotation of positions from 0, for at least as many as asked for.
    private func table(_ rope: RotaryParameters, positions: Int) -> RotaryHalfTable {
        if let table = tables[rope], table.positionCount >= positions { return table }
        // Doubling keeps the cost of growing with a generated text below that of one table of the final size.
        let known = tables[rope]?.positionCount ?? 0
        let count = max(positions, min(2 * known, configuration.maxPositionEmbeddings), 128)
        let table = RotaryHalfTable(rope, width: configuration.headDimensions, positions: count, dtype: activationDType)
        tables[rope] = table
        return table
    }
}

extension FusedNorm {
    /// The parameters of a layer norm.
    init(_ norm: LayerNorm) {
        self.init(weight: norm.weight, bias: norm.bias, epsilon: norm.epsilon)
    }
}

extension PackedWeight {
    /// Packs a linear layer.
    convenience init(_ linear: Linear, precision: WeightPrecision, isGated: Bool = false) {
        self.init(linear.weight, bias: linear.bias, precision: precision, isGated: isGated)
    }
}

extension Activation {
    /// The activation inside a fused product.
    var fused: FusedActivation {
        switch self {
        case .gelu: .gelu
        case .geluNew, .geluTanh: .geluTanh
        case .relu: .relu
        case .silu: .silu
        }
    }
}
