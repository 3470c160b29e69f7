/// How a global batch is divided among ranks and their microbatches.
///
/// The plan is a pure function of the lengths, so every rank computes the same one, and the samples of a global batch
/// are the same at every world size.
public struct MicrobatchPlan: Sendable, Hashable {
    /// The size of a microbatch.
    public enum Size: Sendable, Hashable {
        /// A number of sequences, as the originals divide: each rank takes every world-size-th sample and cuts its
        /// samples in order; the last microbatch may have fewer.
        case sequences(Int)
        /// A number of tokens that no microbatch exceeds. Sequences are packed to come near it, and every rank gets
        /// equally many microbatches, if no microbatch is a single sample.
        case tokens(Int)
    }

    /// The places in the global batch of the samples of each microbatch of each rank.
    ///
    /// A rank has no microbatch when there are fewer samples than ranks, as at the end of an epoch.
    package let ranks: [[[Int]]]

    /// Divides a global batch.
    ///
    /// - Parameters:
    ///   - lengths: The number of tokens of each sample.
    ///   - worldSize: The number of ranks.
    ///   - size: The size of a microbatch.
    /// - Throws: `CorpusError` for an impossible size, or a sample longer than a microbatch.
    package init(lengths: [Int], worldSize: Int, size: Size) throws {
        switch size {
        case .sequences(let count): try self.init(count: lengths.count, worldSize: worldSize, sequences: count)
        case .tokens(let count): try self.init(lengths: lengths, worldSize: worldSize, tokens: count)
        }
    }

    init(count: Int, worldSize: Int, sequences size: Int) throws {
        try Self.check(size, "sequences", worldSize: worldSize)
        ranks = (0..<worldSize).map { rank in
            let own = Array(stride(from: rank, to: count, by: worldSize))
            return stride(from: 0, to: own.count, by: size).map { Array(own[$0..<min($0 + size, own.count)]) }
        }
    }

    private init(lengths: [Int], worldSize: Int, tokens: Int) throws {
        try Self.check(tokens, "tokens", worldSize: worldSize)
        var bins = try WindowPacker.bins(
            lengths.enumerated().map { (item: $0.offset, tokens: $0.element) },
            tokensPerBin: tokens,
            window: max(1, lengths.count)
        )
        Self.split(&bins, toMultipleOf: worldSize, lengths: lengths)
        ranks = (0..<worldSize).map { rank in
            stride(from: rank, to: bins.count, by: worldSize).map { bins[$0] }
        }
    }

    // Collective operations need equally many microbatches on all ranks; the fullest ones are halved until there are.
    private static func split(_ bins: inout [[Int]], toMultipleOf worldSize: Int, lengths: [Int]) {
        func tokens(_ bin: [Int]) -> Int { bin.reduce(0) { $0 + lengths[$1] } }
        while bins.count % worldSize != 0 {
            let divisible = bins.indices.filter { bins[$0].count > 1 }
            guard let fullest = divisible.max(by: { (tokens(bins[$0]), $1) < (tokens(bins[$1]), $0) }) else { return }
            let bin = bins[fullest]
            let half = tokens(bin) / 2
            var taken = 0
            let cut = bin.firstIndex { place in
                taken += lengths[place]
                return taken >= half
            }
            let end = min(max(1, (cut ?? 0) + 1), bin.count - 1)
            bins[fullest] = Array(bin[..<end])
            bins.append(Array(bin[end...]))
        }
    }

    private static func check(_ size: Int, _ unit: String, worldSize: Int) throws {
        guard size >= 1 else {
            throw CorpusError(
                .invalidOption,
                file: "device_train_microbatch_size",
                found: "is \(size) \(unit)",
                expected: "a positive number"
            )
        }
        precondition(worldSize >= 1, "MicrobatchPlan: \(worldSize) ranks")
    }
}
