package import EttinTokenizer

/// How documents are cut into chunks.
public struct ChunkOptions: Hashable, Sendable {
    /// Where the number of ids that a short last piece gets from the chunk before it comes from.
    public enum Draws: Hashable, Sendable {
        /// NumPy's global generator with a seed, drawn from once per short piece, as the published pipeline does; the
        /// result depends on the order in which documents are worked on.
        case sequence(seed: UInt32)
        /// A function of a seed and the document's id.
        case perDocument(seed: UInt64)
    }

    /// Maximum number of ids of a chunk, including special tokens.
    package var chunkSize: Int
    /// Pieces below this length are short.
    package var minimumSize: Int
    /// Pieces below this length are left out, unless they are a document's first.
    package var alwaysSkipSize: Int
    /// Whether a short piece is filled up from the chunk before it; otherwise it is left out.
    package var backfills: Bool
    /// Whether the ids that fill up a short piece stay in the chunk before it too.
    package var duplicatesBackfill: Bool
    /// Whether `alwaysSkipSize` holds for the first piece as well.
    package var skipsShortFirst: Bool
    /// Whether a document that does not end with the end token gets one.
    package var addsEndToken: Bool
    /// Where random numbers come from.
    package var draws: Draws

    /// Creates options; the defaults are those of the published pre-training data.
    ///
    /// - Parameters:
    ///   - chunkSize: Maximum number of tokens of a chunk, including special tokens.
    ///   - minimumSize: Pieces below this length are short.
    ///   - alwaysSkipSize: Pieces below this length are left out, unless they are a document's first.
    ///   - backfills: Whether a short piece is filled up from the chunk before it.
    ///   - duplicatesBackfill: Whether the ids that fill it up stay in the chunk before it too.
    ///   - skipsShortFirst: Whether `alwaysSkipSize` holds for the first piece as well.
    ///   - addsEndToken: Whether a document that does not end with the end token gets one.
    ///   - draws: Where random numbers come from.
    /// - Throws: `CorpusError` when the sizes contradict one another.
    public init(
        chunkSize: Int = 1024,
        minimumSize: Int = 512,
        alwaysSkipSize: Int = 128,
        backfills: Bool = true,
        duplicatesBackfill: Bool = false,
        skipsShortFirst: Bool = false,
        addsEndToken: Bool = false,
        draws: Draws = .sequence(seed: 42)
    ) throws {
        guard chunkSize >= 3, minimumSize >= 0, minimumSize <= chunkSize - 2, alwaysSkipSize >= 0 else {
            throw CorpusError(
                .invalidOption,
                file: "chunking",
                found: "has the sizes \(chunkSize), \(minimumSize) and \(alwaysSkipSize)",
                expected: "a chunk size from 3, a minimum of at most two less, and no negative size"
            )
        }
        self.chunkSize = chunkSize
        self.minimumSize = minimumSize
        self.alwaysSkipSize = alwaysSkipSize
        self.backfills = backfills
        self.duplicatesBackfill = duplicatesBackfill
        self.skipsShortFirst = skipsShortFirst
        self.addsEndToken = addsEndToken
        self.draws = draws
    }

    /// What the published pipeline appends to the name of a folder.
    package var folderSuffix: String {
        let fill = backfills ? "backfill" : "no-backfill"
        return "chunked-\(chunkSize)-\(minimumSize)-\(alwaysSkipSize)-\(fill)-\(duplicatesBackfill ? "dups" : "nodups")"
    }

    /// Room for ids between the two special tokens.
    var contentSize: Int { chunkSize - 2 }

    /// The number below which the draw for a document of so many ids lies; nil when none is drawn.
    ///
    /// Only a last piece can be short, so that a document needs one draw at most.
    func drawBound(idCount: Int) -> Int? {
        let pieceCount = (idCount + contentSize - 1) / contentSize
        guard backfills, !duplicatesBackfill, pieceCount > 1 else { return nil }
        let last = idCount - (pieceCount - 1) * contentSize
        let isFilled = last < minimumSize && last >= alwaysSkipSize
        // Full pieces in front may all be left out only when even a full piece is below the limit.
        let hasChunkBefore = contentSize >= alwaysSkipSize || !skipsShortFirst
        return isFilled && hasChunkBefore ? contentSize - last : nil
    }
}

/// Cuts documents into chunks, token for token as the published pipeline intends.
///
/// > Source: the rules are those of the published chunking script, `chunk_instance` and `enforce_prefix_space`.
package struct Chunker: Sendable {
    /// The chunks of one document.
    package struct Result: Hashable, Sendable {
        /// The chunks in order.
        package var chunks: [[Int32]] = []
        /// Ids that occur in two chunks.
        package var duplicatedTokenCount = 0
        /// Ids that occur in none.
        package var skippedTokenCount = 0
    }

    private let tokenizer: Tokenizer
    /// The sizes and rules.
    package let options: ChunkOptions
    private let startToken: Int32
    private let endToken: Int32

    /// Prepares chunking.
    ///
    /// - Parameters:
    ///   - tokenizer: The tokenizer that made the ids; it is used with a prefix space.
    ///   - options: The sizes and rules.
    /// - Throws: `CorpusError` when the tokenizer has no tokens for start and end.
    package init(tokenizer: Tokenizer, options: ChunkOptions) throws {
        guard
            let start = tokenizer.clsTokenID ?? tokenizer.bosTokenID,
            let end = tokenizer.sepTokenID ?? tokenizer.eosTokenID
        else {
            throw CorpusError(
                .unsupported,
                file: "tokenizer",
                found: "has no tokens for start and end",
                expected: "cls_token and sep_token, or bos_token and eos_token"
            )
        }
        self.tokenizer = tokenizer.withPrefixSpace(true)
        self.options = options
        startToken = start
        endToken = end
    }

    /// The ids of a document with an end token, when the options ask for one.
    func completed(_ ids: [Int32]) -> [Int32] {
        options.addsEndToken && ids.last != endToken ? ids + [endToken] : ids
    }

    /// Cuts a document.
    ///
    /// - Parameters:
    ///   - ids: The document's ids, including special tokens.
    ///   - draw: How many ids a short last piece takes from the chunk before it.
    /// - Returns: The chunks.
    package func chunks(of ids: [Int32], draw: Int) -> Result {
        var result = Result()
        for start in stride(from: 0, to: ids.count, by: options.contentSize) {
            let piece = ids[start..<min(ids.count, start + options.contentSize)]
            let isFirst = start == 0
            if piece.count < options.alwaysSkipSize, !isFirst || options.skipsShortFirst {
                result.skippedTokenCount += piece.count
            } else if piece.count >= options.minimumSize {
                result.chunks.append(finished(Array(piece)))
            } else if options.backfills, let previous = result.chunks.last {
                append(piece, behind: previous, draw: draw, to: &result)
            } else if isFirst {
                result.chunks.append(finished(Array(piece)))
            } else {
                result.skippedTokenCount += piece.count
            }
        }
        return result
    }

    private func append(_ piece: ArraySlice<Int32>, behind previous: [Int32], draw: Int, to result: inout Result) {
        if options.duplicatesBackfill {
            let copied = previous.suffix(options.contentSize - piece.count)
            result.duplicatedTokenCount += copied.count
            result.chunks.append(finished(Array(copied) + piece))
            return
        }
        // The original fails when nothing would be left of the chunk before; here one id stays.
        let count = min(draw, previous.count - 1)
        if count > 0 { result.chunks[result.chunks.count - 1] = finished(Array(previous.dropLast(count))) }
        result.chunks.append(finished(Array(previous.suffix(count)) + piece))
    }

    /// A chunk whose text begins with a space, as every text that the tokenizer sees in training does.
    ///
    /// A chunk of special tokens alone stays as it is; the original fails there.
    private func finished(_ ids: [Int32]) -> [Int32] {
        var chunk = ids
        let text = tokenizer.decodeBytes(ids, skipSpecialTokens: true)
        if let first = text.first, first != UInt8(ascii: " ") {
            chunk = Array(tokenizer.encodeIDs(String(decoding: text, as: UTF8.self)).prefix(options.chunkSize))
        }
        return chunk.first == startToken ? chunk : [startToken] + chunk
    }
}
