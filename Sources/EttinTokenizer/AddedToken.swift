/// A token that is cut out of the text before the model sees it.
public struct AddedToken: Sendable, Hashable {
    /// The text of the token.
    public var content: String
    /// Whether it matches only where no word character touches it.
    public var isWholeWord: Bool
    /// Whether it swallows the white space in front of it.
    public var stripsLeft: Bool
    /// Whether it swallows the white space behind it.
    public var stripsRight: Bool
    /// Whether it is matched in the normalised text rather than in the raw text.
    public var isNormalized: Bool
    /// Whether it is a control token, which decoding can leave out.
    public var isSpecial: Bool

    /// Creates an added token.
    ///
    /// - Parameters:
    ///   - content: The text of the token.
    ///   - isWholeWord: Whether it matches only where no word character touches it.
    ///   - stripsLeft: Whether it swallows the white space in front of it.
    ///   - stripsRight: Whether it swallows the white space behind it.
    ///   - isNormalized: Whether it is matched in the normalised text; by default unless special.
    ///   - isSpecial: Whether it is a control token.
    public init(
        _ content: String,
        isWholeWord: Bool = false,
        stripsLeft: Bool = false,
        stripsRight: Bool = false,
        isNormalized: Bool? = nil,
        isSpecial: Bool = false
    ) {
        self.content = content
        self.isWholeWord = isWholeWord
        self.stripsLeft = stripsLeft
        self.stripsRight = stripsRight
        self.isNormalized = isNormalized ?? !isSpecial
        self.isSpecial = isSpecial
    }

    /// Compares all fields, the content by bytes.
    public static func == (left: AddedToken, right: AddedToken) -> Bool {
        left.content.utf8.elementsEqual(right.content.utf8) && left.isWholeWord == right.isWholeWord
            && left.stripsLeft == right.stripsLeft && left.stripsRight == right.stripsRight
            && left.isNormalized == right.isNormalized && left.isSpecial == right.isSpecial
    }

    /// Feeds the content to a hasher.
    public func hash(into hasher: inout Hasher) {
        for byte in content.utf8 { hasher.combine(byte) }
        hasher.combine(isSpecial)
    }
}

/// Finds added tokens in text: the leftmost, and of those the longest.
final class AddedTokenMatcher: Sendable {
    /// What to do at a match; the same for all tokens with equal flags.
    struct Pattern: BitwiseCopyable {
        let id: Int32
        let isWholeWord: Bool
        let stripsLeft: Bool
        let stripsRight: Bool
    }

    struct Match {
        let start: Int
        let end: Int
        let pattern: Pattern
    }

    private struct Node: BitwiseCopyable {
        var byte: UInt8
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
        var pattern: Int32 = -1
    }

    /// Whether there is nothing to find.
    let isEmpty: Bool
    private let nodes: SharedTable<Node>
    private let patterns: SharedTable<Pattern>
    /// Child of the root for each first byte, −1 if none.
    private let roots: SharedTable<Int32>
    /// One flag for each pair of first bytes that can begin a match: most positions are dismissed by one look.
    private let pairs: SharedTable<UInt8>

    init(_ tokens: [(text: [UInt8], pattern: Pattern)]) {
        var nodes: [Node] = []
        var patterns: [Pattern] = []
        let roots = MutableTable<Int32>(repeating: -1, count: 256)
        let pairs = MutableTable<UInt8>(capacity: tokens.isEmpty ? 1 : 1 << 16)
        for (text, pattern) in tokens {
            guard let first = text.first else { continue }
            if roots[Int(first)] < 0 {
                roots[Int(first)] = Int32(nodes.count)
                nodes.append(Node(byte: first))
            }
            var node = Int(roots[Int(first)])
            for byte in text.dropFirst() {
                var child = nodes[node].firstChild
                while child >= 0, nodes[Int(child)].byte != byte { child = nodes[Int(child)].nextSibling }
                if child < 0 {
                    child = Int32(nodes.count)
                    nodes.append(Node(byte: byte, nextSibling: nodes[node].firstChild))
                    nodes[node].firstChild = child
                }
                node = Int(child)
            }
            // Of two tokens with the same text, the first listed matches.
            if nodes[node].pattern < 0 {
                nodes[node].pattern = Int32(patterns.count)
                patterns.append(pattern)
            }
            let row = Int(first) << 8
            if text.count == 1 {
                for second in 0..<256 { pairs[row | second] = 1 }
            } else {
                pairs[row | Int(text[1])] = 1
            }
        }
        isEmpty = patterns.isEmpty
        self.nodes = SharedTable(nodes)
        self.patterns = SharedTable(patterns)
        self.roots = roots.frozen()
        self.pairs = pairs.frozen()
    }

    /// The first match at or behind a position.
    func firstMatch(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Match? {
        guard !isEmpty else { return nil }
        let pairs = pairs.pointer
        var position = start
        while position + 1 < end {
            if pairs[Int(text[position]) << 8 | Int(text[position + 1])] != 0,
                let match = longestMatch(text, at: position, to: end)
            {
                return match
            }
            position += 1
        }
        return position < end ? longestMatch(text, at: position, to: end) : nil
    }

    private func longestMatch(_ text: UnsafePointer<UInt8>, at start: Int, to end: Int) -> Match? {
        var node = roots[Int(text[start])]
        var position = start + 1
        var best: Match?
        while node >= 0 {
            let current = nodes[Int(node)]
            if current.pattern >= 0 {
                best = Match(start: start, end: position, pattern: patterns[Int(current.pattern)])
            }
            guard position < end else { break }
            let byte = text[position]
            position += 1
            node = current.firstChild
            while node >= 0, nodes[Int(node)].byte != byte { node = nodes[Int(node)].nextSibling }
        }
        return best
    }
}
