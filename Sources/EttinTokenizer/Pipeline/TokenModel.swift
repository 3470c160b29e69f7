/// What turns words into tokens.
enum TokenModel: Sendable {
    /// Byte-pair merges of bytes; words are encoded as by the fast path.
    case bytes
    /// Byte-pair merges of characters.
    case characters(CharacterModel)
    case wordPiece(WordPieceModel)
    case unigram(UnigramModel)
}

/// The tokens of one word as a model finds them.
///
/// Each token is two numbers: its id and how many bytes of the word it stands for. A negative length is that of a token
/// that shares its bytes with the next one.
typealias TokenList = Scratch<Int32>

extension Scratch<Int32> {
    @inline(__always)
    mutating func append(id: Int32, length: Int) {
        append(id)
        append(Int32(truncatingIfNeeded: length))
    }
}

/// The tokens `<0x00>` to `<0xFF>` of a vocabulary.
struct ByteTokens: Sendable {
    /// Id of each byte's token, −1 for none.
    let ids: [Int32]

    init(_ vocabulary: Vocabulary) {
        ids = (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return vocabulary.id(of: Array("<0x\(digits.utf8.count < 2 ? "0" : "")\(digits)>".utf8)) ?? -1
        }
    }

    /// Whether all bytes of a text have a token.
    func haveAll(_ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        (start..<end).allSatisfy { ids[Int(text[$0])] >= 0 }
    }

    /// Whether every byte has a token.
    var isComplete: Bool { ids.allSatisfy { $0 >= 0 } }
}
