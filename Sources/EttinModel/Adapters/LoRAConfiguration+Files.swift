import EttinFiles
package import EttinJSON

extension LoRAConfiguration {
    /// The largest rank that is read.
    private static let rankLimit = 1 << 16

    /// Reads the configuration of an adapter's folder.
    ///
    /// Keys that PEFT may add and that say nothing here are passed over; one that would change what the adapter does, and
    /// that is not supported, is refused by name.
    ///
    /// - Parameter folder: The folder of an adapter.
    /// - Throws: `CheckpointError` naming key and value.
    public init(folder: String) throws {
        let path = FilePath.joined(folder, Self.file)
        try self.init(JSONFile.object(path: path, name: path, sizeLimit: JSONFile.settingsSizeLimit), file: path)
    }

    /// Reads the content of `adapter_config.json`.
    ///
    /// - Parameters:
    ///   - object: The content.
    ///   - file: The file's name for messages.
    /// - Throws: `CheckpointError` naming key and value.
    package init(_ object: JSONObject, file: String) throws {
        var fields = ConfigurationFields(object, file: file)
        Self.refuseOtherKinds(&fields)
        fields.read("base_model_name_or_path", into: &baseModel)
        fields.read("revision", into: &revision)
        fields.read("task_type", into: &taskType)
        fields.read("r", into: &rank)
        fields.read("lora_alpha", into: &alpha)
        fields.read("lora_dropout", into: &dropout)
        fields.read("use_rslora", into: &usesRankStabilization)
        fields.read("use_dora", into: &usesDecomposition)
        targets = Self.selection("target_modules", &fields)
        excluded = Self.selection("exclude_modules", &fields)
        modulesToSave = Self.names("modules_to_save", &fields)
        layersPattern = Self.names("layers_pattern", &fields)
        layers = Self.layers(&fields)
        rankPattern = Self.patterns("rank_pattern", &fields) { $0.intValue }
        alphaPattern = Self.patterns("alpha_pattern", &fields) { $0.doubleValue }
        initialization = Self.initialization(&fields)
        check(&fields)
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
    }

    /// Refuses numbers that make no adapter.
    private func check(_ fields: inout ConfigurationFields) {
        let ranks = [("r", rank)] + rankPattern.map { ("rank_pattern", $0.value) }
        for (key, rank) in ranks where !(1...Self.rankLimit).contains(rank) {
            fields.refuse(key, "has the rank \(rank)", expected: "1 to \(Self.rankLimit)")
        }
        let alphas = [("lora_alpha", alpha)] + alphaPattern.map { ("alpha_pattern", $0.value) }
        for (key, alpha) in alphas where !alpha.isFinite || abs(alpha) > 1e9 {
            fields.refuse(key, "has \(alpha)", expected: "a number of at most 1e9")
        }
        if !(0..<1).contains(dropout) { fields.refuse("lora_dropout", "is \(dropout)", expected: "0 to below 1") }
    }

    /// Refuses adapters of other types and options that change what an adapter does.
    private static func refuseOtherKinds(_ fields: inout ConfigurationFields) {
        if let type = fields.value("peft_type"), type.stringValue != "LORA" {
            let shown = ConfigurationFields.shown(type)
            fields.refuse("peft_type", "is \(shown)", expected: "\"LORA\"", kind: .unsupported)
        }
        if let bias = fields.value("bias"), bias.stringValue != "none" {
            let shown = ConfigurationFields.shown(bias)
            fields.refuse("bias", "is \(shown)", expected: "\"none\"", kind: .unsupported)
        }
        let unsupported = [
            "alora_invocation_tokens", "arrow_config", "corda_config", "ensure_weight_tying", "fan_in_fan_out",
            "kasa_config", "layer_replication", "loftq_config", "lora_bias", "lora_ga_config", "megatron_config",
            "monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora",
            "velora_config",
        ]
        for key in unsupported {
            guard let value = fields.value(key) else { continue }
            let isUnset =
                value.isNull || value.boolValue == false || value.objectValue?.isEmpty == true
                || value.arrayValue?.isEmpty == true
            if isUnset { continue }
            let shown = ConfigurationFields.shown(value)
            fields.refuse(key, "is \(shown), which is not supported", expected: "null or false", kind: .unsupported)
        }
    }

    // MARK: Values

    private static func selection(_ key: String, _ fields: inout ConfigurationFields) -> ModuleSelection? {
        guard let value = fields.value(key), !value.isNull else { return nil }
        guard let selection = ModuleSelection(value) else {
            fields.refuse(key, "is \(ConfigurationFields.shown(value))", expected: "a list of names, or an expression")
            return nil
        }
        return selection
    }

    private static func names(_ key: String, _ fields: inout ConfigurationFields) -> [String] {
        guard let value = fields.value(key), !value.isNull else { return [] }
        if let text = value.stringValue { return [text] }
        guard case .names(let names)? = ModuleSelection(value) else {
            fields.refuse(key, "is \(ConfigurationFields.shown(value))", expected: "a list of names")
            return []
        }
        return names
    }

    private static func layers(_ fields: inout ConfigurationFields) -> [Int]? {
        let key = "layers_to_transform"
        guard let value = fields.value(key), !value.isNull else { return nil }
        if let number = value.intValue { return [number] }
        let numbers = value.arrayValue?.compactMap(\.intValue) ?? []
        guard numbers.count == value.arrayValue?.count else {
            fields.refuse(key, "is \(ConfigurationFields.shown(value))", expected: "numbers of layers")
            return nil
        }
        return numbers.isEmpty ? nil : numbers
    }

    private static func patterns<Value>(
        _ key: String,
        _ fields: inout ConfigurationFields,
        _ read: (JSONValue) -> Value?
    ) -> [Pattern<Value>] {
        guard let value = fields.value(key), !value.isNull else { return [] }
        guard let object = value.objectValue else {
            fields.refuse(key, "is \(ConfigurationFields.shown(value))", expected: "numbers by patterns of names")
            return []
        }
        return object.compactMap { member in
            guard let number = read(member.value) else {
                let shown = ConfigurationFields.shown(member.value)
                fields.refuse(key, "has \(shown) for \(quoted(member.key, limit: 80))", expected: "a number")
                return nil
            }
            return Pattern(member.key, number)
        }
    }

    /// What says how an adapter was drawn matters only where it goes with other weights of the base.
    private static func initialization(_ fields: inout ConfigurationFields) -> Initialization {
        let key = "init_lora_weights"
        guard let value = fields.value(key), value.boolValue != true else { return .standard }
        if value.boolValue == false { return .random }
        switch value.stringValue?.lowercased() {
        case "gaussian": return .gaussian
        case "eva", "orthogonal": return .standard
        default:
            let shown = ConfigurationFields.shown(value)
            fields.refuse(
                key,
                "is \(shown), which is not supported",
                expected: "true, false or \"gaussian\"",
                kind: .unsupported
            )
            return .standard
        }
    }

    // MARK: Writing

    /// The content of `adapter_config.json` of a finished adapter, with the keys that all versions of PEFT know.
    package var json: JSONObject {
        func number(_ value: Double) -> JSONValue { Int(exactly: value).map { JSONValue($0) } ?? JSONValue(value) }
        func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
        func texts(_ values: [String]) -> JSONValue { values.isEmpty ? .null : .array(values.map(JSONValue.string)) }
        let drawn: JSONValue =
            switch initialization {
            case .standard: .bool(true)
            case .gaussian: "gaussian"
            case .random: .bool(false)
            }
        return [
            "alpha_pattern": .object(JSONObject(alphaPattern.map { ($0.pattern, number($0.value)) })),
            "auto_mapping": .null,
            "base_model_name_or_path": text(baseModel),
            "bias": "none",
            "exclude_modules": excluded?.json ?? .null,
            "fan_in_fan_out": .bool(false),
            "inference_mode": .bool(true),
            "init_lora_weights": drawn,
            "layer_replication": .null,
            "layers_pattern": texts(layersPattern),
            "layers_to_transform": layers.map { .array($0.map { JSONValue($0) }) } ?? .null,
            "loftq_config": [:],
            "lora_alpha": number(alpha),
            "lora_dropout": number(dropout),
            "megatron_config": .null,
            "megatron_core": "megatron.core",
            "modules_to_save": texts(modulesToSave),
            "peft_type": "LORA",
            "r": JSONValue(rank),
            "rank_pattern": .object(JSONObject(rankPattern.map { ($0.pattern, JSONValue($0.value)) })),
            "revision": text(revision),
            "target_modules": targets?.json ?? .null,
            "task_type": text(taskType),
            "use_dora": .bool(usesDecomposition),
            "use_rslora": .bool(usesRankStabilization),
        ]
    }
}
