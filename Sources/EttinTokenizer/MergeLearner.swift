/// Finds merge rules: again and again the most frequent pair of neighbours, of equals the one with the smaller ids.
///
/// This follows the original step by step, including that the count of a merged pair is not reset, because published
/// vocabularies were made that way.
struct MergeLearner {
    /// Tokens by id, in the byte alphabet.
    private(set) var tokens: [[UInt8]]
    private(set) var merges: [Merge] = []
    private var idsByToken: [[UInt8]: Int32]

    // Symbols of all words, one word behind the other.
    private var symbols: [Int32] = []
    private var starts: [Int] = []
    private var lengths: [Int32] = []
    private var wordCounts: [Int] = []

    private var pairCounts: [UInt64: Int] = [:]
    private var heap: [Candidate] = []

    private struct Candidate {
        var count: Int
        let pair: UInt64
        let words: [Int32]

        /// Whether this pair is merged before another.
        func precedes(_ other: Candidate) -> Bool {
            count != other.count ? count > other.count : pair < other.pair
        }
    }

    /// Starts with the words of a text.
    ///
    /// - Parameters:
    ///   - counts: The words.
    ///   - tokens: The tokens that exist before any merge; each byte of each word has one.
    init(_ counts: borrowing WordCounts, tokens: [[UInt8]]) {
        self.tokens = tokens
        idsByToken = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, Int32($0)) })
        var byteIDs = [Int32](repeating: -1, count: 256)
        for byte in 0..<256 {
            byteIDs[byte] = idsByToken[ByteAlphabet.text(of: CollectionOfOne(UInt8(byte)))] ?? -1
        }
        for index in 0..<counts.count {
            let (word, count) = counts.entry(index)
            starts.append(symbols.count)
            for byte in word where byteIDs[Int(byte)] >= 0 { symbols.append(byteIDs[Int(byte)]) }
            lengths.append(Int32(symbols.count - starts[index]))
            wordCounts.append(count)
        }
    }

    /// Learns merges until there are enough tokens.
    ///
    /// - Parameters:
    ///   - vocabularySize: How many tokens to make in all.
    ///   - minFrequency: How often a pair must occur.
    mutating func learn(vocabularySize: Int, minFrequency: Int) {
        countPairs()
        while tokens.count < vocabularySize, var top = popFirst() {
            let current = pairCounts[top.pair] ?? 0
            if top.count != current {
                // Other merges changed the count since this entry was made; it goes back to where it belongs.
                top.count = current
                if current > 0 { push(top) }
                continue
            }
            guard top.count >= max(1, minFrequency) else { break }
            merge(top)
        }
    }

    private mutating func countPairs() {
        var words: [UInt64: [Int32]] = [:]
        for word in starts.indices where lengths[word] > 1 {
            for position in starts[word]..<starts[word] + Int(lengths[word]) - 1 {
                let pair = Self.pair(symbols[position], symbols[position + 1])
                pairCounts[pair, default: 0] += wordCounts[word]
                Self.note(word, &words[pair, default: []])
            }
        }
        enqueue(words)
    }

    private mutating func merge(_ top: Candidate) {
        let left = Int32(truncatingIfNeeded: top.pair >> 32)
        let right = Int32(truncatingIfNeeded: top.pair)
        let token = tokens[Int(left)] + tokens[Int(right)]
        let merged: Int32
        if let known = idsByToken[token] {
            merged = known
        } else {
            merged = Int32(tokens.count)
            tokens.append(token)
            idsByToken[token] = merged
        }
        merges.append(Merge(left: left, right: right, merged: merged))
        var grown: [UInt64: [Int32]] = [:]
        for word in top.words { merge(left, right, merged, in: Int(word), &grown) }
        enqueue(grown)
    }

    private mutating func merge(
        _ left: Int32,
        _ right: Int32,
        _ merged: Int32,
        in word: Int,
        _ grown: inout [UInt64: [Int32]]
    ) {
        let start = starts[word]
        let count = wordCounts[word]
        let end = start + Int(lengths[word])
        var read = start
        var write = start
        while read < end {
            guard symbols[read] == left, read + 1 < end, symbols[read + 1] == right else {
                symbols[write] = symbols[read]
                write += 1
                read += 1
                continue
            }
            if write > start {
                let previous = symbols[write - 1]
                pairCounts[Self.pair(previous, left), default: 0] -= count
                let pair = Self.pair(previous, merged)
                pairCounts[pair, default: 0] += count
                Self.note(word, &grown[pair, default: []])
            }
            if read + 2 < end {
                let next = symbols[read + 2]
                pairCounts[Self.pair(right, next), default: 0] -= count
                let pair = Self.pair(merged, next)
                pairCounts[pair, default: 0] += count
                Self.note(word, &grown[pair, default: []])
            }
            symbols[write] = merged
            write += 1
            read += 2
        }
        lengths[word] = Int32(write - start)
    }

    /// Adds a word to a list unless it was the last one added.
    private static func note(_ word: Int, _ words: inout [Int32]) {
        if words.last != Int32(word) { words.append(Int32(word)) }
    }

    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    // MARK: - Heap

    private mutating func enqueue(_ words: [UInt64: [Int32]]) {
        for (pair, words) in words {
            let count = pairCounts[pair] ?? 0
            if count > 0 { push(Candidate(count: count, pair: pair, words: words)) }
        }
    }

    private mutating func push(_ candidate: Candidate) {
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func popFirst() -> Candidate? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var child = parent * 2 + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
