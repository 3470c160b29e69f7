// Keys and values of tokens a decoder has seen, so that each new token costs one row of work.
//
// - Keys are stored after rotation.
// - A global layer keeps all tokens, in pages of 64 that lie anywhere: a sequence grows without moving itself or another,
//   and memory grows with the tokens of all sequences. Full pages never change again, so that forks share them.
// - A local layer keeps only what its window reaches, in a ring: the token at position p lies in place p mod span. The
//   ring then holds exactly the tokens a new query sees, so that no mask is needed; attention does not ask for order.
// - Pages are the same numbers in all global layers, and rings in all local ones: what a pass needs to know of them is
//   worked out once; see CachePass.
import Synchronization
import Torch

/// One sequence of a ``KVCache``.
public struct CachedSequence: Sendable, Hashable, CustomStringConvertible {
    private static let nextNumber = Atomic<UInt64>(1)
    private let number: UInt64

    /// A sequence unlike any other of the process, so that it is unknown to every cache but its own.
    init() {
        number = Self.nextNumber.add(1, ordering: .relaxed).oldValue
    }

    /// The sequence as messages name it.
    public var description: String { "sequence \(number)" }
}

/// The keys and values of some sequences in every layer of a decoder.
///
/// Sequences join, grow, fork and leave independently of each other; a forward pass takes any of them:
///
/// ```swift
/// let cache = KVCache(for: model.trunk)
/// let prompt = cache.join()
/// _ = try model.nextTokenLogits(CachedBatch([prompt], tokens: [promptIDs]), cache: cache)
/// let choices = try cache.fork(prompt, count: 2)
/// let hidden = try model.trunk(CachedBatch(choices, tokens: [firstIDs, secondIDs]), cache: cache)
/// ```
///
/// Not `Sendable`: a cache serves one pass at a time. Different caches of one model serve passes on different threads.
public final class KVCache {
    /// The tokens of a page of a global layer.
    static let pageSize = 64

    private struct Layer {
        let window: AttentionWindow
        /// How many tokens a local layer keeps; nil for all.
        let span: Int?
        /// `[pageSize, heads, headDimensions]`, or `[span, heads, headDimensions]` of a local layer.
        let pageShape: [Int]
        /// `[pages]`, or `[rings]` of a local layer, each of that shape.
        var keys: Tensor
        var values: Tensor
    }

    private struct Entry {
        var length = 0
        let ring: Int32
        var pages: [Int32] = []
    }

    private let configuration: ModernBERTConfiguration
    private let dtype: DType
    private let device: Device
    private var layers: [Layer]
    private var entries: [CachedSequence: Entry] = [:]
    private var pages = CachePagePool()
    private var rings = CachePagePool()

    /// Creates an empty cache.
    ///
    /// - Parameter model: The decoder the cache is for; dtype and device are those of its activations.
    public init(for model: ModernBERT) {
        let configuration = model.configuration
        precondition(configuration.kind == .decoder, "only a decoder's hidden states can be cached")
        self.configuration = configuration
        let (dtype, device) = (model.activationDType, model.device)
        (self.dtype, self.device) = (dtype, device)
        layers = (0..<configuration.layerCount).map { index in
            let window = configuration.window(layer: index, rule: model.windowRule)
            // A window as long as the context forgets nothing, and a ring for it would be as large for short texts.
            let span = window.left.flatMap { $0 + 1 < configuration.maxPositionEmbeddings ? $0 + 1 : nil }
            let pageShape = [span ?? Self.pageSize, configuration.attentionHeads, configuration.headDimensions]
            return Layer(
                window: AttentionWindow(left: window.left, right: window.right),
                span: span,
                pageShape: pageShape,
                keys: .uninitialized([0] + pageShape, dtype, on: device),
                values: .uninitialized([0] + pageShape, dtype, on: device)
            )
        }
    }

    /// The number of sequences that have joined and not left.
    public var sequenceCount: Int { entries.count }

    /// How many pages global layers must have for those in use.
    var pageCount: Int { pages.count }

    /// The number of tokens of a sequence seen so far.
    ///
    /// - Parameter sequence: A sequence of this cache.
    /// - Returns: The number of tokens, 0 for one that has just joined.
    /// - Throws: ``KVCacheError/unknownSequence(_:)``.
    public func length(of sequence: CachedSequence) throws -> Int { try entry(of: sequence).length }

    /// Adds a sequence without tokens.
    public func join() -> CachedSequence {
        let sequence = CachedSequence()
        entries[sequence] = Entry(ring: rings.take())
        return sequence
    }

    /// Removes a sequence; its memory is reused by later ones.
    ///
    /// - Parameter sequence: A sequence of this cache.
    /// - Throws: ``KVCacheError/unknownSequence(_:)``.
    public func leave(_ sequence: CachedSequence) throws {
        forget(sequence, try entry(of: sequence))
    }

    /// Adds sequences that begin with all the tokens of another, which remains.
    ///
    /// Nothing is computed. In a global layer a fork shares the full pages of the prefix and copies what lies beyond
    /// them, 63 tokens at most; in a local layer it copies the window.
    ///
    /// - Parameters:
    ///   - sequence: A sequence of this cache, of any length.
    ///   - count: The number of forks.
    /// - Returns: The forks, sequences like any other.
    /// - Throws: ``KVCacheError/unknownSequence(_:)``. Without memory, the enclosing recovery scope fails, and there are
    ///   no forks.
    public func fork(_ sequence: CachedSequence, count: Int = 1) throws -> [CachedSequence] {
        precondition(count >= 0, "\(count) forks")
        let parent = try entry(of: sequence)
        let shared = parent.pages.prefix(parent.length / Self.pageSize)
        let forks = (0..<count).map { _ in CachedSequence() }
        let children = forks.map { _ -> Entry in
            for page in shared { pages.share(page) }
            let own = parent.pages.dropFirst(shared.count).map { _ in pages.take() }
            return Entry(length: parent.length, ring: rings.take(), pages: shared + own)
        }
        if grow() { copy(parent, to: children, from: shared.count * Self.pageSize) }
        for (fork, child) in zip(forks, children) {
            if recoveryScopeHasFailed { release(child) } else { entries[fork] = child }
        }
        return forks
    }

    /// Copies what forks have of their own.
    ///
    /// - Parameters:
    ///   - parent: The sequence that is forked.
    ///   - children: The forks.
    ///   - first: The first token that global layers do not share.
    private func copy(_ parent: Entry, to children: [Entry], from first: Int) {
        var copies: [Int?: (from: Tensor, to: Tensor)] = [:]
        for layer in layers {
            if copies[layer.span] == nil {
                let first = layer.span == nil ? first : 0
                let places = first..<max(first, min(parent.length, layer.span ?? .max))
                let from = children.flatMap { _ in places.map { row(of: parent, $0, span: layer.span) } }
                let to = children.flatMap { child in places.map { row(of: child, $0, span: layer.span) } }
                copies[layer.span] = (Tensor(from).to(device), Tensor(to).to(device))
            }
            guard let (from, to) = copies[layer.span], from.elementCount > 0 else { continue }
            for cached in [layer.keys.rowByRow, layer.values.rowByRow] {
                cached.assignRows(cached.selecting(from), at: to)
            }
        }
    }

    private func entry(of sequence: CachedSequence) throws -> Entry {
        guard let entry = entries[sequence] else { throw KVCacheError.unknownSequence(sequence) }
        return entry
    }

    private func forget(_ sequence: CachedSequence, _ entry: Entry) {
        entries[sequence] = nil
        release(entry)
    }

    private func release(_ entry: Entry) {
        rings.release(entry.ring)
        for page in entry.pages { pages.release(page) }
    }

    /// The row of a flattened cache with the token at a position.
    private func row(of entry: Entry, _ position: Int, span: Int?) -> Int64 {
        if let span { return Int64(Int(entry.ring) * span + position % span) }
        return Int64(Int(entry.pages[position / Self.pageSize]) * Self.pageSize + position % Self.pageSize)
    }

    /// Makes room for all pages and rings in use.
    ///
    /// - Returns: Whether there was memory for it.
    private func grow() -> Bool {
        for index in layers.indices {
            let layer = layers[index]
            let present = layer.keys.size(0)
            let wanted = layer.span == nil ? pages.count : rings.count
            guard present < wanted else { continue }
            func grown(to count: Int) -> (keys: Tensor, values: Tensor) {
                func grown(_ x: Tensor) -> Tensor {
                    let new = Tensor.uninitialized([count - present] + layer.pageShape, dtype, on: device)
                    return present == 0 ? new : .concatenate([x, new])
                }
                return (grown(layer.keys), grown(layer.values))
            }
            // Doubling keeps the cost of copying below that of one copy of the final size. Where there is no memory for
            // it, there may be for what is wanted.
            let doubled = 2 * present > wanted ? attempt { grown(to: 2 * present) } : nil
            let (keys, values) = doubled ?? grown(to: wanted)
            guard keys.size(0) >= wanted, values.size(0) >= wanted else { return false }
            (layers[index].keys, layers[index].values) = (keys, values)
        }
        return true
    }

    // MARK: - One forward pass

    /// Makes room for new tokens and works out where they go, for all layers of the coming forward pass.
    ///
    /// - Throws: ``KVCacheError``; nothing has changed then.
    func begin(_ batch: CachedBatch) throws -> CachePass {
        var seen: Set<CachedSequence> = []
        for (sequence, count) in zip(batch.sequences, batch.tokens.lengths) {
            let start = try entry(of: sequence).length
            guard seen.insert(sequence).inserted else { throw KVCacheError.repeatedSequence(sequence) }
            guard count > 0 else { throw KVCacheError.noTokens(sequence) }
            let limit = configuration.maxPositionEmbeddings
            guard start + count <= limit else {
                throw KVCacheError.overlongSequence(sequence, tokens: start + count, limit: limit)
            }
        }
        for (sequence, count) in zip(batch.sequences, batch.tokens.lengths) {
            guard var entry = entries[sequence] else { continue }
            while entry.pages.count * Self.pageSize < entry.length + count { entry.pages.append(pages.take()) }
            entries[sequence] = entry
        }
        // Without room the scope has failed, what follows does nothing, and with the sequences, which leave when the pass
        // is finished, their pages are given back.
        _ = grow()
        var pass = CachePass(batch, starts: batch.sequences.map { entries[$0]?.length ?? 0 }, on: device)
        for span in Set(layers.map(\.span)) { pass.placements[span] = placement(of: pass, span: span, on: device) }
        return pass
    }

    private func placement(of pass: CachePass, span: Int?, on device: Device) -> CachePass.Placement {
        let entries = pass.sequences.compactMap { self.entries[$0] }
        let singles = entries.dropFirst(pass.wholeCount)
        let ends = singles.map { $0.length + 1 }
        return CachePass.Placement(
            whole: pass.wholeCount > 0 ? whole(pass, entries, span: span, on: device) : nil,
            places: singles.isEmpty
                ? nil
                : CachePlaces(
                    pages: singles.map { span == nil ? $0.pages : [$0.ring] },
                    pageSize: span ?? Self.pageSize,
                    counts: ends.map { Int32(min($0, span ?? .max)) },
                    newPlaces: ends.map { Int32(($0 - 1) % (span ?? .max)) }
                )
        )
    }

    private func whole(_ pass: CachePass, _ entries: [Entry], span: Int?, on device: Device) -> CachePass.Whole {
        let lengths = pass.tokens.lengths
        var rows: [Int64] = []
        var sources: [Int64] = []
        var read: [Int64] = []
        var pastCounts: [Int] = []
        var keyEnds: [Int32] = [0]
        for index in 0..<pass.wholeCount {
            let (start, count) = (pass.starts[index], lengths[index])
            let first = Int64(pass.tokens.cuSeqlens[index])
            for token in max(0, count - (span ?? count))..<count {
                rows.append(row(of: entries[index], start + token, span: span))
                sources.append(first + Int64(token))
            }
            guard start > 0 else { continue }
            // The first new query sees one token fewer of the past than the ring holds, as it sees itself.
            let past = max(0, start - (span.map { $0 - 1 } ?? start))..<start
            let seen = span == nil ? 0..<start + count : past
            read += seen.map { row(of: entries[index], $0, span: span) }
            pastCounts.append(past.count)
            keyEnds.append((keyEnds.last ?? 0) + Int32(past.count + count))
        }
        let continued = pass.rows.continued
        let queryEnds = pass.tokens.cuSeqlens[pass.freshCount...pass.wholeCount]
        return CachePass.Whole(
            rows: Tensor(rows).to(device),
            sources: rows.count == continued.upperBound ? nil : Tensor(sources).to(device),
            read: Tensor(read).to(device),
            pastCounts: pastCounts,
            lengths: SequenceLengths(
                cuSeqlens: queryEnds.map { $0 - Int32(continued.lowerBound) },
                keys: keyEnds,
                on: device
            )
        )
    }

    /// Keeps the keys and values of one layer's new tokens and attends from their queries to all that each sees.
    ///
    /// - Parameters:
    ///   - projections: `[tokens, 3, heads, headDimensions]`, in the order of the pass.
    ///   - rotary: The turns of the new tokens.
    ///   - index: The layer.
    ///   - pass: What ``begin(_:)`` gave for the batch.
    /// - Returns: `[tokens, heads, headDimensions]`.
    func attend(_ projections: Tensor, rotary: RotaryTable, layer index: Int, in pass: CachePass) -> Tensor {
        let layer = layers[index]
        guard let placement = pass.placements[layer.span] else { preconditionFailure("a pass of another cache") }
        var mixed: [Tensor] = []
        if let whole = placement.whole { mixed += attend(projections, rotary: rotary, in: layer, whole, of: pass) }
        if let places = placement.places {
            let single = pass.rows.single
            mixed.append(
                .decodingStep(
                    projections: projections.rows(single),
                    rotation: rotary.rows(single).rotation,
                    keys: layer.keys,
                    values: layer.values,
                    places: places
                )
            )
        }
        return mixed.count == 1 ? mixed[0] : .concatenate(mixed)
    }

    /// The same for the tokens that are stored and read row by row.
    private func attend(
        _ projections: Tensor,
        rotary: RotaryTable,
        in layer: Layer,
        _ whole: CachePass.Whole,
        of pass: CachePass
    ) -> [Tensor] {
        let (fresh, continued, single) = pass.rows
        let parts = projections.rows(0..<single.lowerBound).split(into: 3, along: 1).map(\.withoutPart)
        let (keys, values) = (rotary.rows(0..<single.lowerBound).rotate(parts[1]), parts[2])
        let caches = (keys: layer.keys.rowByRow, values: layer.values.rowByRow)
        var seen: (keys: Tensor, values: Tensor)?
        func read() -> (Tensor, Tensor) { (caches.keys.selecting(whole.read), caches.values.selecting(whole.read)) }
        if !continued.isEmpty, layer.span != nil {
            // New tokens take the places of old ones that the first of their queries still see.
            let past = read()
            seen = (
                pass.joined(past.0, keys, pastCounts: whole.pastCounts),
                pass.joined(past.1, values, pastCounts: whole.pastCounts)
            )
        }
        caches.keys.assignRows(whole.sources.map { keys.selecting($0) } ?? keys, at: whole.rows)
        caches.values.assignRows(whole.sources.map { values.selecting($0) } ?? values, at: whole.rows)
        if !continued.isEmpty, layer.span == nil { seen = read() }

        var mixed: [Tensor] = []
        if !fresh.isEmpty {
            mixed.append(
                .variableLengthAttention(
                    projections: projections.rows(fresh),
                    lengths: pass.freshLengths,
                    window: layer.window,
                    rotation: rotary.rows(fresh).rotation
                )
            )
        }
        if let seen {
            mixed.append(
                .variableLengthAttention(
                    queries: rotary.rows(continued).rotate(parts[0].rows(continued)),
                    keys: seen.keys,
                    values: seen.values,
                    lengths: whole.lengths,
                    window: layer.window
                )
            )
        }
        return mixed
    }

    /// Counts the tokens of a finished forward pass.
    ///
    /// - Parameters:
    ///   - pass: What ``begin(_:)`` gave for the batch.
    ///   - succeeded: Whether all of it was computed. If not, some layers hold keys that others lack, and the sequences
    ///     of the batch leave.
    func finish(_ pass: CachePass, succeeded: Bool) {
        for (sequence, count) in zip(pass.sequences, pass.tokens.lengths) {
            guard let entry = entries[sequence] else { continue }
            if succeeded { entries[sequence]?.length += count } else { forget(sequence, entry) }
        }
    }
}

extension Tensor {
    /// A cache `[pages, pageSize, heads, headDimensions]` with its places as rows; shares storage.
    fileprivate var rowByRow: Tensor { reshaped(size(0) * size(1), size(2), size(3)) }

    /// One of three projections, `[tokens, 1, heads, headDimensions]`, without its second dimension.
    fileprivate var withoutPart: Tensor { reshaped(size(0), size(2), size(3)) }
}
