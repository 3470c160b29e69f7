/// The tokens that must not come next in one sequence.
///
/// > Source: transformers `generation/logits_process.py`.
struct TokenBans {
    private let minimum: Int
    private let endTokenIDs: Set<Int32>
    private let suppressed: [Int]
    private let first: [Int]
    private let words: [[Int32]]
    private let size: Int
    /// Prompt and text, as far as the rules look back.
    private var tokens: [Int32]
    private var newCount = 0

    init(_ options: GenerationOptions, prompt: [Int32], endTokenIDs: Set<Int32>) {
        self.endTokenIDs = endTokenIDs
        minimum = max(options.minNewTokens, options.minLength - prompt.count)
        suppressed = options.suppressedTokenIDs
        first = options.firstSuppressedTokenIDs
        // An end token alone is no bad word: generation could not end.
        words = options.badWordsIDs.map { $0.map(Int32.init(clamping:)) }
            .filter { !$0.isEmpty && !($0.count == 1 && endTokenIDs.contains($0[0])) }
        size = options.noRepeatNGramSize
        tokens = size > 0 || !words.isEmpty ? prompt : []
    }

    /// Whether every token may come.
    var isIdle: Bool {
        suppressed.isEmpty && words.isEmpty && size == 0 && (newCount > 0 || first.isEmpty)
            && (newCount >= minimum || endTokenIDs.isEmpty)
    }

    mutating func append(_ id: Int32) {
        newCount += 1
        if size > 0 || !words.isEmpty { tokens.append(id) }
    }

    /// Rules tokens out.
    func apply(to logits: inout [Float]) {
        func ban(_ id: Int) {
            if logits.indices.contains(id) { logits[id] = -.infinity }
        }
        for id in suppressed { ban(id) }
        if newCount == 0 { for id in first { ban(id) } }
        if newCount < minimum { for id in endTokenIDs { ban(Int(id)) } }
        for word in words where tokens.suffix(word.count - 1).elementsEqual(word.dropLast()) {
            if let last = word.last { ban(Int(last)) }
        }
        guard size > 0, tokens.count >= size else { return }
        let beginning = tokens.suffix(size - 1)
        for start in 0...(tokens.count - size) where tokens[start..<start + size - 1].elementsEqual(beginning) {
            ban(Int(tokens[start + size - 1]))
        }
    }
}
