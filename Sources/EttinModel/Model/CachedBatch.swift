package import Torch

/// New tokens for some sequences of a ``KVCache``: whole prompts, parts of them, and single tokens, in any mixture.
public struct CachedBatch: Sendable, Hashable {
    /// The sequences, each at most once.
    package let sequences: [CachedSequence]
    /// The new tokens of each.
    package let tokens: PackedBatch

    /// Creates a batch.
    ///
    /// - Parameters:
    ///   - sequences: Sequences of one cache.
    ///   - tokens: The new tokens of each, at least one.
    public init(_ sequences: [CachedSequence], tokens: [[Int32]]) {
        precondition(sequences.count == tokens.count, "\(tokens.count) token lists for \(sequences.count) sequences")
        self.sequences = sequences
        self.tokens = PackedBatch(tokens)
    }
}

/// Why a cache cannot serve a request.
public enum KVCacheError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The sequence is not, or no longer, in the cache.
    case unknownSequence(CachedSequence)
    /// A batch names a sequence twice.
    case repeatedSequence(CachedSequence)
    /// A batch has no new token for a sequence.
    case noTokens(CachedSequence)
    /// A sequence would have more tokens than the model has positions.
    case overlongSequence(CachedSequence, tokens: Int, limit: Int)

    /// What was found and what was expected, in one line.
    public var description: String {
        switch self {
        case .unknownSequence(let sequence):
            "\(sequence) is not in the cache; expected one that has joined or was forked there and has not left"
        case .repeatedSequence(let sequence):
            "\(sequence) is in the batch more than once; expected all its new tokens in one list"
        case .noTokens(let sequence):
            "\(sequence) has no new token in the batch; expected at least one"
        case .overlongSequence(let sequence, let tokens, let limit):
            "\(sequence) would have \(tokens) tokens; expected at most \(limit), the positions of the model"
        }
    }
}
