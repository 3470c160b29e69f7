/// A text, or a pair of texts, as tokens.
public struct Encoding: Sendable {
    /// The token ids.
    public internal(set) var ids: [Int32] = []
    /// The token type ids (segment ids) that the tokenizer's template assigns.
    public internal(set) var typeIDs: [Int32] = []
    /// Where each token lies in its text, in Unicode scalars (Python characters) of the text as it was given.
    ///
    /// Tokens that were added by the template have `0..<0`. Characters that normalisation joins count as the first of
    /// them. These are the offsets of the `tokenizers` library.
    public internal(set) var offsets: [Range<Int>] = []
    /// Whether each token was added by the template.
    public internal(set) var specialTokensMask: [Bool] = []

    /// Texts of tokens that are not those of their ids, by position.
    var tokenTexts: [Int: String] = [:]
    let core: TokenizerCore

    /// The number of tokens.
    public var count: Int { ids.count }

    /// The text of each token as the tokenizer file writes it, computed on each call.
    ///
    /// Byte-level tokens are written in the printable byte alphabet (`Ġworld`). An added token that swallowed white
    /// space is shown with it, as the `tokenizers` library does.
    public var tokens: [String] { ids.indices.map { token(at: $0) } }

    /// The text of one token as the tokenizer file writes it.
    package func token(at position: Int) -> String {
        if let text = tokenTexts[position] { return text }
        return core.encodedBytes(of: Int(ids[position])).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
