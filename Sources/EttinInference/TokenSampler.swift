import Torch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Chooses the next token of one sequence from its logits.
///
/// The steps and their order are those of transformers: repetition penalty, tokens that must not come, then, when
/// drawing, temperature, top-k, top-p and min-p.
///
/// > Source: transformers `generation/logits_process.py`.
struct TokenSampler {
    let options: GenerationOptions
    /// A stream of random numbers for this sequence: one number a token, whatever other sequences do.
    private let generator: Philox
    private var step: UInt64 = 0
    /// Tokens of prompt and text, each once.
    private var seen: Set<Int32>
    private var bans: TokenBans

    init(_ options: GenerationOptions, sequence: Int, prompt: [Int32], endTokenIDs: Set<Int32> = []) {
        self.options = options
        generator = Philox(seed: options.seed, stream: UInt64(sequence))
        seen = options.repetitionPenalty == 1 ? [] : Set(prompt)
        bans = TokenBans(options, prompt: prompt, endTokenIDs: endTokenIDs)
    }

    /// Whether the argmax of the unchanged logits is the next token.
    var isPlainlyGreedy: Bool { options.temperature == 0 && options.repetitionPenalty == 1 && bans.isIdle }

    /// Notes a token that was taken from the logits as they are.
    mutating func skip(_ id: Int32) { bans.append(id) }

    /// Chooses a token.
    ///
    /// - Parameter logits: The logits of every token; changed in place.
    /// - Returns: Its id; nil when every token is ruled out.
    mutating func next(_ logits: inout [Float]) -> Int32? {
        let penalty = Float(options.repetitionPenalty)
        if penalty != 1 {
            for id in seen where Int(id) < logits.count {
                let logit = logits[Int(id)]
                logits[Int(id)] = logit < 0 ? logit * penalty : logit / penalty
            }
        }
        bans.apply(to: &logits)
        let id = options.temperature == 0 ? Self.indexOfLargest(logits) : draw(logits)
        guard logits[Int(id)] > -.infinity else { return nil }
        step += 1
        if penalty != 1 { seen.insert(id) }
        bans.append(id)
        return id
    }

    /// The first of the largest values.
    private static func indexOfLargest(_ values: [Float]) -> Int32 {
        var best = 0
        for index in values.indices where values[index] > values[best] { best = index }
        return Int32(best)
    }

    private func draw(_ logits: [Float]) -> Int32 {
        var candidates = logits.indices.map { (id: $0, logit: logits[$0] / Float(options.temperature)) }
        // Ties at the end of top-k stay in, as a threshold on the logits keeps them.
        if options.topK > 0, options.topK < candidates.count {
            let threshold = Self.value(atRank: options.topK, of: candidates.map(\.logit))
            candidates.removeAll { $0.logit < threshold }
        }
        candidates.sort { ($1.logit, $0.id) < ($0.logit, $1.id) }
        let largest = candidates.first?.logit ?? 0
        var weights = candidates.map { exp(Double($0.logit - largest)) }
        if options.topP < 1 {
            let total = weights.reduce(0, +)
            var sum = 0.0
            // The token that passes the threshold is the last one kept.
            let count = weights.firstIndex { weight in
                sum += weight / total
                return sum >= options.topP
            }
            weights = Array(weights.prefix((count ?? weights.count - 1) + 1))
        }
        // Weights fall, so that those too small are at the end; the largest is 1.
        if options.minP > 0, let end = weights.firstIndex(where: { $0 < options.minP }) {
            weights.removeSubrange(max(1, end)...)
        }
        var rest = Double(generator.uniform(at: step)) * weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            rest -= weight
            if rest <= 0 { return Int32(candidates[index].id) }
        }
        return Int32(candidates[weights.count - 1].id)
    }

    /// The `rank`-th largest value, from 1.
    private static func value(atRank rank: Int, of values: [Float]) -> Float {
        // The best so far in falling order: of many values few get in, so that this is one pass and not a sort.
        var best: [Float] = []
        best.reserveCapacity(rank + 1)
        for value in values where best.count < rank || value > best[rank - 1] {
            var (low, high) = (0, best.count)
            while low < high {
                let middle = (low + high) / 2
                if best[middle] >= value { low = middle + 1 } else { high = middle }
            }
            best.insert(value, at: low)
            if best.count > rank { best.removeLast() }
        }
        return best[best.count - 1]
    }
}
