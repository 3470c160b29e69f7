import EttinTokenizer

/// The special tokens that a tokenizer puts around and between texts.
struct TemplateTokens: Sendable {
    /// Before the first text, between the two and behind the second.
    let front, middle, back: [Int32]

    /// Reads the template for pairs off an encoding.
    init(_ tokenizer: Tokenizer) {
        // Around empty texts the mask alone could not tell the parts from each other.
        let encoding = tokenizer.encode("a", pair: "a")
        let mask = encoding.specialTokensMask
        let firstText = mask.firstIndex(of: false) ?? 0
        let firstEnd = mask[firstText...].firstIndex(of: true) ?? mask.count
        let secondText = mask[firstEnd...].firstIndex(of: false) ?? firstEnd
        let secondEnd = mask[secondText...].firstIndex(of: true) ?? mask.count
        front = Array(encoding.ids[..<firstText])
        middle = Array(encoding.ids[firstEnd..<secondText])
        back = Array(encoding.ids[max(secondText, secondEnd)...])
    }

    var count: Int { front.count + middle.count + back.count }
}

/// Which text of a pair gives tokens up when the two are too long together.
enum PairTruncation: Sendable {
    /// The longer one, and both alike once they are equally long.
    case longestFirst
    case onlyFirst

    /// The numbers of tokens that two texts keep; nil where the one that gives tokens up would have none left.
    ///
    /// > Source: tokenizers `truncate_encodings`.
    func lengths(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int)? {
        guard first + second > room else { return (first, second) }
        guard self == .longestFirst else {
            return first + second - room < first ? (room - second, second) : nil
        }
        let shorter = min(first, second)
        var kept = (shorter: shorter, longer: room - shorter)
        if kept.longer < shorter { kept = (room / 2, room / 2 + room % 2) }
        return first <= second ? (kept.shorter, kept.longer) : (kept.longer, kept.shorter)
    }
}

/// Two texts that a model reads together.
public struct TextPair: Sendable, Hashable {
    /// The first text, such as a query or a premise.
    public var first: String
    /// The second text, such as a document or a hypothesis.
    public var second: String

    /// Creates a pair.
    ///
    /// - Parameters:
    ///   - first: The first text.
    ///   - second: The second text.
    public init(_ first: String, _ second: String) {
        (self.first, self.second) = (first, second)
    }
}

/// Turns pairs of texts into token ids of lengths that a model serves.
struct PairPreparation: Sendable {
    private let tokenizer: Tokenizer
    /// Maximum number of tokens per pair, including special tokens.
    var limit: Int
    private let threadCount: Int
    private let template: TemplateTokens

    /// Creates a preparation with the limits of one for single texts.
    init(_ preparation: TextPreparation) {
        (tokenizer, limit, threadCount) = (preparation.tokenizer, preparation.limit, preparation.threadCount)
        template = TemplateTokens(tokenizer)
    }

    /// Encodes pairs on all threads.
    ///
    /// - Throws: ``InferenceError/overlongText(number:tokens:limit:)`` for the first pair that is too long, if so asked;
    ///   ``InferenceError/unsuitableText(number:found:expected:)`` where truncation leaves nothing of a text.
    func prepare(
        _ pairs: [TextPair],
        overlong rule: OverlongTextRule,
        truncating: PairTruncation = .longestFirst
    ) throws -> [PreparedText] {
        // The pairs of one query follow each other, and its tokens are the same in all of them. `==` of strings would
        // take different spellings of a character for the same.
        var texts: [String] = []
        var places: [Int] = []
        for pair in pairs {
            if texts.last?.utf8.elementsEqual(pair.first.utf8) != true { texts.append(pair.first) }
            places.append(texts.count - 1)
        }
        let encoded = tokenizer.encodeIDsBatch(
            texts + pairs.map(\.second),
            addSpecialTokens: false,
            threads: threadCount
        )
        return try pairs.indices.map { index in
            try joined(encoded[places[index]], encoded[texts.count + index], number: index + 1, rule, truncating)
        }
    }

    private func joined(
        _ first: [Int32],
        _ second: [Int32],
        number: Int,
        _ rule: OverlongTextRule,
        _ truncating: PairTruncation
    ) throws -> PreparedText {
        let room = limit - template.count
        let count = first.count + second.count
        guard count > room else {
            return PreparedText(template.front + first + template.middle + second + template.back)
        }
        guard room >= 0, let kept = truncating.lengths(first.count, second.count, room: room) else {
            let (fixed, part) = truncating == .onlyFirst ? (second.count, "the text") : (0, "both texts")
            throw InferenceError.noRoom(number: number, tokens: fixed + template.count, limit: limit, for: part)
        }
        guard rule != .refuse else {
            throw InferenceError.overlongText(number: number, tokens: count + template.count, limit: limit)
        }
        func part(_ ids: [Int32], _ count: Int) -> ArraySlice<Int32> {
            rule == .keepStart ? ids.prefix(count) : ids.suffix(count)
        }
        return PreparedText(
            template.front + part(first, kept.first) + template.middle + part(second, kept.second) + template.back,
            isTruncated: true
        )
    }
}
