/// A tokenizer that is not byte-level BPE with NFC alone: normaliser, pre-tokenizer and model as its file has them.
///
/// Byte-level BPE, which the models of the suite use, has a path of its own in `EncodingState`.
struct Pipeline: Sendable {
    let normalizers: [Normalizer]
    let preTokenizers: [PreTokenizer]
    let model: TokenModel

    /// Whether a step asks where in the source a word begins, so that places are needed without offsets too.
    private var asksForPlaces: Bool {
        preTokenizers.contains { if case .metaspace(_, .first, _) = $0 { true } else { false } }
    }

    /// Whether a step before the model writes texts anew, so that words no longer lie where they do in the source.
    private var writesAnew: Bool {
        !normalizers.isEmpty || preTokenizers.dropLast().contains { if case .metaspace = $0 { true } else { false } }
    }

    /// Whether the normaliser makes texts lower case.
    var lowercases: Bool { normalizers.contains { if case .lowercase = $0 { true } else { false } } }

    /// Whether places must be tracked for a piece of the source.
    ///
    /// - Parameters:
    ///   - offsets: Whether offsets are asked for.
    ///   - isTextStart: Whether the piece is the start of the source.
    ///   - isCut: Whether added tokens may cut the normalised piece.
    /// - Returns: Whether offsets or a step need them.
    func needsPlaces(offsets: Bool, isTextStart: Bool, isCut: Bool) -> Bool {
        offsets || (isTextStart && asksForPlaces && (isCut || writesAnew))
    }
}

/// What one thread writes while it encodes through a pipeline.
struct PipelineState: ~Copyable {
    var normalizer = NormalizerState()
    var preTokenizer = PreTokenizerState()
    var tokens = TokenList()
    var nodes = Scratch<UnigramModel.Node>()
    /// The text of the piece while its words are encoded.
    var text = AlignedText()
}

extension EncodingState {
    /// Encodes the source between two added tokens that match in raw text.
    mutating func encodePiece(_ start: Int, _ end: Int, through pipeline: Pipeline) {
        let tracksPlaces = pipeline.needsPlaces(
            offsets: wantsOffsets,
            isTextStart: start == 0,
            isCut: !core.normalizedMatcher.isEmpty
        )
        pipelineState.normalizer.text.load(source + start, end - start, tracksPlaces: tracksPlaces)
        pipelineState.normalizer.apply(pipeline.normalizers, tracksPlaces: tracksPlaces)
        let count = pipelineState.normalizer.text.count
        let piece = Piece(
            sourceStart: start,
            text: pipelineState.normalizer.text.pointer,
            count: count,
            alignments: nil,
            stage: .normalized
        )
        split(piece.text, 0, count, core.normalizedMatcher, piece: piece) { state, partStart, partEnd in
            if partStart == 0, partEnd == count {
                swap(&state.pipelineState.text, &state.pipelineState.normalizer.text)
            } else {
                state.pipelineState.text.load(state.pipelineState.normalizer.text, partStart, partEnd)
            }
            state.encodePart(sourceStart: start, through: pipeline)
        }
    }

    /// Encodes the loaded part of a piece, which holds no added tokens.
    private mutating func encodePart(sourceStart: Int, through pipeline: Pipeline) {
        pipelineState.preTokenizer.apply(
            pipeline.preTokenizers,
            to: &pipelineState.text,
            addsPrefixSpace: addsPrefixSpace,
            isTextStart: sourceStart == 0
        )
        readable = pipelineState.text.count
        let piece = Piece(
            sourceStart: sourceStart,
            text: pipelineState.text.pointer,
            count: readable,
            alignments: nil,
            stage: .preTokenized
        )
        for index in 0..<pipelineState.preTokenizer.words.count {
            let word = pipelineState.preTokenizer.words[index]
            switch pipeline.model {
            case .bytes: encodeBytes(piece, word.start, word.end)
            case .characters(let model):
                var position = word.start
                // What a word is cut into has the offsets of the whole.
                while position < word.end {
                    let end = model.partEnd(piece.text, from: position, to: word.end)
                    encodeTokens(piece, position, end) { $0.encodeNew($1, $2, model) }
                    position = end
                }
            case .wordPiece(let model):
                encodeTokens(piece, word.start, word.end) { model.encode($1, $2, into: &$0.pipelineState.tokens) }
            case .unigram(let model):
                let first = ids.count
                encodeTokens(piece, word.start, word.end) { $0.encodeNew($1, $2, model) }
                if wantsTexts { noteUnknownTexts(piece, word.start, first, model) }
            }
        }
    }

    private mutating func encodeNew(_ text: UnsafePointer<UInt8>, _ length: Int, _ model: CharacterModel) {
        model.encode(text, length, &merger, into: &pipelineState.tokens)
    }

    private mutating func encodeNew(_ text: UnsafePointer<UInt8>, _ length: Int, _ model: UnigramModel) {
        model.encode(text, length, &pipelineState.nodes, into: &pipelineState.tokens)
    }

    private mutating func encodeBytes(_ piece: Piece, _ start: Int, _ end: Int) {
        let firstID = ids.count
        if encodeWord(piece.text, start, end - start) {
            if wantsOffsets { appendSpans(firstID, start, piece, prefix: 0) }
        } else {
            encodeIncompleteWord(piece.text, start, end, piece, shift: 0, prefix: 0)
        }
    }

    /// Appends the tokens of a word, from the cache or from the model.
    @inline(__always)
    private mutating func encodeTokens(
        _ piece: Piece,
        _ start: Int,
        _ end: Int,
        _ encode: (inout EncodingState, UnsafePointer<UInt8>, Int) -> Void
    ) {
        let length = end - start
        let key = WordCache.key(piece.text, start, length, readable: readable)
        pipelineState.tokens.removeAll()
        if !cache.lookUp(key, piece.text + start, length, into: &pipelineState.tokens) {
            encode(&self, piece.text + start, length)
            let count = pipelineState.tokens.count
            cache.insert(key, piece.text + start, length, ids: pipelineState.tokens.pointer, count: count)
        }
        let count = pipelineState.tokens.count
        var index = 0
        var position = start
        while index < count {
            ids.append(pipelineState.tokens.pointer[index])
            if wantsOffsets {
                let length = Int(pipelineState.tokens.pointer[index + 1])
                let tokenEnd = min(position + abs(length), piece.count)
                spans.append(pipelineSpan(piece, position, tokenEnd))
                // Bytes of one text share its place.
                if length > 0 { position = tokenEnd }
            }
            index += 2
        }
    }

    /// Notes the texts of unknown tokens, which the original shows as they are.
    private mutating func noteUnknownTexts(_ piece: Piece, _ start: Int, _ first: Int, _ model: UnigramModel) {
        var position = start
        for index in stride(from: 0, to: pipelineState.tokens.count, by: 2) {
            let length = Int(pipelineState.tokens[index + 1])
            if pipelineState.tokens[index] == model.unknownID {
                let bytes = UnsafeBufferPointer(start: piece.text + position, count: length)
                tokenTexts[first + index / 2] = String(decoding: bytes, as: UTF8.self)
            }
            if length > 0 { position += length }
        }
    }

    /// The characters of the source that a range of a pipeline's text came from.
    mutating func pipelineSpan(_ piece: Piece, _ start: Int, _ end: Int) -> CharacterSpan {
        guard end > start else { return CharacterSpan(start: 0, end: 0) }
        let first: AlignedText.Place
        let last: AlignedText.Place
        if piece.stage == .normalized {
            first = pipelineState.normalizer.text.placeOfByte(at: start)
            last = pipelineState.normalizer.text.placeOfByte(at: end - 1)
        } else {
            first = pipelineState.text.placeOfByte(at: start)
            last = pipelineState.text.placeOfByte(at: end - 1)
        }
        let startCharacter = character(at: piece.sourceStart + Int(first.start))
        let endByte = piece.sourceStart + Int(last.end)
        let endCharacter = endByte < sourceCount ? character(at: endByte) : character(at: sourceCount - 1) + 1
        return CharacterSpan(start: startCharacter, end: endCharacter)
    }
}
