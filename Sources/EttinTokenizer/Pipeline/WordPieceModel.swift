/// WordPiece: always the longest token that a word, or the rest of one, begins with.
final class WordPieceModel: Sendable {
    private let starts: ByteTrie
    private let continuations: ByteTrie
    private let unknownID: Int32
    private let maxInputCharsPerWord: Int

    /// Builds a model.
    ///
    /// - Parameters:
    ///   - vocabulary: The tokens.
    ///   - prefix: What tokens inside of a word begin with.
    ///   - unknownID: The token of words that the vocabulary has no tokens for.
    ///   - maxInputCharsPerWord: Longer words are unknown.
    init(_ vocabulary: Vocabulary, prefix: [UInt8], unknownID: Int32, maxInputCharsPerWord: Int) {
        starts = ByteTrie { vocabulary.forEachInFileOrder($0) }
        continuations = ByteTrie { add in
            vocabulary.forEachInFileOrder { text, id in
                guard text.starts(with: prefix) else { return }
                add(UnsafeBufferPointer(rebasing: text[prefix.count...]), id)
            }
        }
        self.unknownID = unknownID
        self.maxInputCharsPerWord = maxInputCharsPerWord
    }

    /// Appends the tokens of a word that is not empty.
    func encode(_ text: UnsafePointer<UInt8>, _ length: Int, into tokens: inout TokenList) {
        let first = tokens.count
        if length <= maxInputCharsPerWord || characters(text, length) <= maxInputCharsPerWord {
            var position = 0
            while position < length {
                let trie = position == 0 ? starts : continuations
                guard let match = trie.longestMatch(text, position, length) else { break }
                tokens.append(id: match.value, length: match.length)
                position += match.length
            }
            if position == length { return }
        }
        tokens.count = first
        tokens.append(id: unknownID, length: length)
    }

    private func characters(_ text: UnsafePointer<UInt8>, _ length: Int) -> Int {
        (0..<length).count { text[$0] & 0xC0 != 0x80 }
    }
}
