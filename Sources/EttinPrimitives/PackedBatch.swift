/// Token sequences concatenated without padding.
///
/// Sequence `s` owns tokens `cuSeqlens[s] ..< cuSeqlens[s + 1]`. Positions start at 0 in each sequence.
public struct PackedBatch: Sendable, Hashable {
    /// The token ids of all sequences.
    public let inputIDs: [Int32]
    /// Cumulative lengths: 0, then the end of each sequence.
    public let cuSeqlens: [Int32]

    /// Packs sequences in the order given; empty ones keep their place.
    ///
    /// - Parameter sequences: The token ids of each sequence.
    public init(_ sequences: [[Int32]]) {
        var ids: [Int32] = []
        ids.reserveCapacity(sequences.reduce(0) { $0 + $1.count })
        var ends: [Int32] = [0]
        ends.reserveCapacity(sequences.count + 1)
        for sequence in sequences {
            ids += sequence
            ends.append(Int32(ids.count))
        }
        inputIDs = ids
        cuSeqlens = ends
    }

    /// The number of sequences.
    public var sequenceCount: Int { cuSeqlens.count - 1 }

    /// The number of tokens of all sequences.
    public var tokenCount: Int { inputIDs.count }

    /// The number of tokens of each sequence.
    public var lengths: [Int] { zip(cuSeqlens, cuSeqlens.dropFirst()).map { Int($1 - $0) } }

    /// The packed rows of one sequence.
    public func range(of sequence: Int) -> Range<Int> {
        Int(cuSeqlens[sequence])..<Int(cuSeqlens[sequence + 1])
    }

    /// The number of the sequence each token belongs to.
    public var sequenceIndices: [Int64] {
        lengths.enumerated().flatMap { [Int64](repeating: Int64($0.offset), count: $0.element) }
    }
}
