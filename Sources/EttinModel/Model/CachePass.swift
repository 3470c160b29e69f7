import Torch

/// What all layers of one forward pass over a ``KVCache`` share.
///
/// Sequences are in the order of what attention does with them: those without a past attend among their own new tokens,
/// those with several new tokens to their past and these, those with one new token read the cache where it lies.
struct CachePass {
    /// Where the tokens of the pass go, and what they see, in all layers of one span.
    struct Placement {
        /// Of the sequences without a past or with several new tokens; nil without such.
        let whole: Whole?
        /// Where the sequences with one new token lie; nil without such.
        let places: CachePlaces?
    }

    /// The part of a placement for tokens that are stored and read row by row.
    struct Whole {
        /// Rows of the flattened cache for the new tokens.
        let rows: Tensor
        /// Which tokens these are; nil for all.
        let sources: Tensor?
        /// Rows that continued sequences see; in a local layer, which reads before it writes, the past alone.
        let read: Tensor
        /// How many tokens of the past each continued sequence sees.
        let pastCounts: [Int]
        /// Queries and keys of the continued sequences.
        let lengths: SequenceLengths
    }

    /// The sequences in the order of the pass, and their new tokens.
    let sequences: [CachedSequence]
    let tokens: PackedBatch
    /// How many tokens each sequence has had.
    let starts: [Int]
    /// How many sequences have no past, and how many more have several new tokens.
    let freshCount: Int
    let wholeCount: Int
    /// The lengths of the sequences without a past.
    let freshLengths: SequenceLengths
    var placements: [Int?: Placement] = [:]
    /// The place in the pass of each sequence of the batch; nil where that is its place in the batch.
    private let order: [Int]?
    private let device: Device

    init(_ batch: CachedBatch, starts: [Int], on device: Device) {
        let lengths = batch.tokens.lengths
        let fresh = starts.indices.filter { starts[$0] == 0 }
        let continued = starts.indices.filter { starts[$0] > 0 && lengths[$0] > 1 }
        let order = fresh + continued + starts.indices.filter { starts[$0] > 0 && lengths[$0] == 1 }
        let isReordered = !order.elementsEqual(order.indices)
        (freshCount, wholeCount) = (fresh.count, fresh.count + continued.count)
        sequences = order.map { batch.sequences[$0] }
        self.starts = order.map { starts[$0] }
        tokens =
            isReordered
            ? PackedBatch(order.map { Array(batch.tokens.inputIDs[batch.tokens.range(of: $0)]) }) : batch.tokens
        if isReordered {
            var places = order
            for (place, index) in order.enumerated() { places[index] = place }
            self.order = places
        } else {
            self.order = nil
        }
        freshLengths = SequenceLengths(cuSeqlens: Array(tokens.cuSeqlens[...freshCount]), on: device)
        self.device = device
    }

    /// The tokens of sequences without a past, of those with several new tokens, and of those with one.
    var rows: (fresh: Range<Int>, continued: Range<Int>, single: Range<Int>) {
        let (first, second) = (Int(tokens.cuSeqlens[freshCount]), Int(tokens.cuSeqlens[wholeCount]))
        return (0..<first, first..<second, second..<tokens.tokenCount)
    }

    /// The past of each continued sequence with its new tokens behind it.
    ///
    /// - Parameters:
    ///   - past: Rows of all continued sequences, end to end.
    ///   - new: Rows of all tokens but single ones.
    ///   - pastCounts: How many rows of the past each sequence has.
    /// - Returns: Rows of all continued sequences, end to end.
    func joined(_ past: Tensor, _ new: Tensor, pastCounts: [Int]) -> Tensor {
        var parts: [Tensor] = []
        var first = 0
        for (index, count) in zip(freshCount..<wholeCount, pastCounts) {
            parts += [past.rows(first..<first + count), new.rows(tokens.range(of: index))]
            first += count
        }
        return .concatenate(parts)
    }

    /// Rows of all tokens in the order of the batch.
    func inOrderOfBatch(_ rows: Tensor) -> Tensor {
        guard let order else { return rows }
        return rows.selecting(Tensor(order.flatMap { tokens.range(of: $0).map(Int64.init) }).to(device))
    }
}

extension Tensor {
    /// Some rows, which share storage with the others.
    func rows(_ range: Range<Int>) -> Tensor {
        range.count == size(0) ? self : narrowed(along: 0, from: range.lowerBound, count: range.count)
    }
}
