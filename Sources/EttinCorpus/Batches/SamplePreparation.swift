/// What the training code does to a stored sample before it is batched: start token, length limit, end token.
public struct SamplePreparation: Sendable, Hashable {
    /// Maximum number of tokens of a sequence, `max_seq_len`.
    package let maxTokens: Int
    /// Whether a sequence ends with the end token: the encoder's do, the decoder's end as they are stored.
    package let appendsEnd: Bool
    /// The ids of the special tokens.
    package let specials: SpecialTokens

    /// Creates a preparation.
    ///
    /// - Parameters:
    ///   - maxTokens: Maximum number of tokens of a sequence, `max_seq_len`; at least 2.
    ///   - appendsEnd: Whether a sequence ends with the end token.
    ///   - specials: The ids of the special tokens.
    public init(maxTokens: Int, appendsEnd: Bool, specials: SpecialTokens = SpecialTokens()) {
        precondition(maxTokens >= 2, "SamplePreparation: \(maxTokens) tokens leave no room for the special ones")
        self.maxTokens = maxTokens
        self.appendsEnd = appendsEnd
        self.specials = specials
    }

    /// Prepares a sample.
    ///
    /// - Parameters:
    ///   - ids: The stored token ids.
    ///   - sample: The number of the sample, for messages.
    /// - Returns: At most `maxTokens` ids, the first of them the start token.
    /// - Throws: `CorpusError` when the sample holds padding.
    package func prepared(_ ids: [Int32], sample: Int) throws -> [Int32] {
        guard !ids.contains(specials.padding) else {
            throw CorpusError(
                .malformed,
                file: "sample \(sample)",
                found: "holds the padding token \(specials.padding)",
                expected: "ids without padding"
            )
        }
        var result: [Int32] = []
        result.reserveCapacity(min(maxTokens, ids.count + 2))
        if ids.first != specials.start { result.append(specials.start) }
        result += ids.prefix(maxTokens - result.count)
        return appendsEnd ? endingPrepared(result) : result
    }

    /// Ends a sample that was prepared without an end token with one.
    ///
    /// - Parameter ids: What ``prepared(_:sample:)`` gave.
    /// - Returns: At most `maxTokens` ids, the last of them the end token.
    func endingPrepared(_ ids: [Int32]) -> [Int32] {
        guard ids.last != specials.end else { return ids }
        return ids.prefix(maxTokens - 1) + [specials.end]
    }
}
