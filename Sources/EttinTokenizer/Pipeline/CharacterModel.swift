/// Byte-pair merges of characters, as SentencePiece models have them.
///
/// Often a whole text is one word. It is cut in front of `▁` where no merge rule reaches across, which changes no token and
/// lets the word cache work; what then is still long is merged by a heap.
final class CharacterModel: Sendable {
    private let merges: MergeTable
    private let vocabulary: Vocabulary
    /// Id + 1 of the token of each character, 0 for none.
    private let characterIDs: SharedTable<Int32>
    private let unknownID: Int32?
    private let fusesUnknown: Bool
    private let ignoresMerges: Bool
    private let byteTokens: ByteTokens?

    /// What words may be cut in front of.
    private static let boundary: [UInt8] = Array("\u{2581}".utf8)
    /// Whether words may be cut at all, and the characters behind which they may not.
    private let canCut: Bool
    private let joinedToBoundary: Set<UInt32>
    private let joinsUnknownToBoundary: Bool

    /// Builds a model.
    ///
    /// - Parameters:
    ///   - vocabulary: The tokens.
    ///   - merges: The rules.
    ///   - unknownID: The token of unknown characters; without one they vanish.
    ///   - fusesUnknown: Whether neighbouring unknown characters are one token.
    ///   - ignoresMerges: Whether a word that is a token is that token.
    ///   - fallsBackToBytes: Whether unknown characters are written as bytes where the vocabulary has them.
    init(
        _ vocabulary: Vocabulary,
        _ merges: MergeTable,
        unknownID: Int32?,
        fusesUnknown: Bool,
        ignoresMerges: Bool,
        fallsBackToBytes: Bool
    ) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.unknownID = unknownID
        self.fusesUnknown = fusesUnknown
        self.ignoresMerges = ignoresMerges
        byteTokens = fallsBackToBytes ? ByteTokens(vocabulary) : nil
        let characterIDs = MutableTable<Int32>(capacity: 0x11_0000)
        vocabulary.forEachInFileOrder { text, id in
            guard let lead = text.first, AlignedText.length(leadByte: lead) == text.count else { return }
            characterIDs[Int(decodeScalar(text, 0).scalar)] = id + 1
        }
        self.characterIDs = characterIDs.frozen()

        var joined = Set<UInt32>()
        var joinsUnknown = false
        let unknownText = unknownID.flatMap { vocabulary.text(of: Int($0)) }
        for merge in merges.merges.buffer {
            guard let right = vocabulary.text(of: Int(merge.right)), right.starts(with: Self.boundary),
                let left = vocabulary.text(of: Int(merge.left)), !left.isEmpty
            else { continue }
            var start = left.count - 1
            while start > 0, left[start] & 0xC0 == 0x80 { start -= 1 }
            joined.insert(decodeScalar(left, start).scalar)
            // It may end in the token of a byte or of what is unknown, which stand for other characters.
            if left[left.count - 1] == UInt8(ascii: ">") || Self.ends(left, in: unknownText) { joinsUnknown = true }
        }
        joinedToBoundary = joined
        joinsUnknownToBoundary = joinsUnknown
        // A character that vanishes moves the offsets of all behind it.
        let keepsAll = unknownID != nil || byteTokens?.isComplete ?? false
        canCut = vocabulary.id(of: Self.boundary) != nil && keepsAll && !ignoresMerges
    }

    private static func ends(_ text: UnsafeBufferPointer<UInt8>, in suffix: UnsafeBufferPointer<UInt8>?) -> Bool {
        suffix.map { !$0.isEmpty && text.suffix($0.count).elementsEqual($0) } ?? false
    }

    /// The end of the part of a word that can be encoded apart from what follows.
    func partEnd(_ text: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        guard canCut else { return end }
        var position = start + 1
        while position + Self.boundary.count <= end {
            // `▁` begins with a byte that few other characters begin with.
            if text[position] == 0xE2, text[position + 1] == 0x96, text[position + 2] == 0x81,
                isFree(text, before: position, start)
            {
                return position
            }
            position += 1
        }
        return end
    }

    private func isFree(_ text: UnsafePointer<UInt8>, before position: Int, _ limit: Int) -> Bool {
        var start = position - 1
        while start > limit, text[start] & 0xC0 == 0x80 { start -= 1 }
        let scalar = decodeScalar(UnsafeBufferPointer(start: text, count: position), start).scalar
        return !joinedToBoundary.contains(scalar)
            && (!joinsUnknownToBoundary || characterIDs.pointer[Int(scalar)] != 0)
    }

    /// Appends the tokens of a word, or of a part of one, that is not empty.
    ///
    /// - Parameters:
    ///   - text: The word.
    ///   - length: Its bytes.
    ///   - merger: Memory of this thread.
    ///   - tokens: Takes the tokens.
    func encode(
        _ text: UnsafePointer<UInt8>,
        _ length: Int,
        _ merger: inout BytePairMerger,
        into tokens: inout TokenList
    ) {
        if ignoresMerges, let id = vocabulary.id(text, length) {
            tokens.append(id: id, length: length)
            return
        }
        merger.symbols.removeAll()
        merger.lengths.removeAll()
        var unknownLength = 0
        var position = 0
        let buffer = UnsafeBufferPointer(start: text, count: length)
        while position < length {
            let (scalar, next) = decodeScalar(buffer, position)
            let id = characterIDs.pointer[Int(scalar)] - 1
            if id >= 0 {
                flushUnknown(&unknownLength, &merger)
                merger.symbols.append(id)
                merger.lengths.append(Int32(truncatingIfNeeded: next - position))
            } else if let byteTokens, byteTokens.haveAll(text, position, next) {
                // In front of what is unknown before them, as in the original.
                for byte in position..<next {
                    merger.symbols.append(byteTokens.ids[Int(text[byte])])
                    merger.lengths.append(1)
                }
            } else if unknownID != nil {
                if !fusesUnknown { flushUnknown(&unknownLength, &merger) }
                unknownLength += next - position
            }
            position = next
        }
        flushUnknown(&unknownLength, &merger)
        merger.merge(merges, tracksLengths: true)
        tokens.reserve(2 * merger.symbols.count)
        for index in 0..<merger.symbols.count {
            tokens.append(id: merger.symbols[index], length: Int(merger.lengths[index]))
        }
        // Gives back what a word of many megabytes took.
        merger.symbols.removeAll()
        merger.lengths.removeAll()
    }

    private func flushUnknown(_ length: inout Int, _ merger: inout BytePairMerger) {
        guard length > 0, let unknownID else { return }
        merger.symbols.append(unknownID)
        merger.lengths.append(Int32(truncatingIfNeeded: length))
        length = 0
    }
}
