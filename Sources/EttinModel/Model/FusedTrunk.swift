// The trunk for inference on the CPU: the same layers as `ModernBERT`, with weights packed once and everything between
// two attentions done in one pass over the tokens.
//
// Shape suffixes: T packed tokens, D hidden.
import Torch

/// A trunk's weights prepacked for inference.
///
/// Nothing changes after it is made, and what a forward pass needs belongs to the pass: any number of threads may compute
/// with one trunk.
final class FusedTrunk {
    private struct Layer {
        let norm: FusedNorm?
        let projection: PrepackedWeight
        let feedForward: FusedFeedForward
        let rope: RotaryParameters
    }

    /// The precision of the products.
    let precision: ComputeDType
    private let configuration: ModernBERTConfiguration
    private let embeddings: Tensor
    private let embeddingNorm: FusedNorm
    private let layers: [Layer]
    private let finalNorm: FusedNorm
    private let outputDType: DType
    /// The turns of positions from 0.
    private let tables: [RotaryParameters: RotaryTable]

    /// Positions up to here are tabled, 16 MB for two kinds of layers with heads of 64; the turns of later ones are
    /// computed by each pass.
    static let tabledPositions = 32768

    /// Prepacks the weights of a model.
    ///
    /// - Parameters:
    ///   - model: A trunk with its parameters on the CPU, in float32 or bfloat16.
    ///   - precision: The precision of the products.
    ///   - tabledPositions: How many positions have their turns computed beforehand.
    init(_ model: ModernBERT, precision: ComputeDType, tabledPositions: Int = tabledPositions) {
        let configuration = model.configuration
        self.configuration = configuration
        self.precision = precision
        embeddings = model.embeddings.tokens.weight.detached()
        outputDType = embeddings.dtype
        embeddingNorm = FusedNorm(model.embeddings.norm)
        finalNorm = FusedNorm(model.finalNorm)
        layers = model.layers.enumerated().map { index, layer in
            let pack = { PrepackedWeight($0 as Linear, precision: precision) }
            return Layer(
                norm: layer.attentionNorm.map(FusedNorm.init),
                projection: pack(layer.attention.projections),
                feedForward: FusedFeedForward(
                    output: pack(layer.attention.output),
                    norm: FusedNorm(layer.mlpNorm),
                    input: PrepackedWeight(layer.mlp.input, precision: precision, isGated: true),
                    activation: configuration.hiddenActivation,
                    down: pack(layer.mlp.output)
                ),
                rope: configuration.rope(layer: index)
            )
        }
        let count = min(configuration.maxPositionEmbeddings, tabledPositions)
        let dtype = precision.activationDType
        tables = Dictionary(
            uniqueKeysWithValues: Set(layers.map(\.rope)).map { rope in
                (rope, .computed(rope, 0..<count, width: configuration.headDimensions, dtype: dtype))
            }
        )
    }

    /// The dtype of keys and values.
    var activationDType: DType { precision.activationDType }

    /// The states of some tokens, given how a layer's projections become mixed values.
    ///
    /// - Parameters:
    ///   - ids: Token ids.
    ///   - positions: The position of each token in its sequence.
    ///   - keepingAll: Whether the states before each layer are given too.
    ///   - mixing: Attention of one layer, given `[tokens, 3, heads, headDimensions]`, not yet rotated.
    /// - Returns: States `[tokens, hiddenSize]` in the dtype of the embeddings, the final-normed ones last.
    func hiddenStates(
        _ ids: [Int32],
        positions: [Int],
        keepingAll: Bool,
        mixing: (_ layer: Int, _ projectionsT3HK: Tensor, _ rotary: RotaryTable) -> Tensor
    ) -> [Tensor] {
        guard let first = layers.first, let last = layers.last else { return [] }
        let residual = FusedResidual(embedding: ids, in: embeddings, norm: embeddingNorm)
        var kept: [Tensor] = []
        var turns: [RotaryParameters: RotaryTable] = [:]
        var qkvTD = residual.project(nil, through: nil, norm: first.norm, projection: first.projection)
        for index in layers.indices {
            if keepingAll { kept.append(residual.copy.to(outputDType)) }
            let rope = layers[index].rope
            let turn = turns[rope] ?? table(rope, at: positions)
            turns[rope] = turn
            let shape = [ids.count, 3, configuration.attentionHeads, configuration.headDimensions]
            let mixedTD = mixing(index, qkvTD.reshaped(to: shape), turn).reshaped(ids.count, configuration.hiddenSize)
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

    /// The turns of some positions.
    private func table(_ rope: RotaryParameters, at positions: [Int]) -> RotaryTable {
        let count = (positions.max() ?? 0) + 1
        if let table = tables[rope], count <= table.count { return table.rows(at: positions) }
        return .computed(rope, 0..<count, width: configuration.headDimensions, dtype: activationDType)
            .rows(at: positions)
    }
}

extension RotaryTable {
    /// The turns of neighbouring positions, on the CPU.
    fileprivate static func computed(
        _ rope: RotaryParameters,
        _ positions: Range<Int>,
        width: Int,
        dtype: DType
    ) -> RotaryTable {
        RotaryTable(rope, width: width, positions: Tensor(positions.map(Float.init)), dtype: dtype)
    }
}

extension FusedNorm {
    /// The parameters of a layer norm.
    init(_ norm: LayerNorm) {
        self.init(weight: norm.weight, bias: norm.bias, epsilon: norm.epsilon)
    }
}

extension PrepackedWeight {
    /// Packs a linear layer with what its adapters add.
    convenience init(_ linear: Linear, precision: ComputeDType, isGated: Bool = false) {
        self.init(linear.adaptedWeight, bias: linear.bias, precision: precision, isGated: isGated)
    }
}
