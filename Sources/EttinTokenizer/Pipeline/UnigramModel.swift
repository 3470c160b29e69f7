/// Unigram: the tokens of a word whose scores have the largest sum.
///
/// Sums are made in the order of the original, because ties are decided by the last bit.
final class UnigramModel: Sendable {
    /// The scores in the order of the vocabulary's ids.
    let scores: SharedTable<Double>
    private let vocabulary: Vocabulary
    private let trie: ByteTrie
    let unknownID: Int32
    private let unknownScore: Double
    /// The tokens of bytes; nil when unknown characters are not written as bytes.
    private let byteTokens: ByteTokens?

    /// How much less than the lowest score an unknown character has.
    private static let unknownPenalty = 10.0

    /// Builds a model.
    ///
    /// - Parameters:
    ///   - vocabulary: The tokens, with ids from 0 without gaps.
    ///   - scores: A score per id.
    ///   - unknownID: The token of unknown characters.
    ///   - fallsBackToBytes: Whether unknown characters are written as bytes where the vocabulary has them.
    init(_ vocabulary: Vocabulary, scores: [Double], unknownID: Int32, fallsBackToBytes: Bool) {
        self.vocabulary = vocabulary
        self.scores = SharedTable(scores)
        trie = ByteTrie { vocabulary.forEachInFileOrder($0) }
        self.unknownID = unknownID
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
        byteTokens = fallsBackToBytes ? ByteTokens(vocabulary) : nil
    }

    /// The best way to a position in a word.
    struct Node: BitwiseCopyable {
        var score: Double
        var id: Int32
        /// Bytes of the last token; 0 when no way leads here yet.
        var length: Int32
    }

    /// Appends the tokens of a word that is not empty.
    ///
    /// - Parameters:
    ///   - text: The word.
    ///   - length: Its bytes.
    ///   - nodes: Memory of this thread.
    ///   - tokens: Takes the tokens.
    func encode(
        _ text: UnsafePointer<UInt8>,
        _ length: Int,
        _ nodes: inout Scratch<Node>,
        into tokens: inout TokenList
    ) {
        nodes.removeAll()
        nodes.reserve(length + 1)
        nodes.count = length + 1
        let way = nodes.pointer
        way.update(repeating: Node(score: 0, id: 0, length: 0), count: length + 1)
        let scores = scores.pointer
        var start = 0
        while start < length {
            let scoreHere = way[start].score
            let characterEnd = start + AlignedText.length(leadByte: text[start])
            var hasCharacter = false
            var position = start + 1
            var node = trie.root(text[start])
            while node >= 0 {
                let id = trie.value(node)
                if id >= 0 {
                    Self.improve(way + position, scores[Int(id)] + scoreHere, id, position - start)
                    if position == characterEnd { hasCharacter = true }
                }
                guard position < length else { break }
                node = trie.child(node, text[position])
                position += 1
            }
            if !hasCharacter {
                Self.improve(way + characterEnd, unknownScore + scoreHere, unknownID, characterEnd - start)
            }
            start = characterEnd
        }
        collect(text, length, way, into: &tokens)
        // Gives back what a word of many megabytes took.
        nodes.removeAll()
    }

    @inline(__always)
    private static func improve(_ node: UnsafeMutablePointer<Node>, _ score: Double, _ id: Int32, _ length: Int) {
        guard node.pointee.length == 0 || score > node.pointee.score else { return }
        node.pointee = Node(score: score, id: id, length: Int32(truncatingIfNeeded: length))
    }

    /// Follows the way back, turned around in place: the length at a position becomes that of the token that begins there.
    private func collect(
        _ text: UnsafePointer<UInt8>,
        _ length: Int,
        _ way: UnsafeMutablePointer<Node>,
        into tokens: inout TokenList
    ) {
        var end = length
        var following = way[end]
        while end > 0 {
            let start = end - Int(following.length)
            let before = way[start]
            way[start] = following
            following = before
            end = start
        }
        var position = 0
        while position < length {
            let start = position
            let id = way[start].id
            position += Int(way[start].length)
            guard id == unknownID else {
                tokens.append(id: id, length: position - start)
                continue
            }
            // Neighbours without a token are one.
            while position < length, way[position].id == unknownID { position += Int(way[position].length) }
            appendUnknown(text, start, position, into: &tokens)
        }
    }

    private func appendUnknown(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, into tokens: inout TokenList) {
        if let id = vocabulary.id(text + start, end - start) {
            tokens.append(id: id, length: end - start)
        } else if let byteTokens, byteTokens.haveAll(text, start, end) {
            for position in start..<end {
                let isLast = position == end - 1
                tokens.append(id: byteTokens.ids[Int(text[position])], length: isLast ? end - start : start - end)
            }
        } else {
            tokens.append(id: unknownID, length: end - start)
        }
    }
}
