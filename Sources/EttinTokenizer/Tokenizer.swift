package import EttinJSON
import Synchronization

/// A `tokenizer.json` file, token for token equal to the `tokenizers` library.
///
/// Byte-level BPE as ModernBERT, Ettin, OLMo and GPT-NeoX use it is fastest. BPE of characters (Gemma, SentencePiece),
/// WordPiece (BERT) and Unigram with the normalisers, pre-tokenizers, post-processors and decoders that such models have
/// are read too; what a file asks for beyond that is refused by name.
///
/// ```swift
/// let tokenizer = try Tokenizer(folder: "models/ettin-encoder-17m")
/// let encoding = tokenizer.encode("The capital of France is [MASK].")
/// let text = tokenizer.decode(encoding.ids, skipSpecialTokens: true)
/// ```
///
/// A tokenizer is a value that any number of threads may use at the same time. Copies share tables and word caches.
public struct Tokenizer: Sendable {
    let core: TokenizerCore
    let workers: WorkerPool
    var file: TokenizerFile
    var settings: TokenizerSettings

    /// Which special tokens `encode` adds; initially what the model's files ask for.
    public var specialTokenRule: SpecialTokenRule

    /// What the files say that has no effect, or not the one they say, a sentence each.
    public let notices: [String]

    // MARK: - Loading

    /// Loads a tokenizer from a folder.
    ///
    /// Where files contradict each other, the tokenizer is the one that transformers 5 makes of them.
    ///
    /// - Parameter folder: A folder with `tokenizer.json`, and `tokenizer_config.json`, `special_tokens_map.json` and
    ///   `added_tokens.json` if the model has them.
    /// - Throws: `TokenizerError` when a file is missing, malformed or asks for something unsupported.
    public init(folder: String) throws {
        func optional(_ name: String) throws -> [UInt8]? {
            let path = "\(folder)/\(name)"
            return fileExists(path) ? try readFile(path) : nil
        }
        try self.init(
            tokenizerJSON: try readFile("\(folder)/tokenizer.json"),
            tokenizerConfig: try optional("tokenizer_config.json"),
            specialTokensMap: try optional("special_tokens_map.json"),
            addedTokens: try optional("added_tokens.json"),
            location: "\(folder)/"
        )
    }

    /// Loads a tokenizer from the contents of its files.
    ///
    /// - Parameters:
    ///   - tokenizerJSON: Content of `tokenizer.json`.
    ///   - tokenizerConfig: Content of `tokenizer_config.json`.
    ///   - specialTokensMap: Content of `special_tokens_map.json`.
    ///   - addedTokens: Content of `added_tokens.json`.
    ///   - location: What to put in front of file names in messages.
    /// - Throws: `TokenizerError` when a content is malformed or asks for something unsupported.
    public init(
        tokenizerJSON: [UInt8],
        tokenizerConfig: [UInt8]? = nil,
        specialTokensMap: [UInt8]? = nil,
        addedTokens: [UInt8]? = nil,
        location: String = ""
    ) throws {
        var file = try tokenizerJSON.withUnsafeBufferPointer {
            try TokenizerFileReader.read($0, name: "\(location)tokenizer.json")
        }
        var settings = TokenizerSettings()
        if let tokenizerConfig {
            settings.configuration = try TokenizerSettings.object(
                tokenizerConfig,
                name: "\(location)tokenizer_config.json"
            )
        }
        if let specialTokensMap {
            settings.specialTokensMap = try TokenizerSettings.object(
                specialTokensMap,
                name: "\(location)special_tokens_map.json"
            )
        }
        if let addedTokens {
            settings.addedTokens = try TokenizerSettings.object(addedTokens, name: "\(location)added_tokens.json")
        }
        try settings.check(name: "\(location)tokenizer_config.json")
        let (added, stated) = try settings.completed(file, location: location)
        file.addedTokens = added
        try self.init(file: file, settings: settings, name: "\(location)tokenizer.json", stated: stated)
    }

    init(
        file: TokenizerFile,
        settings: TokenizerSettings,
        name: String,
        stated: [TokenizerSettings.StatedToken] = []
    ) throws {
        var unknownID: Int32?
        if let token = file.unknownToken {
            guard let id = file.vocabulary.id(of: Array(token.utf8)) else {
                throw TokenizerError.invalid(
                    file: name,
                    field: "model.unk_token",
                    found: "\"\(token)\"",
                    expected: "a token of the vocabulary"
                )
            }
            unknownID = id
        }
        core = TokenizerCore(
            vocabulary: file.vocabulary,
            merges: file.merges,
            unknownID: unknownID,
            fusesUnknown: file.fusesUnknown,
            ignoresMerges: file.ignoresMerges,
            addedTokens: file.addedTokens,
            composesCanonically: file.composesCanonically,
            pipeline: file.pipeline
        )
        // Two tokens of one id are neither decoded nor placed in the text as they were encoded.
        for (token, id) in core.addedTokens {
            guard let other = file.vocabulary.text(of: Int(id)), !other.elementsEqual(token.content.utf8) else {
                continue
            }
            throw TokenizerError.invalid(
                file: name,
                field: "added_tokens",
                found:
                    "\"\(token.content)\" numbered \(id) behind the vocabulary, as \"\(String(decoding: other, as: UTF8.self))\" is",
                expected: "ids of the vocabulary without gaps"
            )
        }
        for part in (file.postProcessor.template.map { $0.single + $0.pair }) ?? [] {
            guard case .special(let ids, _) = part else { continue }
            // The original would hand such ids to the model, which has no embedding for them.
            for id in ids where core.text(of: Int(id)) == nil {
                throw TokenizerError.invalid(
                    file: name,
                    field: "post_processor.\(file.postProcessorMember(of: id))",
                    found: "id \(id), which no token has",
                    expected: "ids of the vocabulary"
                )
            }
        }
        workers = WorkerPool(core)
        self.file = file
        self.settings = settings
        specialTokenRule = settings.specialTokenRule
        notices = settings.notices(file: file, name: name, stated: stated, ids: core.addedIDsByContent)
    }

    // MARK: - Variants

    /// The same tokenizer with other special tokens around texts.
    ///
    /// - Parameter rule: Which special tokens to add.
    /// - Returns: A tokenizer that shares all tables with this one.
    public func withSpecialTokens(_ rule: SpecialTokenRule) -> Tokenizer {
        var copy = self
        copy.specialTokenRule = rule
        return copy
    }

    /// The same tokenizer with or without a space in front of each text, as the models' pre-training data had.
    ///
    /// - Parameter addsPrefixSpace: Whether a text, or a part behind an added token, that does not begin with a space
    ///   gets one.
    /// - Returns: A tokenizer that shares all tables with this one.
    public func withPrefixSpace(_ addsPrefixSpace: Bool) -> Tokenizer {
        var copy = self
        copy.file.setPrefixSpace(addsPrefixSpace)
        return copy
    }

    /// Whether a text that does not begin with a space gets one.
    package var addsPrefixSpace: Bool { file.splitting.addsPrefixSpace }

    // MARK: - Tokens

    /// The number of tokens, added ones included.
    public var vocabularySize: Int { core.tokenCount }

    /// The id of a token.
    ///
    /// - Parameter token: The token as the file writes it, in the byte alphabet (`Ġworld`), compared by bytes.
    /// - Returns: The id, or nil when there is no such token.
    public func tokenToID(_ token: String) -> Int32? {
        let bytes = Array(token.utf8)
        return core.addedIDsByContent[bytes] ?? core.vocabulary.id(of: bytes)
    }

    /// The token of an id.
    ///
    /// - Parameter id: Any number.
    /// - Returns: The token as the file writes it, or nil when there is no such id.
    public func idToToken(_ id: Int32) -> String? {
        core.text(of: Int(id))
    }

    /// The added tokens with their ids, in the order of the file.
    public var addedTokens: [(token: AddedToken, id: Int32)] { core.addedTokens }

    /// Whether an id is an added token marked as special.
    ///
    /// - Parameter id: Any number.
    /// - Returns: False also for ids that do not exist.
    public func isSpecial(_ id: Int32) -> Bool {
        id >= 0 && Int(id) < core.idLimit && core.specialFlags[Int(id)] != 0
    }

    /// Id of the mask token.
    public var maskTokenID: Int32? { specialID("mask_token") }
    /// Id of the padding token.
    public var padTokenID: Int32? { specialID("pad_token") }
    /// Id of the classification token, which begins a text.
    public var clsTokenID: Int32? { specialID("cls_token") }
    /// Id of the separator token, which ends a text.
    public var sepTokenID: Int32? { specialID("sep_token") }
    /// Id of the beginning-of-sequence token, for decoders.
    public var bosTokenID: Int32? { specialID("bos_token") }
    /// Id of the end-of-sequence token, for decoders.
    public var eosTokenID: Int32? { specialID("eos_token") }
    /// Id of the token for unknown text; byte-level models never produce it.
    public var unkTokenID: Int32? { specialID("unk_token") }

    private func specialID(_ key: String) -> Int32? {
        settings.specialToken(key).flatMap { tokenToID($0) }
    }

    // MARK: - Settings

    /// Maximum number of tokens the model takes; nil when the files set no limit.
    ///
    /// `encode` never truncates a text; callers compare and decide.
    public var modelMaxLength: Int? { settings.modelMaxLength }

    /// Whether `truncation_side` of the model's files is `left`: what is too long loses its beginning.
    public var truncatesLeft: Bool { settings.truncatesLeft }

    /// The `truncation` member of `tokenizer.json`; encoding does not apply it, static embeddings do.
    package var truncation: JSONValue { file.header["truncation"] ?? .null }

    /// Maximum number of tokens by that member, which counts where `tokenizer_config.json` does not; nil without one.
    ///
    /// - Throws: `TokenizerError` when "max_length" is not a number of tokens.
    package var ownMaxLength: Int? {
        get throws {
            guard !truncation.isNull else { return nil }
            guard let length = truncation["max_length"]?.intValue, length >= 0 else {
                throw TokenizerError.invalid(
                    file: "tokenizer.json",
                    field: "truncation.max_length",
                    found: truncation["max_length"]?.text() ?? "not there",
                    expected: "a number of tokens"
                )
            }
            return length
        }
    }

    /// The `padding` member of `tokenizer.json`; read, never applied.
    package var padding: JSONValue { file.header["padding"] ?? .null }

    /// The content of `tokenizer_config.json`; empty when there was none.
    package var configuration: JSONObject { settings.configuration }
}

/// Workers that wait for their next text; a thread takes one, so caches stay warm without being shared.
final class WorkerPool: Sendable {
    private let core: TokenizerCore
    private let idle = Mutex<[EncodingWorker]>([])
    /// Each idle worker keeps about 4 MB of cache.
    private static let largestIdleCount = 64

    init(_ core: TokenizerCore) {
        self.core = core
    }

    func withWorker<Result>(_ body: (EncodingWorker) throws -> Result) rethrows -> Result {
        let worker = idle.withLock { $0.popLast() } ?? EncodingWorker(core)
        defer {
            idle.withLock { if $0.count < Self.largestIdleCount { $0.append(worker) } }
        }
        return try body(worker)
    }
}

extension TokenizerFile {
    /// Changes the byte-level pre-tokenizer's prefix space, also in what is saved; without effect on other types.
    mutating func setPrefixSpace(_ addsPrefixSpace: Bool) {
        guard let part = header["pre_tokenizer"], let changed = Self.setting(part, .bool(addsPrefixSpace)) else {
            return
        }
        splitting.addsPrefixSpace = addsPrefixSpace
        header["pre_tokenizer"] = changed
    }

    /// A pre-tokenizer with another prefix space; nil when nothing in it is byte-level.
    private static func setting(_ preTokenizer: JSONValue, _ addsPrefixSpace: JSONValue) -> JSONValue? {
        guard case .object(var part) = preTokenizer else { return nil }
        if part["type"] == "ByteLevel" {
            part["add_prefix_space"] = addsPrefixSpace
            return .object(part)
        }
        guard part["type"] == "Sequence", var steps = part["pretokenizers"]?.arrayValue else { return nil }
        for (index, step) in steps.enumerated() {
            guard let changed = setting(step, addsPrefixSpace) else { continue }
            steps[index] = changed
            part["pretokenizers"] = .array(steps)
            return .object(part)
        }
        return nil
    }

    /// The member of the post-processor that has an id, for messages.
    fileprivate func postProcessorMember(of id: Int32) -> String {
        let part = header["post_processor"] ?? .null
        guard part["type"] != "Sequence" else { return "processors" }
        return ["cls", "sep"].first { part[$0]?[1]?.intValue == Int(id) } ?? "special_tokens"
    }
}
