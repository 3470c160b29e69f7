import EttinFiles
public import EttinJSON

/// A decoder's generation defaults: `generation_config.json`.
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
    /// Sampling temperature, above 0; `temperature`.
    public var temperature: Double?
    /// Sample from the k most likely tokens; 0 disables; `top_k`.
    public var topK: Int?
    /// Nucleus (top-p) sampling threshold, 0 to 1; `top_p`.
    public var topP: Double?
    /// Repetition penalty; above 1 makes tokens that have occurred less likely; `repetition_penalty`.
    public var repetitionPenalty: Double?
    /// Maximum number of new tokens; `max_new_tokens`.
    public var maxNewTokens: Int?
    /// Whether the values were derived from the model's configuration; `_from_model_config`.
    public var isFromModelConfiguration = false
    /// Every other key, in the order of the file; written back unchanged.
    public var otherKeys = JSONObject()

    /// Creates a configuration without token ids.
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

    /// Reads a configuration.
    ///
    /// - Parameters:
    ///   - object: The content of the file.
    ///   - file: The file's name for messages.
    /// - Throws: `CheckpointError` with everything that is wrong.
    public init(_ object: JSONObject, file: String = "generation_config.json") throws {
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
        fields.read("max_new_tokens", into: &maxNewTokens)
        fields.require("temperature", temperature, "a number from 0 up") { $0 >= 0 }
        fields.require("top_p", topP, "a number above 0, at most 1") { $0 > 0 && $0 <= 1 }
        fields.require("repetition_penalty", repetitionPenalty, "a number above 0") { $0 > 0 }
        fields.require("top_k", topK, "0 or more") { $0 >= 0 }
        fields.require("max_new_tokens", maxNewTokens, "1 or more") { $0 >= 1 }
        for (key, id) in [("bos_token_id", bosTokenID), ("pad_token_id", padTokenID)] {
            fields.require(key, id, "0 or more") { $0 >= 0 }
        }
        for id in eosTokenIDs { fields.require("eos_token_id", id, "0 or more") { $0 >= 0 } }
        otherKeys = fields.unused
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
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
        if let maxNewTokens { object["max_new_tokens"] = JSONValue(maxNewTokens) }
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
