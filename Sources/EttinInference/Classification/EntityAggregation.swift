import EttinTokenizer

/// Puts the labels of tokens together to entities.
///
/// > Source: transformers 5.23 `pipelines/token_classification.py`, whose heuristics are kept.
struct EntityAggregation {
    private typealias Entity = TokenClassificationPipeline.Entity

    /// A token with the probabilities of all labels.
    private struct Token {
        let id: Int32
        let index: Int
        let offsets: Range<Int>
        let scores: [Double]
        /// Whether the token continues the word of the one before it.
        let continuesWord: Bool

        var best: (label: Int, score: Double) { largest(scores) }
    }

    /// Neighbouring tokens that have a label together: a word, or one token.
    private struct Piece {
        let label: String
        let score: Double
        let tokens: ArraySlice<Token>
    }

    private let tokenizer: Tokenizer
    private let labels: [String]
    private let strategy: TokenClassificationPipeline.AggregationStrategy
    private let characters: TextCharacters

    init(
        _ tokenizer: Tokenizer,
        labels: [String],
        strategy: TokenClassificationPipeline.AggregationStrategy,
        characters: TextCharacters
    ) {
        self.tokenizer = tokenizer
        self.labels = labels
        self.strategy = strategy
        self.characters = characters
    }

    /// The entities of one sequence.
    ///
    /// - Parameters:
    ///   - window: The sequence.
    ///   - logits: Those of all its tokens, `[tokens, labels]`, end to end.
    ///   - ignored: Labels, or kinds, whose entities are left out.
    /// - Returns: The entities in the order of the text.
    func entities(
        of window: PreparedTagging.Window,
        logits: [Float],
        ignoring ignored: Set<String>
    ) -> [TokenClassificationPipeline.Entity] {
        let tokens = zip(window.tokens, window.offsets).map { index, offsets in
            let id = window.text.tokenIDs[index]
            return Token(
                id: id,
                index: index,
                offsets: offsets,
                scores: softmax(logits[index * labels.count..<(index + 1) * labels.count]),
                continuesWord: continuesWord(id, offsets)
            )
        }
        guard strategy != .none else {
            return tokens.filter { !ignored.contains(labels[$0.best.label]) }.map { token in
                Entity(
                    label: labels[token.best.label],
                    score: token.best.score,
                    index: token.index,
                    word: tokenText(token),
                    start: token.offsets.lowerBound,
                    end: token.offsets.upperBound,
                    range: characters.range(token.offsets)
                )
            }
        }
        return groups(pieces(of: tokens)).filter { !isIgnored($0.first?.label ?? "", ignored) }.map(entity)
    }

    /// Whether entities that begin with a label are left out, by its whole name, its kind or the name that is shown.
    ///
    /// A name that is a label of its own means only that: `supported` does not leave out `not-supported`, which is shown
    /// by the same name.
    private func isIgnored(_ label: String, _ ignored: Set<String>) -> Bool {
        let shown = Self.shown(label)
        return ignored.contains(label) || ignored.contains(Self.tag(label).name)
            || ignored.contains(shown) && !labels.contains(shown)
    }

    /// What follows the first hyphen, whatever comes before it.
    private static func shown(_ label: String) -> String {
        label.firstIndex(of: "-").map { String(label[label.index(after: $0)...]) } ?? label
    }

    /// Whether a token continues a word: by its own text where the tokenizer marks that, else by the blank before it.
    private func continuesWord(_ id: Int32, _ offsets: Range<Int>) -> Bool {
        if id == tokenizer.unkTokenID { return false }
        if tokenizer.continuingSubwordPrefix != nil {
            return (tokenizer.idToToken(id) ?? "").unicodeScalars.count != characters[offsets].count
        }
        let start = offsets.lowerBound
        return start > 0 && !characters[start - 1..<start + 1].contains(" ")
    }

    private func tokenText(_ token: Token) -> String {
        guard token.id == tokenizer.unkTokenID else { return tokenizer.idToToken(token.id) ?? "" }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: characters[token.offsets])
        return String(text)
    }

    private func pieces(of tokens: [Token]) -> [Piece] {
        var words: [Range<Int>] = []
        for (index, token) in tokens.enumerated() {
            if strategy != .simple, token.continuesWord, let last = words.popLast() {
                words.append(last.lowerBound..<index + 1)
            } else {
                words.append(index..<index + 1)
            }
        }
        return words.map { word in
            let tokens = tokens[word]
            let (label, score) = best(tokens)
            return Piece(label: labels[label], score: score, tokens: tokens)
        }
    }

    private func best(_ tokens: ArraySlice<Token>) -> (label: Int, score: Double) {
        switch strategy {
        case .none, .simple, .first: tokens.first?.best ?? (0, 0)
        case .max:
            // The first of equally certain tokens.
            tokens.map(\.best).reduce((0, -1)) { $1.1 > $0.1 ? $1 : $0 }
        case .average:
            largest(labels.indices.map { label in tokens.reduce(0) { $0 + $1.scores[label] } / Double(tokens.count) })
        }
    }

    /// Neighbours of one kind, of which none but the first begins an entity.
    private func groups(_ pieces: [Piece]) -> [ArraySlice<Piece>] {
        var groups: [Range<Int>] = []
        for (index, piece) in pieces.enumerated() {
            let tag = Self.tag(piece.label)
            if let last = groups.last, !tag.begins, tag.name == Self.tag(pieces[index - 1].label).name {
                groups[groups.count - 1] = last.lowerBound..<index + 1
            } else {
                groups.append(index..<index + 1)
            }
        }
        return groups.map { pieces[$0] }
    }

    private func entity(_ pieces: ArraySlice<Piece>) -> TokenClassificationPipeline.Entity {
        let tokens = pieces.flatMap(\.tokens)
        let start = tokens.first?.offsets.lowerBound ?? 0
        let end = max(start, tokens.last?.offsets.upperBound ?? 0)
        return Entity(
            label: Self.shown(pieces.first?.label ?? ""),
            score: pieces.reduce(0) { $0 + $1.score } / Double(max(1, pieces.count)),
            index: nil,
            word: strategy == .simple ? decoded(tokens[...]) : joined(pieces.map { decoded($0.tokens) }),
            start: start,
            end: end,
            range: characters.range(start..<end)
        )
    }

    /// Puts decoded words together, which the original decodes once more as if they were tokens; bytes do not bear that.
    private func joined(_ words: [String]) -> String {
        tokenizer.decodesBytes ? words.joined() : tokenizer.decode(tokens: words)
    }

    private func decoded(_ tokens: ArraySlice<Token>) -> String {
        // The text of an unknown token takes its place.
        let hasUnknown = tokens.contains { $0.id == tokenizer.unkTokenID }
        return hasUnknown ? tokenizer.decode(tokens: tokens.map(tokenText)) : tokenizer.decode(tokens.map(\.id))
    }

    /// The kind of entity that a label names, and whether it begins one; `I-` goes on, as does a label without a prefix.
    static func tag(_ label: String) -> (begins: Bool, name: String) {
        if label.hasPrefix("B-") { return (true, String(label.dropFirst(2))) }
        return (false, label.hasPrefix("I-") ? String(label.dropFirst(2)) : label)
    }

    /// The entities of windows over one text: of those that begin within another the longer stays, then the more certain.
    static func merged(
        _ entities: [TokenClassificationPipeline.Entity]
    ) -> [TokenClassificationPipeline.Entity] {
        var merged: [TokenClassificationPipeline.Entity] = []
        let sorted = entities.enumerated().sorted { ($0.element.start, $0.offset) < ($1.element.start, $1.offset) }
        for entity in sorted.map(\.element) {
            guard let last = merged.last, entity.start < last.end else {
                merged.append(entity)
                continue
            }
            let (length, previous) = (entity.end - entity.start, last.end - last.start)
            if length > previous || length == previous && entity.score > last.score {
                merged[merged.count - 1] = entity
            }
        }
        return merged
    }
}

/// The largest of some scores and its place, the first of equal ones.
package func largest(_ scores: [Double]) -> (label: Int, score: Double) {
    var best = (label: 0, score: scores.first ?? 0)
    for (label, score) in scores.enumerated() where score > best.score { best = (label, score) }
    return best
}
