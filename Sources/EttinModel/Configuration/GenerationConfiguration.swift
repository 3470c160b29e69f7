import EttinFiles
public import EttinJSON

/// A decoder's generation defaults, as `generation_config.json` states them.
public struct GenerationConfiguration: Hashable, Sendable {
    /// Begin of sequence; `bos_token_id`.
    public var bosTokenID: Int?
    /// The ids that end a sequence; `eos_token_id`.
    public var eosTokenIDs: [Int] = []
    /// Padding; `pad_token_id`.
    public var padTokenID: Int?
    /// Whether keys and values are kept between steps, true by default; `use_cache`.
    public var usesCache = true
    /// Whether to sample instead of decoding greedily; `do_sample`.
    public var samples: Bool?
    /// Sampling temperature; `temperature`.
    public var temperature: Double?
    /// Sample from the k most likely tokens, 0 for all; `top_k`.
    public var topK: Int?
    /// Nucleus (top-p) sampling threshold, 0 to 1; `top_p`.
    public var topP: Double?
    /// Sample from tokens at least this share as likely as the most likely one; `min_p`.
    public var minP: Double?
    /// Penalty for tokens that occurred already; 1 for none; `repetition_penalty`.
    public var repetitionPenalty: Double?
    /// No run of this many tokens occurs twice, 0 for no such rule; `no_repeat_ngram_size`.
    public var noRepeatNGramSize: Int?
    /// Maximum number of new tokens; `max_new_tokens`.
    public var maxNewTokens: Int?
    /// Maximum number of tokens of prompt and continuation together, unless ``maxNewTokens`` is given; `max_length`.
    public var maxLength: Int?
    /// Minimum number of new tokens; `min_new_tokens`.
    public var minNewTokens: Int?
    /// Minimum number of tokens of prompt and continuation together; `min_length`.
    public var minLength: Int?
    /// Texts that end generation; `stop_strings`.
    public var stopStrings: [String] = []
    /// Tokens that are never generated; `suppress_tokens`.
    public var suppressedTokenIDs: [Int] = []
    /// Tokens that are not generated first; `begin_suppress_tokens`.
    public var firstSuppressedTokenIDs: [Int] = []
    /// Sequences of tokens that are never completed; `bad_words_ids`.
    public var badWordsIDs: [[Int]] = []
    /// Whether the values were derived from the model's configuration; `_from_model_config`.
    public var isFromModelConfiguration = false
    /// Every other key, in the order of the file; written back unchanged.
    public var otherKeys = JSONObject()
    /// The file that the values come from, for messages.
    package private(set) var file = "generation_config.json"

    /// Creates a configuration without tokens.
    public init() {}

    /// Derives a configuration from a model's, as transformers does when it saves a decoder.
    ///
    /// - Parameter model: The model's configuration.
    public init(model: ModernBERTConfiguration) {
        bosTokenID = model.bosTokenID
        eosTokenIDs = model.eosTokenIDs
        padTokenID = model.padTokenID
        usesCache = model.usesCache
        isFromModelConfiguration = true
    }

    /// Reads `generation_config.json` of a folder.
    ///
    /// - Parameter folder: The model's folder.
    /// - Returns: Nil when there is no such file, which is normal for encoders.
    /// - Throws: `CheckpointError` when the file is there but wrong.
    public static func read(folder: String) throws -> GenerationConfiguration? {
        let path = FilePath.joined(folder, "generation_config.json")
        guard FilePath.exists(path) else { return nil }
        let limit = JSONFile.settingsSizeLimit
        let object = try JSONFile.object(path: path, name: "generation_config.json", sizeLimit: limit)
        return try GenerationConfiguration(object)
    }

    /// Reads what `generation_config.json` of a folder says or, where there is none, the older place of the same keys,
    /// `config.json`.
    ///
    /// - Parameters:
    ///   - folder: The model's folder.
    ///   - model: Its configuration.
    /// - Returns: The configuration.
    /// - Throws: `CheckpointError` for values that are wrong.
    package static func read(folder: String, model: ModernBERTConfiguration) throws -> GenerationConfiguration {
        if let configuration = try read(folder: folder) { return configuration }
        var keys = model.otherKeys.filter { Self.keys.contains($0.key) }.map { ($0.key, $0.value) }
        keys.append(("eos_token_id", .tokenList(model.eosTokenIDs)))
        return try GenerationConfiguration(JSONObject(keys), file: "config.json")
    }

    /// Reads a configuration.
    ///
    /// - Parameters:
    ///   - object: The content of the file.
    ///   - file: The file's name for messages.
    /// - Throws: `CheckpointError` with everything that is wrong.
    public init(_ object: JSONObject, file: String = "generation_config.json") throws {
        self.file = file
        var fields = ConfigurationFields(object, file: file)
        fields.read("bos_token_id", into: &bosTokenID)
        fields.read("pad_token_id", into: &padTokenID)
        if let value = fields.value("eos_token_id") { eosTokenIDs = fields.tokenList("eos_token_id", value) ?? [] }
        fields.read("use_cache", into: &usesCache)
        fields.read("_from_model_config", into: &isFromModelConfiguration)
        samples = fields.optional("do_sample", default: false) { $0.read($1, into: &$2) }
        temperature = fields.optional("temperature", default: 1) { $0.read($1, into: &$2) }
        topP = fields.optional("top_p", default: 1) { $0.read($1, into: &$2) }
        repetitionPenalty = fields.optional("repetition_penalty", default: 1) { $0.read($1, into: &$2) }
        fields.read("top_k", into: &topK)
        minP = fields.optional("min_p", default: 0) { $0.read($1, into: &$2) }
        readLengths(&fields)
        readTokens(&fields)
        fields.require("temperature", temperature, "a number from 0 up") { $0 >= 0 }
        fields.require("top_p", topP, "a number above 0, at most 1") { $0 > 0 && $0 <= 1 }
        fields.require("repetition_penalty", repetitionPenalty, "a number above 0") { $0 > 0 }
        fields.require("top_k", topK, "0 or more") { $0 >= 0 }
        fields.require("min_p", minP, "a number from 0 to 1") { $0 >= 0 && $0 <= 1 }
        for (key, id) in [("bos_token_id", bosTokenID), ("pad_token_id", padTokenID)] {
            fields.require(key, id, "0 or more") { $0 >= 0 }
        }
        for id in eosTokenIDs { fields.require("eos_token_id", id, "0 or more") { $0 >= 0 } }
        otherKeys = fields.unused
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
    }

    private mutating func readLengths(_ fields: inout ConfigurationFields) {
        fields.read("max_new_tokens", into: &maxNewTokens)
        fields.read("max_length", into: &maxLength)
        fields.read("min_new_tokens", into: &minNewTokens)
        fields.read("min_length", into: &minLength)
        fields.read("no_repeat_ngram_size", into: &noRepeatNGramSize)
        for (key, value) in [("max_new_tokens", maxNewTokens), ("max_length", maxLength)] {
            fields.require(key, value, "1 or more") { $0 >= 1 }
        }
        let minima = [
            ("min_new_tokens", minNewTokens), ("min_length", minLength), ("no_repeat_ngram_size", noRepeatNGramSize),
        ]
        for (key, value) in minima { fields.require(key, value, "0 or more") { $0 >= 0 } }
    }

    private mutating func readTokens(_ fields: inout ConfigurationFields) {
        if let value = fields.value("stop_strings"), !value.isNull {
            let texts = (value.arrayValue ?? [value]).map(\.stringValue)
            stopStrings = texts.compactMap(\.self)
            if stopStrings.count != texts.count || stopStrings.contains("") {
                fields.refuse("stop_strings", "is \(value.text())", expected: "a text or a list of texts, none empty")
            }
        }
        for (key, path) in [
            ("suppress_tokens", \Self.suppressedTokenIDs), ("begin_suppress_tokens", \Self.firstSuppressedTokenIDs),
        ] {
            if let value = fields.value(key) { self[keyPath: path] = fields.tokenList(key, value) ?? [] }
        }
        if let value = fields.value("bad_words_ids"), !value.isNull {
            let words = (value.arrayValue ?? []).map { word in word.arrayValue?.map(\.intValue) ?? [nil] }
            badWordsIDs = words.map { $0.compactMap(\.self) }
            let areRight =
                !words.isEmpty
                && zip(words, badWordsIDs).allSatisfy { word, ids in
                    !word.isEmpty && word.count == ids.count && ids.allSatisfy { $0 >= 0 }
                }
            if !areRight {
                fields.refuse("bad_words_ids", "is \(value.text())", expected: "lists of token ids, none empty")
            }
        }
    }

    /// Writes `generation_config.json` into a folder.
    ///
    /// - Parameter folder: An existing folder.
    /// - Throws: `CheckpointError` when the file cannot be written.
    public func write(toFolder folder: String) throws {
        try CheckpointError.translating {
            try AtomicFile.write(serialized(), to: FilePath.joined(folder, "generation_config.json"))
        }
    }

    /// The text of `generation_config.json`: two spaces, sorted keys, a line feed at the end.
    ///
    /// - Returns: UTF-8 text, as transformers writes it.
    public func serialized() -> [UInt8] {
        JSONFile.serialized(.object(json))
    }

    /// The content of `generation_config.json`, in no particular order.
    public var json: JSONObject {
        var object = otherKeys
        if isFromModelConfiguration { object["_from_model_config"] = true }
        if let bosTokenID { object["bos_token_id"] = JSONValue(bosTokenID) }
        if !eosTokenIDs.isEmpty { object["eos_token_id"] = JSONValue.tokenList(eosTokenIDs) }
        if let padTokenID { object["pad_token_id"] = JSONValue(padTokenID) }
        object["use_cache"] = JSONValue(usesCache)
        if let samples { object["do_sample"] = JSONValue(samples) }
        if let temperature { object["temperature"] = JSONValue(temperature) }
        if let topK { object["top_k"] = JSONValue(topK) }
        if let topP { object["top_p"] = JSONValue(topP) }
        if let repetitionPenalty { object["repetition_penalty"] = JSONValue(repetitionPenalty) }
        if let minP { object["min_p"] = JSONValue(minP) }
        let counts = [
            ("max_new_tokens", maxNewTokens), ("max_length", maxLength), ("min_new_tokens", minNewTokens),
            ("min_length", minLength), ("no_repeat_ngram_size", noRepeatNGramSize),
        ]
        for case (let key, let count?) in counts { object[key] = JSONValue(count) }
        func list(_ ids: [Int]) -> JSONValue { .array(ids.map { JSONValue($0) }) }
        if !stopStrings.isEmpty { object["stop_strings"] = .array(stopStrings.map(JSONValue.string)) }
        if !suppressedTokenIDs.isEmpty { object["suppress_tokens"] = list(suppressedTokenIDs) }
        if !firstSuppressedTokenIDs.isEmpty { object["begin_suppress_tokens"] = list(firstSuppressedTokenIDs) }
        if !badWordsIDs.isEmpty { object["bad_words_ids"] = .array(badWordsIDs.map(list)) }
        if object["transformers_version"] == nil { object["transformers_version"] = "5.23.0" }
        return object
    }
}

extension ConfigurationFields {
    /// A value of a key that may be absent or null.
    fileprivate mutating func optional<Value>(
        _ key: String,
        default start: Value,
        _ read: (inout ConfigurationFields, String, inout Value) -> Void
    ) -> Value? {
        guard let value = value(key), !value.isNull else { return nil }
        var result = start
        read(&self, key, &result)
        return result
    }

    fileprivate mutating func require<Value>(
        _ key: String,
        _ value: Value?,
        _ expected: String,
        _ isRight: (Value) -> Bool
    ) {
        guard let value, !isRight(value) else { return }
        refuse(key, "is \(value)", expected: expected)
    }
}
