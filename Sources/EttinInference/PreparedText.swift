/// A text as the token ids that a model reads: what preparing gives and computing takes.
///
/// A value, so that a queue can stand between the two: prepare on any thread, collect what several callers prepared, and
/// compute it together where the model is.
public struct PreparedText: Sendable, Hashable {
    /// The token ids, including special tokens.
    public let tokenIDs: [Int32]
    /// Whether tokens of the text were left out.
    public let isTruncated: Bool
    /// How many tokens at the start belong to a prompt that does not count in pooling.
    public let promptTokenCount: Int
    /// What the text is to the task, `query` or `document`; nil where it is neither.
    public let task: String?
    /// How many tokens at the end expand a query and are not attended to.
    public let unattendedTokenCount: Int

    package init(
        _ tokenIDs: [Int32],
        isTruncated: Bool = false,
        promptTokenCount: Int = 0,
        task: String? = nil,
        unattendedTokenCount: Int = 0
    ) {
        self.tokenIDs = tokenIDs
        self.isTruncated = isTruncated
        self.promptTokenCount = promptTokenCount
        self.task = task
        self.unattendedTokenCount = unattendedTokenCount
    }
}

extension [PreparedText] {
    /// Groups texts of similar length into batches of bounded size, longest first.
    ///
    /// Sequences are never padded; similar lengths keep attention in few large calls.
    ///
    /// - Parameters:
    ///   - maxTokens: Maximum number of tokens per batch; a longer text is a batch of its own.
    ///   - maxSequences: Maximum number of texts per batch.
    /// - Returns: The indices of the texts of each batch.
    package func batches(maxTokens: Int = defaultMaxBatchTokens, maxSequences: Int = .max) -> [[Int]] {
        LengthBatches.split(map(\.tokenIDs.count), maxTokens: maxTokens, maxSequences: maxSequences)
    }

    /// Checks that a model can read the texts, which another model's preparer may have made.
    func check(limit: Int, vocabularySize: Int) throws {
        for (index, text) in enumerated() {
            guard text.tokenIDs.count <= limit else {
                throw InferenceError.overlongText(number: index + 1, tokens: text.tokenIDs.count, limit: limit)
            }
            guard text.tokenIDs.allSatisfy({ (0..<Int32(clamping: vocabularySize)).contains($0) }) else {
                throw InferenceError.unsuitableText(
                    number: index + 1,
                    found: "has token \(text.tokenIDs.max() ?? 0)",
                    expected: "tokens below \(vocabularySize), as this model's preparer makes them"
                )
            }
        }
    }
}
