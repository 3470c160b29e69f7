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
        let longest = batch.lengths.max() ?? 0
        return hiddenStates(batch.inputIDs, keepingAll: keepingAll) { index, qkvTD in
            let layer = layers[index]
            let table = self.table(layer.rope, positions: longest)
            return qkvTD.fusedAttention(
                heads: configuration.attentionHeads,
                cuSeqlens: batch.cuSeqlens,
                window: layer.window,
                cosines: table.cosines,
                sines: table.sines
            )
        }
    }

    /// The final-normed states of new tokens behind cached ones, given how rotated queries and keys and values become
    /// mixed values.
    func hiddenStates(
        _ batch: PackedBatch,
        startingAt starts: [Int],
        mixing: (_ layer: Int, _ queriesTHK: Tensor, _ keysTHK: Tensor, _ valuesTHK: Tensor) -> Tensor
    ) -> [Tensor] {
        let positions = batch.positions(startingAt: starts)
        let positionsT = Tensor(positions.map(Float.init))
        var tables: [RotaryParameters: RotaryTable] = [:]
        return hiddenStates(batch.inputIDs, keepingAll: false) { index, qkvTD in
            let width = configuration.headDimensions
            let rope = layers[index].rope
            let table =
                tables[rope] ?? RotaryTable(rope, width: width, positions: positionsT, dtype: activationDType)
            tables[rope] = table
            let parts = qkvTD.split(into: 3, along: 1).map {
                $0.reshaped(batch.tokenCount, configuration.attentionHeads, width)
            }
            let mixedTHK = mixing(index, table.rotate(parts[0]), table.rotate(parts[1]), parts[2])
            return mixedTHK.reshaped(batch.tokenCount, configuration.hiddenSize).contiguous()
        }
    }

    /// The trunk, given how each layer's projections, not yet rotated, become mixed values.
    func hiddenStates(
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
    func table(_ rope: RotaryParameters, positions: Int) -> RotaryHalfTable {
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
