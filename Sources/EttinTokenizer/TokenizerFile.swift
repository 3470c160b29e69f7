import EttinJSON

/// The content of a `tokenizer.json` file, checked for what this library supports.
struct TokenizerFile: Sendable {
    /// Everything but the model and the added tokens, kept as written so that saving loses nothing.
    var header: JSONObject
    /// The model's options without vocabulary and merges, as written.
    var modelOptions: JSONObject
    var vocabulary: Vocabulary
    var merges: MergeTable
    var addedTokens: [AddedToken]
    /// The ids that the file gives to added tokens, which the original does not obey.
    var statedIDs: [Int]
    var composesCanonically: Bool
    var splitting: ByteLevelSplitting
    var postProcessor: PostProcessor
    /// Whether tokens are joined through the byte alphabet; without a decoder they are joined by spaces.
    var decodesBytes: Bool
    var unknownToken: String?
    var fusesUnknown: Bool
    var ignoresMerges: Bool
    /// How texts are encoded; nil for byte-level BPE without further steps.
    var pipeline: Pipeline?
    /// How tokens are joined when neither through the byte alphabet alone nor by spaces.
    var decoder: TokenDecoder?

    /// Whether words are bytes, as the suite's models have them.
    var isByteLevel: Bool {
        switch pipeline?.model {
        case nil, .bytes: true
        default: false
        }
    }
}

// MARK: - Reading

/// Reads `tokenizer.json` in one pass.
struct TokenizerFileReader {
    private let name: String
    private var header = JSONObject()
    private var modelOptions = JSONObject()
    private var vocabulary: Vocabulary?
    /// Scores of a Unigram vocabulary by id.
    private var scores: [Double]?
    private var merges: [Merge]?
    private var mergesPosition: Range<Int>?
    private var addedTokens: [AddedToken] = []
    private var statedIDs: [Int] = []
    private var hasModel = false

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - bytes: The content.
    ///   - name: The file name for messages.
    /// - Returns: The checked content.
    /// - Throws: `TokenizerError` naming file, field, finding and expectation.
    static func read(_ bytes: UnsafeBufferPointer<UInt8>, name: String) throws -> TokenizerFile {
        var reader = TokenizerFileReader(name: name)
        do {
            return try reader.readFile(bytes)
        } catch let error as JSONError {
            throw TokenizerError.malformed(file: name, error: error)
        }
    }

    private init(name: String) {
        self.name = name
    }

    /// The members that the original knows; it refuses others.
    private static let members: Set<String> = [
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
        "model",
    ]

    private mutating func readFile(_ bytes: UnsafeBufferPointer<UInt8>) throws -> TokenizerFile {
        var reader = JSONReader(bytes)
        try reader.beginObject()
        while let keyBytes = try reader.nextKey() {
            let key = String(decoding: keyBytes, as: UTF8.self)
            guard header[key] == nil else {
                throw invalid(key, "given twice", "one value")
            }
            switch key {
            case "model":
                // Its place in the order of members is remembered, its content is not kept.
                header[key] = .null
                hasModel = true
                try readModel(&reader)
            case "added_tokens":
                let value = try reader.readValue()
                addedTokens = try readAddedTokens(value)
                header[key] = .null
            default:
                guard Self.members.contains(key) else {
                    throw unsupported(key, "there", Self.members.sorted().joined(separator: ", "))
                }
                header[key] = try reader.readValue()
            }
        }
        try reader.finish()
        guard hasModel, let vocabulary else { throw invalid("model.vocab", "missing", "an object of token ids") }
        if let mergesPosition, scores == nil {
            var mergeReader = JSONReader(UnsafeBufferPointer(rebasing: bytes[mergesPosition]))
            merges = try readMerges(&mergeReader, vocabulary)
        }
        return try assemble(vocabulary)
    }

    private mutating func readModel(_ reader: inout JSONReader) throws {
        guard try reader.peekKind() == .object else {
            throw invalid("model", "a \(try reader.peekKind().rawValue)", "an object")
        }
        try reader.beginObject()
        while let keyBytes = try reader.nextKey() {
            let key = String(decoding: keyBytes, as: UTF8.self)
            switch key {
            case "vocab":
                guard vocabulary == nil else { throw invalid("model.vocab", "given twice", "one value") }
                vocabulary = try readVocabulary(&reader)
                modelOptions[key] = .null
            case "merges":
                guard modelOptions[key] == nil else { throw invalid("model.merges", "given twice", "one value") }
                modelOptions[key] = .null
                if let vocabulary, scores == nil {
                    merges = try readMerges(&reader, vocabulary)
                } else {
                    mergesPosition = try reader.skipValue()
                }
            default: modelOptions[key] = try reader.readValue()
            }
        }
    }

    private mutating func readVocabulary(_ reader: inout JSONReader) throws -> Vocabulary {
        if try reader.peekKind() == .array { return try readScoredVocabulary(&reader) }
        guard try reader.peekKind() == .object else {
            let expected = "an object of token ids, or a list of tokens with scores"
            throw unsupported("model.vocab", "a \(try reader.peekKind().rawValue)", expected)
        }
        var builder = VocabularyBuilder(expectedCount: 1 << 16)
        try reader.beginObject()
        while let token = try reader.nextKey() {
            // The bytes of the key may lie in the reader's scratch memory, which reading a number leaves alone.
            let id = try reader.readInt()
            do {
                try builder.append(token, id: id)
            } catch {
                let text = String(decoding: token, as: UTF8.self)
                throw invalid("model.vocab.\(text)", String(id), "an id from 0 to \(Vocabulary.largestID)")
            }
        }
        return try built(builder)
    }

    /// Reads a vocabulary of Unigram: a list of tokens with their scores, numbered in order.
    private mutating func readScoredVocabulary(_ reader: inout JSONReader) throws -> Vocabulary {
        var builder = VocabularyBuilder(expectedCount: 1 << 16)
        var scores: [Double] = []
        try reader.beginArray()
        while try reader.nextElement() {
            let field = "model.vocab[\(builder.count)]"
            let kind = try reader.peekKind()
            guard kind == .array else { throw invalid(field, "a \(kind.rawValue)", "a token and its score") }
            try reader.beginArray()
            guard try reader.nextElement(), try reader.peekKind() == .string else {
                throw invalid(field, "without a token", "a token and its score")
            }
            do {
                try builder.append(try reader.readStringBytes(), id: builder.count)
            } catch is VocabularyBuilder.Problem {
                throw invalid("model.vocab", "\(builder.count) tokens or more", "at most \(Vocabulary.largestID)")
            }
            guard try reader.nextElement(), try reader.peekKind() == .number else {
                throw invalid(field, "without a score", "a token and its score")
            }
            let score = try reader.readNumber().double
            guard score.isFinite else { throw invalid(field, "\(score)", "a token and a finite score") }
            scores.append(score)
            guard try !reader.nextElement() else { throw invalid(field, "longer", "a token and its score") }
        }
        self.scores = scores
        return try built(builder)
    }

    private func built(_ builder: VocabularyBuilder) throws -> Vocabulary {
        switch builder.build(allowsDuplicates: scores != nil) {
        case .success(let vocabulary): return vocabulary
        case .failure(let failure):
            let text = builder.text(entry: failure.entry)
            switch failure.problem {
            case .duplicateText: throw invalid("model.vocab", "\"\(text)\" twice", "each token once")
            case .idOutOfRange:
                let expected = "at most \(builder.idLimit), as there are \(builder.count) tokens"
                throw invalid("model.vocab.\(text)", "\(builder.id(entry: failure.entry))", expected)
            default:
                throw invalid("model.vocab.\(text)", "\(builder.id(entry: failure.entry))", "an id of its own")
            }
        }
    }

    private func readMerges(_ reader: inout JSONReader, _ vocabulary: Vocabulary) throws -> [Merge] {
        guard try reader.peekKind() == .array else {
            throw invalid("model.merges", "a \(try reader.peekKind().rawValue)", "a list of token pairs")
        }
        var merges: [Merge] = []
        merges.reserveCapacity(1 << 16)
        var joined = Scratch<UInt8>()
        try reader.beginArray()
        while try reader.nextElement() {
            joined.removeAll()
            let leftLength: Int
            switch try reader.peekKind() {
            case .array:
                var lengths: [Int] = []
                try reader.beginArray()
                while try reader.nextElement() {
                    let part = try reader.readStringBytes()
                    if let base = part.baseAddress { joined.append(from: base, count: part.count) }
                    lengths.append(part.count)
                }
                guard lengths.count == 2 else {
                    throw invalid("model.merges[\(merges.count)]", "a list of \(lengths.count)", "two tokens")
                }
                leftLength = lengths[0]
            default:
                let line = try reader.readStringBytes()
                // Old files carry the header of merges.txt along.
                if line.starts(with: "#version".utf8) { continue }
                guard let space = line.firstIndex(of: UInt8(ascii: " ")),
                    line.lastIndex(of: UInt8(ascii: " ")) == space,
                    let base = line.baseAddress
                else {
                    let text = String(decoding: line, as: UTF8.self)
                    throw invalid("model.merges[\(merges.count)]", "\"\(text)\"", "two tokens with one space between")
                }
                joined.append(from: base, count: space)
                joined.append(from: base + space + 1, count: line.count - space - 1)
                leftLength = space
            }
            let pointer = UnsafePointer(joined.pointer)
            guard let left = vocabulary.id(pointer, leftLength),
                let right = vocabulary.id(pointer + leftLength, joined.count - leftLength),
                let merged = vocabulary.id(pointer, joined.count)
            else {
                let first = String(decoding: joined.buffer[..<leftLength], as: UTF8.self)
                let second = String(decoding: joined.buffer[leftLength...], as: UTF8.self)
                throw invalid(
                    "model.merges[\(merges.count)]",
                    "\"\(first)\" and \"\(second)\"",
                    "two tokens that are in the vocabulary, as is what they join to"
                )
            }
            merges.append(Merge(left: left, right: right, merged: merged))
        }
        return merges
    }

    private mutating func readAddedTokens(_ value: JSONValue) throws -> [AddedToken] {
        guard let elements = value.arrayValue else {
            if value.isNull { return [] }
            throw invalid("added_tokens", "a \(value.kind.rawValue)", "a list")
        }
        statedIDs = elements.map { $0["id"]?.intValue ?? -1 }
        return try elements.enumerated().map { position, element in
            let field = "added_tokens[\(position)]"
            guard var token = try AddedToken(element, field: field, name: name) else {
                throw invalid("\(field).content", element["content"]?.text() ?? "missing", "a string")
            }
            // Absent means false here, other than in Python.
            if element["normalized"] == nil { token.isNormalized = false }
            return token
        }
    }

    private func assemble(_ vocabulary: Vocabulary) throws -> TokenizerFile {
        let checker = TokenizerFileChecker(name: name)
        let type = try checker.modelType(modelOptions, hasScores: scores != nil)
        guard (type == .unigram) == (scores != nil) else {
            let expected = type == .unigram ? "a list of tokens with scores" : "an object of token ids"
            throw invalid("model.vocab", scores == nil ? "an object" : "a list", expected)
        }
        if type == .bpe, merges == nil { throw invalid("model.merges", "missing", "a list of token pairs") }
        let merges = MergeTable(type == .bpe ? merges ?? [] : [])
        let parts = TokenizerFileChecker.Parts(
            normalizer: header["normalizer"] ?? .null,
            preTokenizer: header["pre_tokenizer"] ?? .null,
            decoder: header["decoder"] ?? .null
        )
        var file = TokenizerFile(
            header: header,
            modelOptions: modelOptions,
            vocabulary: vocabulary,
            merges: merges,
            addedTokens: addedTokens,
            statedIDs: statedIDs,
            composesCanonically: false,
            splitting: ByteLevelSplitting(),
            postProcessor: PostProcessor(
                steps: try checker.postProcessorSteps(header["post_processor"] ?? .null, field: "post_processor")
            ),
            decodesBytes: checker.isByteLevel(decoder: parts.decoder),
            fusesUnknown: false,
            ignoresMerges: false
        )
        if !parts.decoder.isNull, !file.decodesBytes {
            file.decoder = TokenDecoder(stages: try checker.decoderStages(parts.decoder, field: "decoder"))
        }
        if type == .bpe {
            let options = try checker.modelOptions(modelOptions)
            file.unknownToken = options.unknownToken
            file.fusesUnknown = options.fusesUnknown
            file.ignoresMerges = options.ignoresMerges
            if !options.fallsBackToBytes, let composes = checker.composesCanonically(parts.normalizer),
                let splitting = try checker.splitting(parts.preTokenizer)
            {
                file.composesCanonically = composes
                file.splitting = splitting
                return file
            }
        }
        file.splitting.addsPrefixSpace = try checker.addsPrefixSpace(parts.preTokenizer)
        let preTokenizers = try checker.preTokenizers(parts.preTokenizer, field: "pre_tokenizer")
        file.pipeline = Pipeline(
            normalizers: try checker.normalizers(parts.normalizer, field: "normalizer"),
            preTokenizers: preTokenizers,
            model: try checker.model(
                type,
                modelOptions,
                vocabulary,
                merges,
                scores ?? [],
                isByteLevel: checker.hasByteLevel(preTokenizers)
            )
        )
        return file
    }

    private func invalid(_ field: String, _ found: String, _ expected: String) -> TokenizerError {
        .invalid(file: name, field: field, found: found, expected: expected)
    }

    private func unsupported(_ field: String, _ found: String, _ supported: String) -> TokenizerError {
        .unsupported(file: name, field: field, found: found, supported: supported)
    }
}
