/// The best answers to one question, over all windows on its context.
struct AnswerSearch {
    /// A part of the context.
    struct Span {
        let characters: Range<Int>
        let score: Double
        let logit: Double
    }

    private let topK: Int
    private let maxLength: Int
    private var spans: [Span] = []
    /// The window in which "no answer" is least likely.
    private var noAnswer: Span?

    init(topK: Int, maxLength: Int) {
        self.topK = topK
        self.maxLength = maxLength
    }

    /// Looks for answers in one window.
    ///
    /// - Parameters:
    ///   - window: The window.
    ///   - startsAndEnds: The logits of all its tokens, `[tokens, 2]`, end to end.
    ///   - characters: Those of the context.
    mutating func add(
        _ window: PreparedQuestion.Window,
        startsAndEnds: [Float],
        _ characters: TextCharacters
    ) {
        // The first token stands for "no answer".
        let candidates = [0] + window.tokens
        let (starts, ends) = (candidates.map { startsAndEnds[2 * $0] }, candidates.map { startsAndEnds[2 * $0 + 1] })
        let (startScores, endScores) = (softmax(starts), softmax(ends))
        let empty = Span(
            characters: 0..<0,
            score: startScores[0] * endScores[0],
            logit: Double(starts[0]) + Double(ends[0])
        )
        if empty.score < noAnswer?.score ?? .infinity { noAnswer = empty }

        let places = window.offsets.map { characters.trimmed($0) }
        var best: [(logit: Double, start: Int, end: Int)] = []
        for start in places.indices {
            for end in start..<start + min(maxLength, places.count - start) {
                let logit = Double(starts[start + 1]) + Double(ends[end + 1])
                if topK == 1, let first = best.first, logit <= first.logit { continue }
                guard let span = Self.span(places[start...end]), !span.isEmpty else { continue }
                if topK == 1 { best.removeAll(keepingCapacity: true) }
                best.append((logit, start, end))
            }
        }
        if topK > 1 { best.sort { ($1.logit, $0.start, $0.end) < ($0.logit, $1.start, $1.end) } }
        var found: Set<Range<Int>> = []
        for (logit, start, end) in best where found.count < topK {
            guard let span = Self.span(places[start...end]), found.insert(span).inserted else { continue }
            spans.append(
                Span(characters: span, score: startScores[start + 1] * endScores[end + 1], logit: logit)
            )
        }
    }

    /// The characters from the first to the last token that has any besides white space.
    private static func span(_ places: ArraySlice<Range<Int>>) -> Range<Int>? {
        guard let first = places.first(where: { !$0.isEmpty }), let last = places.last(where: { !$0.isEmpty }) else {
            return nil
        }
        return first.lowerBound..<max(first.lowerBound, last.upperBound)
    }

    /// The best answers of all windows.
    ///
    /// - Parameter handlesImpossibleAnswer: Whether "no answer" is one of them; it is the only one where no token of the
    ///   context has a character besides white space.
    /// - Returns: At least one and at most `topK` different parts of the context, the highest score first.
    func best(handlesImpossibleAnswer: Bool) -> [Span] {
        let all = spans + (handlesImpossibleAnswer || spans.isEmpty ? noAnswer.map { [$0] } ?? [] : [])
        let sorted = all.enumerated().sorted { ($1.element.score, $0.offset) < ($0.element.score, $1.offset) }
        var found: Set<Range<Int>> = []
        return Array(sorted.map(\.element).filter { found.insert($0.characters).inserted }.prefix(topK))
    }
}

extension TextCharacters {
    /// A range without the white space at its ends; empty when there is nothing else.
    fileprivate func trimmed(_ offsets: Range<Int>) -> Range<Int> {
        let part = self[offsets]
        guard let first = part.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = part.lastIndex(where: { !$0.properties.isWhitespace })
        else { return offsets.lowerBound..<offsets.lowerBound }
        return first..<last + 1
    }
}
