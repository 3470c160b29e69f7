import EttinJSON

extension TokenizerFileChecker {
    /// The types of models that are read.
    enum ModelType: String, CaseIterable {
        case bpe = "BPE"
        case wordPiece = "WordPiece"
        case unigram = "Unigram"
    }

    /// The type of the model; old files do not name it.
    func modelType(_ options: JSONObject, hasScores: Bool) throws -> ModelType {
        guard let type = options["type"], !type.isNull else {
            if hasScores { return .unigram }
            return options["max_input_chars_per_word"] != nil ? .wordPiece : .bpe
        }
        guard let known = type.stringValue.flatMap(ModelType.init) else {
            throw unsupported("model.type", type, ModelType.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return known
    }

    /// The model of a pipeline.
    ///
    /// - Parameters:
    ///   - type: Its type.
    ///   - options: The members of `model` but vocabulary and merges.
    ///   - vocabulary: The tokens.
    ///   - merges: The rules of BPE.
    ///   - scores: The scores of Unigram.
    ///   - isByteLevel: Whether words are written in the byte alphabet.
    /// - Returns: The model.
    /// - Throws: `TokenizerError` for options that are not supported or contradict the vocabulary.
    func model(
        _ type: ModelType,
        _ options: JSONObject,
        _ vocabulary: Vocabulary,
        _ merges: MergeTable,
        _ scores: [Double],
        isByteLevel: Bool
    ) throws -> TokenModel {
        if isByteLevel, type != .bpe { throw unsupported("pre_tokenizer", "ByteLevel", "ByteLevel with a BPE model") }
        switch type {
        case .bpe:
            let options = try modelOptions(options)
            if isByteLevel {
                let lacksBytes = (0..<256).contains { byte in
                    vocabulary.id(of: ByteAlphabet.text(of: CollectionOfOne(UInt8(byte)))) == nil
                }
                guard options.fallsBackToBytes, lacksBytes else { return .bytes }
                let supported = "false with a ByteLevel pre-tokenizer and a vocabulary without all bytes"
                throw unsupported("model.byte_fallback", true, supported)
            }
            return .characters(
                CharacterModel(
                    vocabulary,
                    merges,
                    unknownID: try options.unknownToken.map { try id(of: $0, vocabulary) },
                    fusesUnknown: options.fusesUnknown,
                    ignoresMerges: options.ignoresMerges,
                    fallsBackToBytes: options.fallsBackToBytes
                )
            )
        case .wordPiece:
            guard let unknown = options["unk_token"]?.stringValue else {
                throw invalid("model.unk_token", options["unk_token"] ?? .null, "a token of the vocabulary")
            }
            guard let prefix = options["continuing_subword_prefix"]?.stringValue else {
                let found = options["continuing_subword_prefix"] ?? .null
                throw invalid("model.continuing_subword_prefix", found, "a string such as \"##\"")
            }
            guard let longest = options["max_input_chars_per_word"]?.intValue, longest >= 0 else {
                let found = options["max_input_chars_per_word"] ?? .null
                throw invalid("model.max_input_chars_per_word", found, "a number of characters such as 100")
            }
            return .wordPiece(
                WordPieceModel(
                    vocabulary,
                    prefix: Array(prefix.utf8),
                    unknownID: try id(of: unknown, vocabulary),
                    maxInputCharsPerWord: longest
                )
            )
        case .unigram:
            let unknown = options["unk_id"] ?? .null
            guard let number = unknown.intValue, number >= 0, number < scores.count else {
                throw invalid("model.unk_id", unknown, "the id of a token of the vocabulary, below \(scores.count)")
            }
            return .unigram(
                UnigramModel(
                    vocabulary,
                    scores: scores,
                    unknownID: Int32(number),
                    fallsBackToBytes: try flag(options, "byte_fallback")
                )
            )
        }
    }

    private func id(of token: String, _ vocabulary: Vocabulary) throws -> Int32 {
        guard let id = vocabulary.id(of: Array(token.utf8)) else {
            throw invalid("model.unk_token", .string(token), "a token of the vocabulary")
        }
        return id
    }
}
