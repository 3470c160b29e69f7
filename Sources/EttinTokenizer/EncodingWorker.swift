/// Encodes texts, one after the other, for one thread at a time.
///
/// `@unchecked Sendable`: workers wait in a locked pool and are handed to one thread each.
final class EncodingWorker: @unchecked Sendable {
    var state: EncodingState

    init(_ core: TokenizerCore) {
        state = EncodingState(core)
    }
}

/// The word cache and all memory that encoding writes.
///
/// A struct because the properties of a class are checked for exclusive access at run time, each time.
struct EncodingState: ~Copyable {
    /// The ids of the last text.
    var ids = Scratch<Int32>(capacity: 1024)
    /// For each id where its source lies, in characters of the text; filled only when offsets are asked for.
    var spans = Scratch<CharacterSpan>(capacity: 1024)
    /// Tokens whose text is not that of their id: added tokens that swallowed white space, and the like.
    var tokenTexts: [Int: String] = [:]

    /// A range of characters (Unicode scalars).
    struct CharacterSpan: BitwiseCopyable {
        var start: Int
        var end: Int
    }

    /// A part of the text between added tokens, after normalisation.
    struct Piece {
        /// Start of the piece in the source text.
        let sourceStart: Int
        let text: UnsafePointer<UInt8>
        let count: Int
        /// Source of each byte relative to `sourceStart`; nil when the text is the source itself.
        let alignments: UnsafePointer<CanonicalComposer.SourceRange>?
        /// Which text of a pipeline this is, to ask for places.
        var stage = Stage.none
    }

    /// The texts of a pipeline.
    enum Stage {
        case none
        /// The normalised piece.
        case normalized
        /// A part of it, as the pre-tokenizer left it.
        case preTokenized
    }

    let core: TokenizerCore
    private let scanner = WordScanner()
    var cache = WordCache()
    var merger = BytePairMerger()
    private var composer = CanonicalComposer()
    private var prefixed = Scratch<UInt8>()
    var pipelineState = PipelineState()

    // The text being encoded.
    private(set) var source: UnsafePointer<UInt8>
    private(set) var sourceCount = 0
    private(set) var isASCII = false
    private(set) var wantsOffsets = false
    private(set) var wantsTexts = false
    private(set) var addsPrefixSpace = false
    private var prefixesFirstPiece = true
    private var splitsWords = true
    var readable = 0
    // Characters that start in `source[0..<cursorByte]`.
    private var cursorByte = 0
    private var cursorCharacters = 0

    init(_ core: TokenizerCore) {
        self.core = core
        // Any valid address will do until there is a text.
        source = UnicodeProperties.shared.flags.pointer
    }

    /// Encodes a text into `ids`, and `spans` when asked for.
    ///
    /// - Parameters:
    ///   - text: Valid UTF-8.
    ///   - offsets: Whether to compute `spans`.
    ///   - texts: Whether to note `tokenTexts`, which is done with offsets in any case.
    ///   - splitting: How words are found.
    mutating func encode(
        _ text: UnsafeBufferPointer<UInt8>,
        offsets: Bool,
        texts: Bool = false,
        splitting: ByteLevelSplitting
    ) {
        ids.removeAll()
        spans.removeAll()
        if !tokenTexts.isEmpty { tokenTexts.removeAll() }
        guard let base = text.baseAddress, !text.isEmpty else { return }
        source = base
        sourceCount = text.count
        wantsOffsets = offsets
        wantsTexts = offsets || texts
        addsPrefixSpace = splitting.addsPrefixSpace
        prefixesFirstPiece = splitting.prefixesFirstPiece
        splitsWords = splitting.splitsWords
        cursorByte = 0
        cursorCharacters = 0
        isASCII = isASCIIText(text)
        if let pipeline = core.pipeline {
            split(source, 0, sourceCount, core.rawMatcher, piece: nil) { state, start, end in
                state.encodePiece(start, end, through: pipeline)
            }
            return
        }
        split(source, 0, sourceCount, core.rawMatcher, piece: nil) { state, start, end in
            state.encodePiece(start, end)
        }
    }

    // MARK: - Added tokens

    /// Cuts a text at added tokens: emits those, and calls `body` with what lies between.
    mutating func split(
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
        _ matcher: AddedTokenMatcher,
        piece: Piece?,
        body: (inout EncodingState, Int, Int) -> Void
    ) {
        var segmentStart = start
        var searchStart = start
        while let match = matcher.firstMatch(text, from: searchStart, to: end) {
            searchStart = match.end
            var tokenStart = match.start
            var tokenEnd = match.end
            let pattern = match.pattern
            if pattern.isWholeWord {
                if tokenStart > start, hasFlag(UnicodeProperties.wordBit, text, before: tokenStart, start) { continue }
                if tokenEnd < end, hasFlag(UnicodeProperties.wordBit, text, at: tokenEnd) { continue }
            }
            if pattern.stripsLeft {
                while tokenStart > start, isSpace(text, before: tokenStart, start) {
                    tokenStart = characterStart(text, before: tokenStart, start)
                }
                tokenStart = max(tokenStart, segmentStart)
            }
            if pattern.stripsRight {
                while tokenEnd < end, isSpace(text, at: tokenEnd) { tokenEnd = characterEnd(text, at: tokenEnd) }
            }
            if segmentStart < tokenStart { body(&self, segmentStart, tokenStart) }
            emitAdded(pattern.id, text, min(tokenStart, tokenEnd), tokenEnd, match, piece)
            // A token behind one that swallowed its space may start inside that space: kept, as in the original.
            segmentStart = tokenEnd
        }
        if segmentStart != end { body(&self, segmentStart, end) }
    }

    private mutating func emitAdded(
        _ id: Int32,
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
        _ match: AddedTokenMatcher.Match,
        _ piece: Piece?
    ) {
        ids.append(id)
        guard wantsTexts else { return }
        if start != match.start || end != match.end || core.modelLengths[id] != nil {
            tokenTexts[ids.count - 1] = String(
                decoding: UnsafeBufferPointer(start: text + start, count: end - start),
                as: UTF8.self
            )
        }
        guard wantsOffsets else { return }
        if let piece {
            spans.append(span(piece, start, end, prefix: 0))
        } else {
            spans.append(CharacterSpan(start: character(at: start), end: character(at: end - 1) + 1))
        }
    }

    // MARK: - Pieces

    /// Encodes the source between two added tokens that match in raw text.
    private mutating func encodePiece(_ start: Int, _ end: Int) {
        var piece = Piece(sourceStart: start, text: source + start, count: end - start, alignments: nil)
        if core.composesCanonically, !isASCII,
            composer.normalize(
                UnsafeBufferPointer(start: source + start, count: end - start),
                aligning: wantsOffsets
            )
        {
            piece = Piece(
                sourceStart: start,
                text: UnsafePointer(composer.bytes.pointer),
                count: composer.bytes.count,
                alignments: wantsOffsets ? UnsafePointer(composer.alignments.pointer) : nil
            )
        }
        split(piece.text, 0, piece.count, core.normalizedMatcher, piece: piece) { state, partStart, partEnd in
            state.encodeWords(piece, partStart, partEnd)
        }
    }

    /// Encodes a part of a piece that holds no added tokens.
    private mutating func encodeWords(_ piece: Piece, _ start: Int, _ end: Int) {
        let isTextStart = start == 0 && piece.sourceStart == 0
        if addsPrefixSpace, prefixesFirstPiece || !isTextStart, piece.text[start] != UInt8(ascii: " ") {
            prefixed.removeAll()
            prefixed.append(UInt8(ascii: " "))
            prefixed.append(from: piece.text + start, count: end - start)
            readable = prefixed.count
            encodeWords(UnsafePointer(prefixed.pointer), 0, prefixed.count, piece, shift: start - 1, prefix: start)
        } else {
            readable = piece.count
            encodeWords(piece.text, start, end, piece, shift: 0, prefix: start)
        }
    }

    /// Encodes words of a piece: `shift` leads from a position in `text` to one in the piece, and `prefix` is the first
    /// position in the piece, to whose character an inserted space counts.
    private mutating func encodeWords(
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
        _ piece: Piece,
        shift: Int,
        prefix: Int
    ) {
        var position = start
        while position < end {
            let wordEnd = splitsWords ? scanner.wordEnd(text, from: position, to: end) : end
            let firstID = ids.count
            if encodeWord(text, position, wordEnd - position) {
                if wantsOffsets { appendSpans(firstID, position + shift, piece, prefix: prefix) }
            } else {
                encodeIncompleteWord(text, position, wordEnd, piece, shift: shift, prefix: prefix)
            }
            position = wordEnd
        }
    }

    mutating func appendSpans(_ firstID: Int, _ start: Int, _ piece: Piece, prefix: Int) {
        var position = start
        let starts = core.decodedStarts.pointer
        let hasOtherLengths = !core.modelLengths.isEmpty
        for index in firstID..<ids.count {
            let id = Int(ids[index])
            var length = Int(starts[id + 1]) - Int(starts[id])
            if hasOtherLengths, let other = core.modelLengths[ids[index]] { length = other }
            spans.append(span(piece, position, position + length, prefix: prefix))
            position += length
        }
    }

    // MARK: - Words

    /// Encodes a word, unless it has bytes that the vocabulary lacks.
    @inline(__always)
    mutating func encodeWord(_ text: UnsafePointer<UInt8>, _ start: Int, _ length: Int) -> Bool {
        let key = WordCache.key(text, start, length, readable: readable)
        if cache.lookUp(key, text + start, length, into: &ids) { return true }
        guard encodeNewWord(text + start, length) else { return false }
        cache.insert(key, text + start, length, ids: merger.symbols.pointer, count: merger.symbols.count)
        // Gives back what a word of many megabytes took.
        merger.symbols.removeAll()
        return true
    }

    @inline(never)
    private mutating func encodeNewWord(_ word: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        merger.symbols.removeAll()
        let symbols = core.byteSymbols.pointer
        if core.ignoresMerges, let id = wholeWord(word, length) {
            merger.symbols.append(id)
        } else {
            merger.symbols.reserve(length)
            for position in 0..<length {
                let symbol = symbols[Int(word[position])]
                guard symbol >= 0 else { return false }
                merger.symbols.append(symbol)
            }
            merger.merge(core.merges, tracksLengths: false)
        }
        ids.append(from: merger.symbols.pointer, count: merger.symbols.count)
        return true
    }

    private func wholeWord(_ word: UnsafePointer<UInt8>, _ length: Int) -> Int32? {
        core.vocabulary.id(of: ByteAlphabet.text(of: UnsafeBufferPointer(start: word, count: length)))
    }

    /// Encodes a word of which the vocabulary lacks some bytes: those become the unknown token, or vanish without one.
    ///
    /// Lengths count bytes of the token text, as in the original: a byte that vanishes moves the offsets of the rest.
    mutating func encodeIncompleteWord(
        _ text: UnsafePointer<UInt8>,
        _ start: Int,
        _ end: Int,
        _ piece: Piece,
        shift: Int,
        prefix: Int
    ) {
        merger.symbols.removeAll()
        merger.lengths.removeAll()
        /// For each byte of the word's token text, the byte it writes.
        var sources: [Int] = []
        var pendingUnknown: Int32 = 0
        for position in start..<end {
            let byte = text[position]
            let length: Int32 = ByteAlphabet.scalars[Int(byte)].value < 0x80 ? 1 : 2
            for _ in 0..<length { sources.append(position) }
            let id = core.byteSymbols[Int(byte)]
            if id >= 0 {
                flushUnknown(&pendingUnknown)
                merger.symbols.append(id)
                merger.lengths.append(length)
            } else if core.unknownID != nil {
                if !core.fusesUnknown { flushUnknown(&pendingUnknown) }
                pendingUnknown += length
            }
        }
        flushUnknown(&pendingUnknown)
        if core.ignoresMerges, let id = wholeWord(text + start, end - start) {
            merger.symbols.removeAll()
            merger.lengths.removeAll()
            merger.symbols.append(id)
            merger.lengths.append(Int32(truncatingIfNeeded: sources.count))
        }
        merger.merge(core.merges, tracksLengths: true)
        ids.append(from: merger.symbols.pointer, count: merger.symbols.count)
        guard wantsOffsets else { return }
        var position = 0
        for index in 0..<merger.symbols.count {
            let last = position + Int(merger.lengths[index]) - 1
            guard last < sources.count, last >= position else { break }
            spans.append(span(piece, sources[position] + shift, sources[last] + 1 + shift, prefix: prefix))
            position = last + 1
        }
    }

    private mutating func flushUnknown(_ length: inout Int32) {
        guard length > 0, let unknownID = core.unknownID else { return }
        merger.symbols.append(unknownID)
        merger.lengths.append(length)
        length = 0
    }

    // MARK: - Offsets

    /// The characters that a range of a piece came from.
    @inline(__always)
    mutating func span(_ piece: Piece, _ start: Int, _ end: Int, prefix: Int) -> CharacterSpan {
        guard piece.stage == .none else { return pipelineSpan(piece, start, end) }
        // An inserted space has the place of the first character.
        let first = max(start, prefix)
        let last = max(end - 1, prefix)
        let startByte: Int
        let lastByte: Int
        if let alignments = piece.alignments {
            startByte = piece.sourceStart + alignments[first].start
            lastByte = piece.sourceStart + max(0, alignments[last].end - 1)
        } else {
            startByte = piece.sourceStart + first
            lastByte = piece.sourceStart + last
        }
        let startCharacter = character(at: startByte)
        return CharacterSpan(start: startCharacter, end: character(at: lastByte) + 1)
    }

    /// The position, counted in characters, of the character that a byte belongs to.
    @inline(__always)
    mutating func character(at byte: Int) -> Int {
        isASCII ? byte : countedCharacter(at: byte)
    }

    private mutating func countedCharacter(at byte: Int) -> Int {
        let target = byte + 1
        while cursorByte < target {
            if source[cursorByte] & 0xC0 != 0x80 { cursorCharacters += 1 }
            cursorByte += 1
        }
        while cursorByte > target {
            cursorByte -= 1
            if source[cursorByte] & 0xC0 != 0x80 { cursorCharacters -= 1 }
        }
        return cursorCharacters - 1
    }

    // MARK: - Characters around a match

    private func characterStart(_ text: UnsafePointer<UInt8>, before position: Int, _ limit: Int) -> Int {
        var start = position - 1
        while start > limit, text[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    private func characterEnd(_ text: UnsafePointer<UInt8>, at position: Int) -> Int {
        decodeScalar(UnsafeBufferPointer(start: text, count: .max), position).next
    }

    private func flags(_ text: UnsafePointer<UInt8>, at position: Int) -> UInt8 {
        let scalar = decodeScalar(UnsafeBufferPointer(start: text, count: .max), position).scalar
        return UnicodeProperties.shared.flags[Int(scalar)]
    }

    private func hasFlag(_ flag: UInt8, _ text: UnsafePointer<UInt8>, at position: Int) -> Bool {
        flags(text, at: position) & flag != 0
    }

    private func hasFlag(_ flag: UInt8, _ text: UnsafePointer<UInt8>, before position: Int, _ limit: Int) -> Bool {
        flags(text, at: characterStart(text, before: position, limit)) & flag != 0
    }

    private func isSpace(_ text: UnsafePointer<UInt8>, at position: Int) -> Bool {
        flags(text, at: position) & UnicodeProperties.classMask == UnicodeProperties.space
    }

    private func isSpace(_ text: UnsafePointer<UInt8>, before position: Int, _ limit: Int) -> Bool {
        isSpace(text, at: characterStart(text, before: position, limit))
    }
}

/// How a text is cut into words before merging.
struct ByteLevelSplitting: Sendable, Hashable {
    /// Whether a piece that does not start with a space gets one.
    var addsPrefixSpace = false
    /// Whether that holds at the start of the text too, which a block from the middle of a text does not want.
    var prefixesFirstPiece = true
    /// Whether the split pattern is used at all.
    var splitsWords = true
}

/// Whether all bytes are below 0x80.
func isASCIIText(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let base = text.baseAddress else { return true }
    let raw = UnsafeRawPointer(base)
    var position = 0
    while position + 32 <= text.count {
        let first =
            raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            | raw.loadUnaligned(fromByteOffset: position + 8, as: UInt64.self)
        let second =
            raw.loadUnaligned(fromByteOffset: position + 16, as: UInt64.self)
            | raw.loadUnaligned(fromByteOffset: position + 24, as: UInt64.self)
        if (first | second) & 0x8080_8080_8080_8080 != 0 { return false }
        position += 32
    }
    while position < text.count {
        if base[position] >= 0x80 { return false }
        position += 1
    }
    return true
}
