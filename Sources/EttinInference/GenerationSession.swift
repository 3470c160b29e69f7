import EttinModel
import EttinTokenizer
import Torch

/// Sequences that a decoder continues together, a token each at every step.
///
/// Between two steps sequences may join and leave; what one is continued with does not depend on the others.
final class GenerationSession {
    private let pipeline: TextGenerationPipeline
    private let cache: KVCache
    private var running: [Entry] = []

    private struct Entry {
        let text: GeneratedSequence
        let cached: CachedSequence
        /// What the cache does not have yet: the prompt, then the last token.
        var new: [Int32]
    }

    /// Begins without sequences.
    ///
    /// - Parameter pipeline: The decoder.
    /// - Throws: `TorchError` without memory.
    init(_ pipeline: TextGenerationPipeline) throws {
        self.pipeline = pipeline
        cache = try withRecovery { KVCache(for: pipeline.model.model) }
    }

    /// Whether nothing is left to continue.
    var isEmpty: Bool { running.isEmpty }

    /// The number of sequences.
    var count: Int { running.count }

    /// Adds a sequence to those of the next step.
    func join(_ sequence: GeneratedSequence) {
        running.append(Entry(text: sequence, cached: cache.join(), new: sequence.prompt.tokenIDs))
    }

    /// Removes sequences, whose memory the next ones take.
    ///
    /// - Throws: `KVCacheError` never, as all of them are in the cache.
    func leave(where isLeaving: (GeneratedSequence) -> Bool) throws {
        for entry in running where isLeaving(entry.text) { try cache.leave(entry.cached) }
        running.removeAll { isLeaving($0.text) }
    }

    /// Continues every sequence by a token; those that have ended, or failed, leave.
    ///
    /// - Parameter onText: Receives the text that has become certain.
    /// - Throws: `TorchError` when memory or device fails, after which no sequence can be continued; what `onText` throws.
    func step(onText: (GeneratedSequence, String) throws -> Void) throws {
        try withRecovery {
            try withoutGradients {
                let batch = CachedBatch(running.map(\.cached), tokens: running.map(\.new))
                let logits = try pipeline.model.nextTokenLogits(batch, cache: cache)
                for (index, id) in try choose(logits, for: running.map(\.text)).enumerated() {
                    guard let id else { continue }
                    let text = running[index].text
                    let piece = text.append(id)
                    if !piece.isEmpty { try onText(text, piece) }
                    running[index].new = [id]
                }
                try leave(where: \.isFinished)
            }
        }
    }

    /// The next token of each sequence; nil, with the reason kept by the sequence, where there is none.
    private func choose(_ logits: Tensor, for sequences: [GeneratedSequence]) throws -> [Int32?] {
        // Rows beyond the tokenizer's ids only fill up the matrix; they name no token.
        let count = min(pipeline.tokenizer.vocabularySize, logits.size(1))
        guard count > 0 else { return try logits.array(of: Int32.self) }
        let named = logits.narrowed(along: 1, from: 0, count: count)
        if sequences.allSatisfy(\.sampler.isPlainlyGreedy) {
            let ids = try named.argmax(along: 1).array(of: Int64.self)
            // The largest is NaN where any is.
            let places = ids.enumerated().map { row, id in Int64(row * logits.size(1)) + id }
            let peaks = logits.reshaped(-1).selecting(Tensor(places).to(logits.device)).to(.float32)
            return zip(zip(sequences, ids), try peaks.array(of: Float.self)).map { pair, peak in
                let (sequence, id) = pair
                guard peak.isFinite else {
                    sequence.failure = sequence.diverged(pipeline.divergence)
                    return nil
                }
                sequence.sampler.skip(Int32(id))
                return Int32(id)
            }
        }
        let values = try named.to(.float32).array(of: Float.self)
        return sequences.enumerated().map { row, sequence in
            var own = Array(values[row * count..<(row + 1) * count])
            // A head may rule out tokens by -∞; what has diverged has NaN or +∞, or nothing left.
            guard own.allSatisfy({ $0 < .infinity }), own.contains(where: \.isFinite) else {
                sequence.failure = sequence.diverged(pipeline.divergence)
                return nil
            }
            guard let id = sequence.sampler.next(&own) else {
                sequence.failure = InferenceError.unsuitableText(
                    number: sequence.number + 1,
                    found: "cannot be continued: the options rule out every token",
                    expected: "fewer tokens in suppress_tokens, bad_words_ids or no_repeat_ngram_size"
                )
                return nil
            }
            return id
        }
    }
}
