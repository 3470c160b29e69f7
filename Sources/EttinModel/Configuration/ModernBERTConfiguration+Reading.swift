import EttinFiles
package import EttinJSON
import Torch

extension ModernBERTConfiguration {
    /// Size limit of a configuration file.
    private static let sizeLimit = 16_000_000

    /// Reads `config.json` of a folder.
    ///
    /// - Parameter folder: The model's folder.
    /// - Throws: `CheckpointError` with everything that is wrong with the file.
    public init(folder: String) throws {
        try UnsupportedFolder.checkConfiguration(folder)
        try self.init(path: FilePath.joined(folder, "config.json"))
    }

    /// Reads a configuration file of either format.
    ///
    /// - Parameter path: The file.
    /// - Throws: `CheckpointError` with everything that is wrong with the file.
    public init(path: String) throws {
        let name = FilePath.lastComponent(of: path)
        try self.init(JSONFile.object(path: path, name: name, sizeLimit: Self.sizeLimit), file: name)
    }

    /// Reads a configuration of either format from memory.
    ///
    /// - Parameters:
    ///   - json: UTF-8 text.
    ///   - file: The file's name for messages.
    /// - Throws: `CheckpointError` with everything that is wrong with the text.
    package init(json: [UInt8], file: String = "config.json") throws {
        try self.init(json.withUnsafeBytes { try JSONFile.object($0, name: file) }, file: file)
    }

    /// Reads a configuration of either format.
    ///
    /// - Parameters:
    ///   - object: The content of the file.
    ///   - file: The file's name for messages.
    /// - Throws: `CheckpointError` with everything that is wrong with the object.
    package init(_ object: JSONObject, file: String = "config.json") throws {
        var fields = ConfigurationFields(object, file: file)
        // Without a known type the meaning of the other keys is open, so nothing else is checked.
        guard let text = fields.value("model_type")?.stringValue, let kind = ModelKind(rawValue: text) else {
            throw UnsupportedFolder.otherArchitecture(object, file: file)
        }
        self.init(kind: kind)
        readSizes(&fields)
        readBehaviour(&fields)
        readTokens(&fields)
        readLayers(&fields)
        readWindow(&fields)
        readRope(&fields)
        readCommon(&fields)
        otherKeys = fields.unused
        let problems = fields.problems.isEmpty ? self.problems(file: file) : fields.problems
        guard problems.isEmpty else { throw CheckpointError(problems) }
    }

    private mutating func readSizes(_ fields: inout ConfigurationFields) {
        fields.read("vocab_size", into: &vocabularySize)
        fields.read("hidden_size", into: &hiddenSize)
        fields.read("intermediate_size", into: &intermediateSize)
        fields.read("num_attention_heads", into: &attentionHeads)
        fields.read("max_position_embeddings", into: &maxPositionEmbeddings)
    }

    private mutating func readBehaviour(_ fields: inout ConfigurationFields) {
        fields.read("hidden_activation", into: &hiddenActivation, of: Activation.gates, named: Activation.init(named:))
        fields.read(
            "classifier_activation",
            into: &classifierActivation,
            of: Activation.gates,
            named: Activation.init(named:)
        )
        fields.read("initializer_range", into: &initializerRange)
        if fields.value("initializer_cutoff_factor")?.isNull == true {
            initializerCutoffFactor = 3
        } else {
            fields.read("initializer_cutoff_factor", into: &initializerCutoffFactor)
        }
        fields.read("norm_eps", into: &normEpsilon)
        fields.read("norm_bias", into: &normBias)
        fields.read("attention_bias", into: &attentionBias)
        fields.read("mlp_bias", into: &mlpBias)
        fields.read("decoder_bias", into: &decoderBias)
        fields.read("attention_dropout", into: &attentionDropout)
        fields.read("embedding_dropout", into: &embeddingDropout)
        fields.read("mlp_dropout", into: &mlpDropout)
        fields.read("classifier_dropout", into: &classifierDropout)
        fields.read("classifier_bias", into: &classifierBias)
        fields.read("tie_word_embeddings", into: &tiesWordEmbeddings)
        switch kind {
        case .encoder:
            fields.read("classifier_pooling", into: &classifierPooling, named: ClassifierPooling.init(rawValue:))
            fields.read("sparse_prediction", into: &sparsePrediction)
            fields.read("sparse_pred_ignore_index", into: &sparsePredictionIgnoreIndex)
            fields.read("deterministic_flash_attn", into: &deterministicFlashAttention)
        case .decoder:
            // The encoder's keys may be there; they have no effect and are kept.
            fields.read("use_cache", into: &usesCache)
        }
    }

    private mutating func readTokens(_ fields: inout ConfigurationFields) {
        fields.read("pad_token_id", into: &padTokenID)
        fields.read("bos_token_id", into: &bosTokenID)
        fields.read("cls_token_id", into: &clsTokenID)
        fields.read("sep_token_id", into: &sepTokenID)
        if let value = fields.value("eos_token_id") {
            eosTokenIDs = fields.tokenList("eos_token_id", value) ?? eosTokenIDs
        }
    }

    private mutating func readLayers(_ fields: inout ConfigurationFields) {
        var count = layerTypes.count
        fields.read("num_hidden_layers", into: &count)
        // Checked here because the layers are about to be built.
        guard (1...ConfigurationLimits.layers).contains(count) else {
            let expected = "1 to \(ConfigurationLimits.layers)"
            fields.refuse("num_hidden_layers", "is \(count)", expected: expected)
            return
        }
        var interval = 3
        fields.read("global_attn_every_n_layers", into: &interval)
        if interval < 1 {
            fields.refuse("global_attn_every_n_layers", "is \(interval)", expected: "1 or more")
            interval = 3
        }
        let pattern = LayerType.pattern(layers: count, globalEvery: interval)
        guard let value = fields.value("layer_types"), !value.isNull else {
            layerTypes = pattern
            if fields.object["global_attn_every_n_layers"] != nil { fields.keep("global_attn_every_n_layers") }
            return
        }
        guard let items = value.arrayValue else {
            fields.refuse("layer_types", "is \(ConfigurationFields.shown(value))", expected: "an array")
            return
        }
        var types: [LayerType] = []
        let known = LayerType.allCases.map { quoted($0.rawValue) }.joined(separator: " or ")
        for (index, item) in items.enumerated() {
            guard let type = item.stringValue.flatMap(LayerType.init(rawValue:)) else {
                let found = "has \(ConfigurationFields.shown(item)) for layer \(index)"
                fields.refuse("layer_types", found, expected: known, kind: .unsupported)
                return
            }
            types.append(type)
        }
        guard types.count == count else {
            fields.refuse("layer_types", "has \(types.count) entries", expected: "\(count), one per layer")
            return
        }
        layerTypes = types
        // Version 5 writes the interval back beside the list; it is kept while it says the same.
        if types == pattern { fields.keep("global_attn_every_n_layers") }
    }

    private mutating func readWindow(_ fields: inout ConfigurationFields) {
        let window = fields.value("sliding_window")
        switch kind {
        case .encoder:
            var local = localAttention ?? 0
            fields.read("local_attention", into: &local)
            localAttention = local
            // The Python class has a setter that doubles; so a value here wins over local_attention.
            if let window, !window.isNull, let half = fields.integer("sliding_window", window) {
                let (width, overflow) = half.multipliedReportingOverflow(by: 2)
                if overflow { fields.refuse("sliding_window", "is \(half)", expected: "a smaller window") }
                localAttention = overflow ? localAttention : width
            }
        case .decoder:
            fields.read("local_attention", into: &localAttention)
            if let window, !window.isNull { slidingWindowOverride = fields.integer("sliding_window", window) }
        }
    }

    private mutating func readCommon(_ fields: inout ConfigurationFields) {
        if let value = fields.value("quantization_config"), !value.isNull {
            let method = value["quant_method"]?.stringValue.map { " by \(quoted($0, limit: 40))" } ?? ""
            fields.refuse(
                "quantization_config",
                "is present: the weights are quantized\(method)",
                expected: "the original weights; --dtype int8 quantizes them here",
                kind: .unsupported
            )
        }
        var older: String?
        fields.read("torch_dtype", into: &older)
        dtype = older
        fields.read("dtype", into: &dtype)
        if let name = dtype, name.hasPrefix("torch.") { dtype = String(name.dropFirst("torch.".count)) }
        if let value = fields.value("architectures"), !value.isNull {
            let names = value.arrayValue?.compactMap(\.stringValue)
            if let names, names.count == value.arrayValue?.count {
                architectures = names
            } else {
                fields.refuse("architectures", "is \(ConfigurationFields.shown(value))", expected: "a list of names")
            }
        }
        if let value = fields.value("problem_type"), !value.isNull {
            var type = ProblemType.regression
            fields.read("problem_type", into: &type, named: ProblemType.init(rawValue:))
            problemType = type
        }
        labels = fields.labels()
        // Kept, but no model has heads of another width than this.
        if let value = fields.object["head_dim"], !value.isNull, value.intValue != headDimensions {
            fields.refuse(
                "head_dim",
                "is \(ConfigurationFields.shown(value))",
                expected: "\(headDimensions), \"hidden_size\" divided by \"num_attention_heads\"",
                kind: .unsupported
            )
        }
    }
}

extension ConfigurationFields {
    /// Null, one token id or a list of them.
    mutating func tokenList(_ key: String, _ value: JSONValue) -> [Int]? {
        if value.isNull { return [] }
        if let id = value.intValue { return [id] }
        let ids = value.arrayValue?.compactMap(\.intValue)
        guard let ids, ids.count == value.arrayValue?.count else {
            refuse(key, "is \(Self.shown(value))", expected: "a token id, a list of them, or null")
            return nil
        }
        return ids
    }

    /// The classes, from `id2label`, else `label2id`, else `num_labels`; nil when none of them is there.
    fileprivate mutating func labels() -> [String]? {
        let byID = unlessNull("id2label")
        let byName = unlessNull("label2id")
        var count: Int?
        read("num_labels", into: &count)
        if let count, !(0...ConfigurationLimits.labels).contains(count) {
            refuse("num_labels", "is \(count)", expected: "0 to \(ConfigurationLimits.labels)")
            return nil
        }
        var result: [String]?
        if let byID {
            result = names(byID)
        } else if let byName {
            result = ids(byName)
        }
        guard let result else { return count.map { (0..<$0).map { "LABEL_\($0)" } } }
        if let count, count != result.count {
            refuse("num_labels", "is \(count), but there are \(result.count) labels", expected: "\(result.count)")
        }
        // A second map that says something else is kept as it is.
        if byID != nil, let byName, byName != .object(ModernBERTConfiguration.labelIDs(result)) { keep("label2id") }
        return result
    }

    private mutating func unlessNull(_ key: String) -> JSONValue? {
        guard let value = value(key), !value.isNull else { return nil }
        return value
    }

    private mutating func names(_ value: JSONValue) -> [String]? {
        guard let object = value.objectValue else {
            refuse("id2label", "is \(Self.shown(value))", expected: "an object")
            return nil
        }
        var names = [String?](repeating: nil, count: object.count)
        for member in object {
            guard let id = Int(member.key), names.indices.contains(id), let name = Self.name(member.value) else {
                let found = "has \(quoted(member.key, limit: 40)): \(Self.shown(member.value))"
                refuse("id2label", found, expected: "ids from 0 to \(object.count - 1) and names")
                return nil
            }
            names[id] = name
        }
        guard !names.contains(nil) else {
            refuse("id2label", "names an id twice", expected: "ids from 0 to \(object.count - 1)")
            return nil
        }
        return names.compactMap(\.self)
    }

    /// The name of a class, which may be a number.
    private static func name(_ value: JSONValue) -> String? { value.stringValue ?? value.numberValue?.spelling }

    private mutating func ids(_ value: JSONValue) -> [String]? {
        guard let object = value.objectValue else {
            refuse("label2id", "is \(Self.shown(value))", expected: "an object")
            return nil
        }
        var names = [String?](repeating: nil, count: object.count)
        for member in object {
            guard let id = member.value.intValue, names.indices.contains(id), names[id] == nil else {
                let found = "has \(quoted(member.key, limit: 40)): \(Self.shown(member.value))"
                refuse("label2id", found, expected: "each id from 0 to \(object.count - 1) once")
                return nil
            }
            names[id] = member.key
        }
        return names.compactMap(\.self)
    }
}

extension ModernBERTConfiguration {
    /// `label2id` for a list of labels.
    static func labelIDs(_ labels: [String]) -> JSONObject {
        JSONObject(labels.enumerated().map { ($1, JSONValue($0)) })
    }
}
