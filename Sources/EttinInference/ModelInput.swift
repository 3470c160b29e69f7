import EttinModel
import EttinTokenizer
import Torch

/// What to do with a text that has more tokens than the model's context.
public enum OverlongTextRule: String, Sendable, Hashable, CaseIterable {
    /// It is an error.
    case refuse
    /// Tokens are left out at the end; special tokens stay.
    case keepStart
    /// Tokens are left out at the start; special tokens stay.
    case keepEnd
}

/// Turns texts into token ids of lengths that a model serves.
struct TextPreparation: Sendable {
    let tokenizer: Tokenizer
    /// Maximum number of tokens per text, including special tokens.
    private(set) var limit: Int
    private let isOpenEnded: Bool
    private let addsSpecialTokens: Bool
    /// The process's setting, which other threads than this one may not see.
    let threadCount = TorchRuntime.threadCount
    /// How many special tokens the tokenizer puts in front of a text and behind it.
    private let specialCounts: (front: Int, back: Int)

    /// Creates a preparation.
    ///
    /// - Parameters:
    ///   - tokenizer: The model's tokenizer.
    ///   - limit: Maximum number of tokens per text, including special tokens.
    ///   - isOpenEnded: Whether special tokens behind a text are left out, so that a decoder can continue it.
    ///   - addsSpecialTokens: Whether there are special tokens at all.
    init(tokenizer: Tokenizer, limit: Int, isOpenEnded: Bool = false, addsSpecialTokens: Bool = true) {
        self.tokenizer = tokenizer
        self.limit = limit
        self.isOpenEnded = isOpenEnded
        self.addsSpecialTokens = addsSpecialTokens
        // Around an empty text the mask alone could not tell the two apart.
        let added = addsSpecialTokens ? tokenizer.encode("a").specialTokensMask : []
        specialCounts = (added.prefix { $0 }.count, added.reversed().prefix { $0 }.count)
    }

    /// The lower of what tokenizer and configuration allow.
    static func limit(_ tokenizer: Tokenizer, _ configuration: ModernBERTConfiguration) -> Int {
        min(tokenizer.modelMaxLength ?? .max, configuration.maxPositionEmbeddings)
    }

    /// The same for texts of fewer tokens.
    func limited(to count: Int) -> TextPreparation {
        var other = self
        other.limit = min(limit, count)
        return other
    }

    /// The token ids of one text, of any length.
    func encodeIDs(_ text: String) -> [Int32] { tokenizer.encodeIDs(text, addSpecialTokens: addsSpecialTokens) }

    /// Encodes texts on all threads.
    ///
    /// - Throws: ``InferenceError/overlongText(number:tokens:limit:)`` for the first text that is too long, if so asked.
    func prepare(_ texts: [String], overlong rule: OverlongTextRule) throws -> [PreparedText] {
        let encoded = tokenizer.encodeIDsBatch(texts, addSpecialTokens: addsSpecialTokens, threads: threadCount)
        return try encoded.enumerated().map { index, ids in
            let given = isOpenEnded ? ids.dropLast(specialCounts.back) : ids[...]
            return try shortened(given, number: index + 1, rule)
        }
    }

    private func shortened(_ ids: ArraySlice<Int32>, number: Int, _ rule: OverlongTextRule) throws -> PreparedText {
        guard ids.count > limit else { return PreparedText(Array(ids)) }
        let (front, back) = (specialCounts.front, isOpenEnded ? 0 : specialCounts.back)
        let room = limit - front - back
        if rule == .refuse { throw InferenceError.overlongText(number: number, tokens: ids.count, limit: limit) }
        guard room >= 0 else {
            throw InferenceError.unsuitableText(
                number: number,
                found: "cannot be shortened to \(limit) tokens, as \(front + back) are special",
                expected: "a limit of \(front + back) or more"
            )
        }
        let content = ids.dropFirst(front).dropLast(back)
        let part = rule == .keepStart ? content.prefix(room) : content.suffix(room)
        return PreparedText(ids.prefix(front) + part + ids.suffix(back), isTruncated: true)
    }
}

/// Groups texts of similar length into batches of bounded size.
///
/// Sequences are never padded; similar lengths keep attention in few large calls.
enum LengthBatches {
    /// Splits the indices of texts, longest first.
    ///
    /// - Parameters:
    ///   - lengths: The number of tokens of each text.
    ///   - maxTokens: Maximum number of tokens per batch; a longer text is a batch of its own.
    ///   - maxSequences: Maximum number of texts per batch.
    /// - Returns: Indices by batch.
    static func split(_ lengths: [Int], maxTokens: Int, maxSequences: Int = .max) -> [[Int]] {
        // Equal lengths keep their order, so that results do not depend on how the sort breaks ties.
        let order = lengths.indices.sorted { (lengths[$1], $0) < (lengths[$0], $1) }
        var batches: [[Int]] = []
        var tokens = 0
        for index in order {
            if let last = batches.last, last.count < maxSequences, tokens + lengths[index] <= maxTokens {
                batches[batches.count - 1].append(index)
                tokens += lengths[index]
            } else {
                batches.append([index])
                tokens = lengths[index]
            }
        }
        return batches
    }
}
