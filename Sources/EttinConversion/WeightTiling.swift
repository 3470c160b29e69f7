public import EttinModel
import EttinTraining
import Torch

/// Starts a larger model from a smaller one by repeating its weights, or by placing them in the middle.
///
/// Layer `i` of the larger model takes layer `round(i · L / L′)` of the smaller one, halves to even, at most the last.
/// Along each dimension of each matrix, of `n` values before and `N` after, with `o = (N − n) div 2`:
///
/// | mode | value at `i` |
/// |---|---|
/// | ``centerWeights`` | that at `i − o` where there is one, else the larger model's own |
/// | ``tileWeightsFromEdge`` | that at `i mod n` |
/// | ``tileWeightsFromMiddle`` | that at `(i − o) mod n` |
///
/// `Wqkv` is taken apart into queries, keys and values, `Wi` into its two halves. A layer that would take the attention
/// norm of layer 0, which has none, keeps its own.
///
/// > Source: the suite's recipes, `init_from_checkpoint.mode`; Gopher (arXiv 2112.11446), section G.3.3; phi-1.5.
public enum WeightTiling: String, Hashable, Sendable, CaseIterable {
    /// The small matrix in the middle of the large one.
    case centerWeights = "center_weights"
    /// Repeated from the first row and column on.
    case tileWeightsFromEdge = "tile_weights_from_edge"
    /// Repeated to both sides of the middle.
    case tileWeightsFromMiddle = "tile_weights_from_middle"

    /// Replaces the parameters of a model by those of a smaller one.
    ///
    /// The parameters keep their type and device; call it before an optimizer is made, as they are new tensors.
    ///
    /// - Parameters:
    ///   - large: The model, whose weights have been drawn.
    ///   - small: A model of the same vocabulary and blocks with a smaller hidden size, and nothing that is larger.
    /// - Throws: `TrainingError` when the models do not fit each other.
    public func initialize(_ large: LanguageModel, from small: LanguageModel) throws {
        try Self.check(small.configuration, large.configuration)
        let source = [String: Tensor](small.parameters.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        let layers = Self.layerMap(from: small.configuration.layerCount, to: large.configuration.layerCount)
        let state = withoutGradients {
            large.parameters.compactMap { key, tensor -> (key: String, tensor: Tensor)? in
                guard let stored = source[Self.sourceKey(of: key, layers)] else { return nil }
                let values = stored.to(tensor.dtype, tensor.device)
                let parts = Self.parts(of: key)
                let tiled = zip(values.split(into: parts, along: 0), tensor.split(into: parts, along: 0)).map(enlarged)
                return (key, parts == 1 ? tiled[0].copy() : Tensor.concatenate(tiled))
            }
        }
        try large.load(state, allowingMissing: true)
    }

    /// Which layer of the smaller model each layer of the larger one takes.
    static func layerMap(from count: Int, to newCount: Int) -> [Int] {
        (0..<newCount).map { layer in
            let place = Double(layer * count) / Double(newCount)
            return min(count - 1, Int(place.rounded(.toNearestOrEven)))
        }
    }

    private static func sourceKey(of key: String, _ layers: [Int]) -> String {
        let parts = key.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count > 2, parts[1] == "layers", let layer = Int(parts[2]) else { return key }
        return (parts[..<2] + ["\(layers[layer])"] + parts[3...]).joined(separator: ".")
    }

    /// How many matrices lie above each other in one parameter.
    private static func parts(of key: String) -> Int {
        if key.contains(".attn.Wqkv.") { return 3 }
        return key.contains(".mlp.Wi.") ? 2 : 1
    }

    // MARK: - One matrix

    /// A matrix or vector of the small model in the shape of one of the large model's own.
    func enlarged(_ values: Tensor, _ own: Tensor) -> Tensor {
        precondition(values.rank == own.rank, "WeightTiling: \(values.shape) for \(own.shape)")
        guard self != .centerWeights else { return Self.centered(values, in: own, along: 0) }
        return (0..<own.rank).reduce(values) { result, dimension in
            let (count, newCount) = (values.size(dimension), own.size(dimension))
            let offset = self == .tileWeightsFromEdge ? 0 : (newCount - count) / 2
            // The left side's remainders are those of positive numbers.
            let indices = (0..<newCount).map { Int64(($0 - offset % count + count) % count) }
            return result.selecting(Tensor(indices).to(values.device), along: dimension)
        }
    }

    /// `values` in the middle of `own`, from one dimension on.
    private static func centered(_ values: Tensor, in own: Tensor, along dimension: Int) -> Tensor {
        guard dimension < own.rank else { return values }
        let (count, newCount) = (values.size(dimension), own.size(dimension))
        let offset = (newCount - count) / 2
        let middle = own.narrowed(along: dimension, from: offset, count: count)
        let pieces = [
            own.narrowed(along: dimension, from: 0, count: offset),
            centered(values, in: middle, along: dimension + 1),
            own.narrowed(along: dimension, from: offset + count, count: newCount - offset - count),
        ]
        return Tensor.concatenate(pieces, along: dimension)
    }

    // MARK: - Shapes

    private static func check(_ small: ModernBERTConfiguration, _ large: ModernBERTConfiguration) throws {
        func refused(_ key: String, _ found: String, _ expected: String) -> TrainingError {
            TrainingError(.invalidOption, "init_from_checkpoint", found: "has \(key) \(found)", expected: expected)
        }
        guard small.vocabularySize == large.vocabularySize else {
            throw refused("vocab_size", "\(small.vocabularySize)", "that of the model, \(large.vocabularySize)")
        }
        guard small.hiddenSize < large.hiddenSize else {
            throw refused("hidden_size", "\(small.hiddenSize)", "less than that of the model, \(large.hiddenSize)")
        }
        for (key, count, newCount) in [
            ("intermediate_size", small.intermediateSize, large.intermediateSize),
            ("num_hidden_layers", small.layerCount, large.layerCount),
        ] where count > newCount {
            throw refused(key, "\(count)", "at most that of the model, \(newCount)")
        }
        for (key, flag, newFlag) in [
            ("attention_bias", small.attentionBias, large.attentionBias), ("mlp_bias", small.mlpBias, large.mlpBias),
            ("norm_bias", small.normBias, large.normBias), ("decoder_bias", small.decoderBias, large.decoderBias),
            ("classifier_bias", small.classifierBias, large.classifierBias),
            ("tie_word_embeddings", small.tiesWordEmbeddings, large.tiesWordEmbeddings),
        ] where flag != newFlag {
            throw refused(key, "\(flag)", "that of the model, \(newFlag)")
        }
    }
}
