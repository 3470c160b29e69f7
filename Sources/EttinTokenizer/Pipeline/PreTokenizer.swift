/// One step of a pre-tokenizer.
enum PreTokenizer: Sendable {
    /// What becomes of the matches of a pattern and of what lies between.
    enum Behavior: String, Sendable, CaseIterable {
        case removed = "Removed"
        case isolated = "Isolated"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    /// When a text gets a replacement character in front.
    enum PrependScheme: String, Sendable {
        case first, never, always
    }

    case split(TextPattern, Behavior, inverts: Bool)
    case metaspace(replacement: [UInt8], PrependScheme, splits: Bool)
    /// The GPT-2 pattern, or no further cut; words are bytes in the model. Only the last step.
    case byteLevel(splits: Bool)
}

/// Cuts the normalised text that one thread works on into words.
struct PreTokenizerState: ~Copyable {
    /// Where a word lies in the text.
    struct Word: BitwiseCopyable {
        var start: Int
        var end: Int
    }

    /// The words, in the end those that the model gets.
    private(set) var words = Scratch<Word>()
    private var nextWords = Scratch<Word>()
    private var patternState = PatternState()
    private let scanner = WordScanner()

    // The word that the behaviours put together.
    private var pending = Word(start: 0, end: 0)
    private var hasPending = false
    private var previousMatches = false

    /// Cuts a text.
    ///
    /// - Parameters:
    ///   - steps: The steps in order.
    ///   - text: The normalised text, which steps may write anew.
    ///   - addsPrefixSpace: Whether byte-level words get a space in front.
    ///   - isTextStart: Whether the piece is the start of the source.
    mutating func apply(
        _ steps: [PreTokenizer],
        to text: inout AlignedText,
        addsPrefixSpace: Bool,
        isTextStart: Bool
    ) {
        words.removeAll()
        if text.count > 0 { words.append(Word(start: 0, end: text.count)) }
        for step in steps {
            switch step {
            case .split(let pattern, let behavior, let inverts):
                nextWords.removeAll()
                for index in 0..<words.count {
                    split(text.pointer, words[index], pattern, behavior, inverts: inverts)
                }
                swap(&words, &nextWords)
            case .metaspace(let replacement, let scheme, let splits):
                replaceSpaces(&text, replacement, scheme, isTextStart: isTextStart)
                guard splits else { continue }
                nextWords.removeAll()
                for index in 0..<words.count {
                    split(text.pointer, words[index], .string(replacement), .mergedWithNext, inverts: false)
                }
                swap(&words, &nextWords)
            case .byteLevel(let splits):
                if addsPrefixSpace { prependSpaces(&text) }
                guard splits else { continue }
                nextWords.removeAll()
                for index in 0..<words.count {
                    let word = words[index]
                    var position = word.start
                    while position < word.end {
                        let wordEnd = scanner.wordEnd(text.pointer, from: position, to: word.end)
                        nextWords.append(Word(start: position, end: wordEnd))
                        position = wordEnd
                    }
                }
                swap(&words, &nextWords)
            }
        }
    }

    // MARK: - Splitting

    private mutating func split(
        _ text: UnsafePointer<UInt8>,
        _ word: Word,
        _ pattern: TextPattern,
        _ behavior: PreTokenizer.Behavior,
        inverts: Bool
    ) {
        hasPending = false
        previousMatches = false
        var position = word.start
        while position < word.end,
            let match = pattern.firstMatch(text, position, word.end, textStart: word.start, &patternState)
        {
            if match.lowerBound > position {
                take(Word(start: position, end: match.lowerBound), matches: inverts, behavior)
            }
            take(Word(start: match.lowerBound, end: match.upperBound), matches: !inverts, behavior)
            position = match.upperBound
        }
        if position < word.end { take(Word(start: position, end: word.end), matches: inverts, behavior) }
        if hasPending { nextWords.append(pending) }
    }

    @inline(__always)
    private mutating func take(_ word: Word, matches: Bool, _ behavior: PreTokenizer.Behavior) {
        let joins: Bool
        switch behavior {
        case .isolated:
            nextWords.append(word)
            return
        case .removed:
            if !matches { nextWords.append(word) }
            return
        case .contiguous: joins = matches == previousMatches
        case .mergedWithPrevious: joins = matches && !previousMatches
        case .mergedWithNext: joins = !matches && previousMatches
        }
        previousMatches = matches
        if hasPending, joins {
            pending.end = word.end
        } else {
            if hasPending { nextWords.append(pending) }
            pending = word
            hasPending = true
        }
    }

    // MARK: - Inserting

    private mutating func replaceSpaces(
        _ text: inout AlignedText,
        _ replacement: [UInt8],
        _ scheme: PreTokenizer.PrependScheme,
        isTextStart: Bool
    ) {
        text.beginStep()
        for index in 0..<words.count {
            let word = words[index]
            let newStart = text.writtenCount
            let first = text.place(at: word.start)
            let startsWithReplacement =
                text.pointer[word.start] == UInt8(ascii: " ")
                || (word.end - word.start >= replacement.count
                    && replacement.indices.allSatisfy { text.pointer[word.start + $0] == replacement[$0] })
            let prepends =
                switch scheme {
                case .never: false
                case .always: true
                case .first: isTextStart && first.start == 0
                }
            if prepends, !startsWithReplacement { text.put(replacement, first) }
            var kept = word.start
            for position in word.start..<word.end where text.pointer[position] == UInt8(ascii: " ") {
                text.keep(kept, position)
                text.put(replacement, text.place(at: position))
                kept = position + 1
            }
            text.keep(kept, word.end)
            words[index] = Word(start: newStart, end: text.writtenCount)
        }
        text.finishStep()
    }

    private mutating func prependSpaces(_ text: inout AlignedText) {
        let needsSpace = (0..<words.count).contains { text.pointer[words[$0].start] != UInt8(ascii: " ") }
        guard needsSpace else { return }
        text.beginStep()
        for index in 0..<words.count {
            let word = words[index]
            let newStart = text.writtenCount
            if text.pointer[word.start] != UInt8(ascii: " ") { text.put(0x20, at: word.start) }
            text.keep(word.start, word.end)
            words[index] = Word(start: newStart, end: text.writtenCount)
        }
        text.finishStep()
    }
}
