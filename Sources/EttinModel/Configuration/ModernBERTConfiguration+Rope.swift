import EttinFiles
import EttinJSON

// Rotary parameters have three spellings: `rope_parameters` of version 5, the two thetas of version 4, and
// `rope_scaling`, which either version merges into both kinds of layers.

extension ModernBERTConfiguration {
    mutating func readRope(_ fields: inout ConfigurationFields) {
        let legacyGlobal = legacyTheta("global_rope_theta", &fields)
        let legacyLocal = legacyTheta("local_rope_theta", &fields)
        let scaling = scaling(&fields)
        let entries = entries(&fields)
        globalRope.theta = legacyGlobal.theta ?? globalRope.theta
        globalRope = entry(entries[.fullAttention], .fullAttention, default: globalRope, scaling, &fields)
        localRope.theta = legacyLocal.theta ?? localRope.theta
        // Version 4 takes an explicit null as "the base of the global layers".
        if legacyLocal.isNull { localRope.theta = globalRope.theta }
        localRope = entry(entries[.slidingAttention], .slidingAttention, default: localRope, scaling, &fields)
    }

    private func legacyTheta(
        _ key: String,
        _ fields: inout ConfigurationFields
    ) -> (theta: Double?, isNull: Bool) {
        guard let value = fields.value(key) else { return (nil, false) }
        if value.isNull { return (nil, true) }
        return (fields.real(key, value), false)
    }

    private func scaling(_ fields: inout ConfigurationFields) -> JSONObject? {
        guard let value = fields.value("rope_scaling"), !value.isNull else { return nil }
        guard let object = value.objectValue else {
            fields.refuse("rope_scaling", "is \(ConfigurationFields.shown(value))", expected: "an object or null")
            return nil
        }
        if object["rope_type"] == nil, object["type"] != nil {
            // Version 5 keeps such a key and applies nothing; a silent difference would be worse than an error.
            let found = "has \"type\" without \"rope_type\", which transformers ignores"
            fields.refuse("rope_scaling", found, expected: "\"rope_type\"", kind: .unsupported)
        }
        return object
    }

    private func entries(_ fields: inout ConfigurationFields) -> [LayerType: JSONObject] {
        guard let value = fields.value("rope_parameters"), !value.isNull else { return [:] }
        guard let object = value.objectValue else {
            let found = "is \(ConfigurationFields.shown(value))"
            fields.refuse("rope_parameters", found, expected: "an object or null")
            return [:]
        }
        var entries: [LayerType: JSONObject] = [:]
        for member in object {
            guard let type = LayerType(rawValue: member.key) else {
                let found = "has the key \(quoted(member.key, limit: 40))"
                let expected = "\"full_attention\" and \"sliding_attention\""
                fields.refuse("rope_parameters", found, expected: expected, kind: .unsupported)
                continue
            }
            if member.value.isNull { continue }
            guard let entry = member.value.objectValue else {
                let found = "has \(ConfigurationFields.shown(member.value)) for \(quoted(member.key))"
                fields.refuse("rope_parameters", found, expected: "an object")
                continue
            }
            entries[type] = entry
        }
        return entries
    }

    private func entry(
        _ object: JSONObject?,
        _ type: LayerType,
        default rope: RotaryParameters,
        _ scaling: JSONObject?,
        _ fields: inout ConfigurationFields
    ) -> RotaryParameters {
        var merged = object ?? JSONObject()
        for member in scaling ?? JSONObject() { merged[member.key] = member.value }
        let key = "rope_parameters.\(type.rawValue)"
        var rope = rope
        if let value = merged["rope_theta"] {
            if value.isNull {
                // What version 5 writes after reading a null local base.
                if type == .slidingAttention { rope.theta = globalRope.theta }
            } else {
                rope.theta = fields.real(key + ".rope_theta", value) ?? rope.theta
            }
        }
        // What transformers 5 takes for an absent "rope_type" in an entry of its own.
        switch merged["rope_type"] ?? object?["type"] {
        case nil, .string("default"): break
        case .string("yarn"): rope.yarn = yarn(merged, key, &fields)
        case .string("linear"):
            if let factor = merged["factor"].flatMap({ fields.real(key + ".factor", $0) }) {
                rope.positionScale = factor
            } else if merged["factor"] == nil {
                fields.refuse(key + ".factor", "is missing", expected: "a number, as \"linear\" needs")
            }
        case let other?:
            let found = "is \(ConfigurationFields.shown(other))"
            fields.refuse(key + ".rope_type", found, expected: "\"default\", \"linear\" or \"yarn\"", kind: .unsupported)
        }
        if merged["partial_rotary_factor"].map({ $0.doubleValue != 1 && !$0.isNull }) == true {
            fields.refuse(key + ".partial_rotary_factor", "is not 1", expected: "1", kind: .unsupported)
        }
        return rope
    }

    /// The keys of YaRN; nil, with what is wrong noted, when they are not usable.
    private func yarn(
        _ entry: JSONObject,
        _ key: String,
        _ fields: inout ConfigurationFields
    ) -> YaRNScaling? {
        func real(_ name: String) -> Double? {
            guard let value = entry[name], !value.isNull else { return nil }
            return fields.real("\(key).\(name)", value)
        }
        let original =
            entry["original_max_position_embeddings"].flatMap { value in
                value.isNull ? nil : fields.integer(key + ".original_max_position_embeddings", value)
            } ?? maxPositionEmbeddings
        guard (1...ConfigurationLimits.positions).contains(original) else {
            let expected = "1 to \(ConfigurationLimits.positions)"
            fields.refuse(key + ".original_max_position_embeddings", "is \(original)", expected: expected)
            return nil
        }
        guard let stated = entry["factor"] else {
            fields.refuse(key + ".factor", "is missing", expected: "a number, as \"yarn\" needs")
            return nil
        }
        let factor = stated.isNull ? Double(maxPositionEmbeddings) / Double(original) : real("factor") ?? 1
        var scaling = YaRNScaling(factor: factor, originalPositions: original, attentionFactor: real("attention_factor"))
        // As in transformers, 0 counts as absent.
        if let turns = real("beta_fast"), turns != 0 { scaling.betaFast = turns }
        if let turns = real("beta_slow"), turns != 0 { scaling.betaSlow = turns }
        if scaling.attentionFactor == nil, let scale = real("mscale"), let all = real("mscale_all_dim"),
            scale != 0, all != 0
        {
            let parts = [scale, all].map { YaRNScaling.magnitude(factor: factor, weight: $0) }
            scaling.attentionFactor = parts[0] / parts[1]
        }
        if let truncates = entry["truncate"], truncates != true, !truncates.isNull {
            // Transformers looks for it outside the entries of layers, where it is not.
            let found = "is \(ConfigurationFields.shown(truncates)), which transformers ignores here"
            fields.refuse(key + ".truncate", found, expected: "true", kind: .unsupported)
        }
        return scaling
    }

    /// One entry of `rope_parameters`.
    static func ropeValue(_ rope: RotaryParameters) -> JSONValue {
        let theta = JSONValue(rope.theta)
        if let yarn = rope.yarn {
            var entry: JSONObject = [
                "factor": JSONValue(yarn.factor),
                "original_max_position_embeddings": JSONValue(yarn.originalPositions),
                "rope_theta": theta, "rope_type": "yarn",
            ]
            if let factor = yarn.attentionFactor { entry["attention_factor"] = JSONValue(factor) }
            if yarn.betaFast != YaRNScaling.defaultBetaFast { entry["beta_fast"] = JSONValue(yarn.betaFast) }
            if yarn.betaSlow != YaRNScaling.defaultBetaSlow { entry["beta_slow"] = JSONValue(yarn.betaSlow) }
            return .object(entry)
        }
        guard rope.positionScale != 1 else { return ["rope_theta": theta, "rope_type": "default"] }
        return ["factor": JSONValue(rope.positionScale), "rope_theta": theta, "rope_type": "linear"]
    }
}
