// Keys and values of tokens a decoder has seen, so that each new token costs one row of work.
//
// - Keys are stored after rotation.
// - A local layer keeps only what its window reaches, in a ring: the token at position p lies in place p mod span. The
//   ring then holds exactly the tokens a new query sees, so that no mask is needed; attention does not ask for order.
// - Rows of one sequence are contiguous, so that a new token moves no other.
import Torch

/// The keys and values of a batch of sequences in every layer of a decoder.
public final class KVCache {
    /// The number of tokens of each sequence seen so far.
    public private(set) var lengths: [Int]

    private struct Layer {
        /// How many tokens a local layer keeps; nil for all.
        let span: Int?
        /// `[sequences, capacity, heads, headDimensions]`.
        var keys: Tensor
        var values: Tensor

        var capacity: Int { keys.size(1) }
    }

    /// Where new tokens go in the layers of one span.
    private struct Placement {
        /// Rows of the flattened cache, `[rows]`.
        let rows: Tensor
        /// The tokens of the batch that are kept, `[rows]`; nil for all.
        let sources: Tensor?
        /// The place of each sequence's last token.
        let places: [Int32]
        /// How many places of each sequence are filled afterwards.
        let counts: [Int32]
    }

    private var layers: [Layer]
    private var placements: [Int?: Placement] = [:]

    /// Creates an empty cache.
    ///
    /// - Parameters:
    ///   - model: The trunk the cache is for; dtype and device are those of its parameters.
    ///   - sequenceCount: The number of sequences of the batch.
    public init(for model: ModernBERT, sequenceCount: Int) {
        let configuration = model.configuration
        lengths = [Int](repeating: 0, count: sequenceCount)
        let weight = model.embeddings.tokens.weight
        let shape = [sequenceCount, 0, configuration.attentionHeads, configuration.headDimensions]
        layers = (0..<configuration.layerCount).map { index in
            let left = configuration.window(layer: index, rule: model.windowRule).left
            let empty = Tensor.uninitialized(shape, model.activationDType, on: weight.device)
            return Layer(span: left.map { $0 + 1 }, keys: empty, values: empty)
        }
    }

    /// Goes on with some of the sequences only.
    ///
    /// - Parameter sequences: Their numbers, in the order they are to have from now on.
    public func keep(_ sequences: [Int]) {
        lengths = sequences.map { lengths[$0] }
        for index in layers.indices {
            let rows = Tensor(sequences.map(Int64.init)).to(layers[index].keys.device)
            layers[index].keys = layers[index].keys.selecting(rows)
            layers[index].values = layers[index].values.selecting(rows)
        }
    }

    // MARK: - One forward pass

    /// Makes room for new tokens and works out where they go, for all layers of the coming forward pass.
    func reserve(adding counts: [Int]) {
        let needed = zip(lengths, counts).map(+).max() ?? 0
        placements = [:]
        for index in layers.indices {
            let span = layers[index].span
            let capacity = layers[index].capacity
            let wanted = min(needed, span ?? needed)
            if capacity < wanted {
                // Doubling keeps the cost of copying below that of one copy of the final size.
                let size = min(max(wanted, 2 * capacity, 64), max(span ?? .max, wanted))
                layers[index].keys = grown(layers[index].keys, to: size)
                layers[index].values = grown(layers[index].values, to: size)
            }
            if placements[span] == nil {
                placements[span] = placement(counts, span: span, capacity: layers[index].capacity)
            }
        }
    }

    private func grown(_ x: Tensor, to capacity: Int) -> Tensor {
        var shape = x.shape
        shape[1] = capacity - shape[1]
        return .concatenate([x, .uninitialized(shape, x.dtype, on: x.device)], along: 1)
    }

    /// Layers of one span always have one capacity.
    private func placement(_ counts: [Int], span: Int?, capacity: Int) -> Placement {
        var rows: [Int64] = []
        var sources: [Int64] = []
        var places: [Int32] = []
        var filled: [Int32] = []
        var offset = 0
        for (sequence, count) in counts.enumerated() {
            let start = lengths[sequence]
            let kept = min(count, span ?? count)
            let place = { (position: Int) in span.map { position % $0 } ?? position }
            for token in (count - kept)..<count {
                rows.append(Int64(sequence * capacity + place(start + token)))
                sources.append(Int64(offset + token))
            }
            places.append(Int32(place(max(start + count, 1) - 1)))
            filled.append(Int32(min(start + count, span ?? .max)))
            offset += count
        }
        let device = layers.first?.keys.device ?? .cpu
        return Placement(
            rows: Tensor(rows).to(device),
            sources: rows.count == offset ? nil : Tensor(sources).to(device),
            places: places,
            counts: filled
        )
    }

    /// Keeps the keys and values of one layer, given `[tokens, 3, heads, headDimensions]`.
    func store(_ projections: Tensor, rotary: RotaryTable, layer index: Int) {
        let placement = reserved(layers[index])
        let parts = projections.split(into: 3, along: 1).map { $0.reshaped(-1, $0.size(2), $0.size(3)) }
        for (cached, new) in [(layers[index].keys, rotary.rotate(parts[1])), (layers[index].values, parts[2])] {
            let flat = cached.reshaped(-1, cached.size(2), cached.size(3))
            flat.assignRows(placement.sources.map { new.selecting($0) } ?? new, at: placement.rows)
        }
    }

    /// Keeps one new key and value for each sequence and attends to all that the layer sees.
    func attend(_ projections: Tensor, rotary: RotaryTable, layer index: Int) -> Tensor {
        let placement = reserved(layers[index])
        return .decodingStep(
            projections: projections,
            rotation: rotary.rotation,
            keys: layers[index].keys,
            values: layers[index].values,
            places: placement.places,
            counts: placement.counts
        )
    }

    private func reserved(_ layer: Layer) -> Placement {
        guard let placement = placements[layer.span] else { preconditionFailure("the cache has no room reserved") }
        return placement
    }

    /// Counts the tokens of a finished forward pass.
    func advance(by counts: [Int]) {
        lengths = zip(lengths, counts).map(+)
        placements = [:]
    }
}
