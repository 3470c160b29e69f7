import EttinJSON

/// Turns the parts of `tokenizer.json` into settings, or says which part is not supported.
struct TokenizerFileChecker {
    let name: String

    struct ModelOptions {
        var unknownToken: String?
        var fusesUnknown: Bool
        var ignoresMerges: Bool
    }

    func modelOptions(_ options: JSONObject) throws -> ModelOptions {
        let type = options["type"] ?? "BPE"
        guard type == "BPE" else { throw unsupported("model.type", type, "\"BPE\"") }
        if let dropout = options["dropout"], !dropout.isNull, dropout.doubleValue != 0 {
            throw unsupported("model.dropout", dropout, "null")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = options[key], !affix.isNull, affix != "" {
                throw unsupported("model.\(key)", affix, "null or \"\"")
            }
        }
        if try flag(options, "byte_fallback") { throw unsupported("model.byte_fallback", true, "false") }
        var unknownToken: String?
        if let token = options["unk_token"], !token.isNull {
            guard let text = token.stringValue else { throw invalid("model.unk_token", token, "a string or null") }
            unknownToken = text
        }
        return ModelOptions(
            unknownToken: unknownToken,
            fusesUnknown: try flag(options, "fuse_unk"),
            ignoresMerges: try flag(options, "ignore_merges")
        )
    }

    func composesCanonically(_ value: JSONValue, field: String) throws -> Bool {
        let supported = "null, NFC and Sequence of these"
        guard !value.isNull else { return false }
        switch value["type"]?.stringValue {
        case "NFC": return true
        case "Sequence":
            var composes = false
            for (index, element) in try elements(value, "normalizers", field).enumerated() {
                let composesHere = try composesCanonically(element, field: "\(field).normalizers[\(index)]")
                composes = composes || composesHere
            }
            return composes
        default: throw unsupported("\(field).type", value["type"] ?? value, supported)
        }
    }

    func splitting(_ value: JSONValue) throws -> ByteLevelSplitting {
        let field = "pre_tokenizer"
        let supported = "ByteLevel and Sequence of one ByteLevel"
        switch value["type"]?.stringValue {
        case "ByteLevel":
            return ByteLevelSplitting(
                addsPrefixSpace: try flag(value, "add_prefix_space", field: field, default: true),
                splitsWords: try flag(value, "use_regex", field: field, default: true)
            )
        case "Sequence":
            let parts = try elements(value, "pretokenizers", field)
            guard parts.count == 1, parts[0]["type"] == "ByteLevel" else {
                throw unsupported("\(field).pretokenizers", .array(parts.map { $0["type"] ?? $0 }), supported)
            }
            return try splitting(parts[0])
        default: throw unsupported(field, value["type"] ?? value, supported)
        }
    }

    func decodesBytes(_ value: JSONValue, field: String) throws -> Bool {
        let supported = "null, ByteLevel and Sequence of one ByteLevel"
        guard !value.isNull else { return false }
        switch value["type"]?.stringValue {
        case "ByteLevel": return true
        case "Sequence":
            let parts = try elements(value, "decoders", field)
            guard parts.count == 1, parts[0]["type"] == "ByteLevel" else {
                throw unsupported("\(field).decoders", .array(parts.map { $0["type"] ?? $0 }), supported)
            }
            return true
        default: throw unsupported("\(field).type", value["type"] ?? value, supported)
        }
    }

    func postProcessorSteps(_ value: JSONValue, field: String) throws -> [PostProcessor.Step] {
        let supported = "null, ByteLevel, TemplateProcessing and Sequence of these"
        guard !value.isNull else { return [] }
        switch value["type"]?.stringValue {
        case "ByteLevel":
            guard try flag(value, "trim_offsets", field: field, default: true) else { return [] }
            let addsPrefixSpace = try flag(value, "add_prefix_space", field: field, default: true)
            return [.trimOffsets(addsPrefixSpace: addsPrefixSpace)]
        case "TemplateProcessing": return [.template(try template(value, field: field))]
        case "Sequence":
            var steps: [PostProcessor.Step] = []
            for (index, element) in try elements(value, "processors", field).enumerated() {
                steps += try postProcessorSteps(element, field: "\(field).processors[\(index)]")
            }
            let templates = steps.count { if case .template = $0 { true } else { false } }
            guard templates <= 1 else {
                throw unsupported("\(field).processors", .string("\(templates) templates"), "one TemplateProcessing")
            }
            return steps
        default: throw unsupported("\(field).type", value["type"] ?? value, supported)
        }
    }

    // MARK: - Templates

    private func template(_ value: JSONValue, field: String) throws -> PostProcessor.Template {
        var specials: [[UInt8]: [Int32]] = [:]
        for member in value["special_tokens"]?.objectValue ?? JSONObject() {
            let idsField = "\(field).special_tokens.\(member.key).ids"
            guard let ids = member.value["ids"]?.arrayValue else {
                throw invalid(idsField, member.value["ids"] ?? .null, "a list of ids")
            }
            specials[Array(member.key.utf8)] = try ids.map { id in
                guard let number = id.intValue, let small = Int32(exactly: number), small >= 0 else {
                    throw invalid(idsField, id, "ids")
                }
                return small
            }
        }
        func parts(_ key: String) throws -> [PostProcessor.Part] {
            let list = value[key] ?? .null
            guard let elements = list.arrayValue else { throw invalid("\(field).\(key)", list, "a list of parts") }
            return try elements.enumerated().map { index, element in
                try part(element, specials, field: "\(field).\(key)[\(index)]")
            }
        }
        let single = try parts("single")
        let pair = try parts("pair")
        for (key, parts, needed) in [("single", single, [false]), ("pair", pair, [false, true])] {
            let texts = parts.compactMap { if case .text(let second, _) = $0 { second } else { nil } }
            guard texts.sorted(by: { !$0 && $1 }) == needed else {
                throw unsupported("\(field).\(key)", value[key] ?? .null, "each text once")
            }
        }
        return PostProcessor.Template(single: single, pair: pair)
    }

    private func part(
        _ value: JSONValue,
        _ specials: [[UInt8]: [Int32]],
        field: String
    ) throws -> PostProcessor.Part {
        func typeID(_ object: JSONValue) throws -> Int32 {
            let number = object["type_id"] ?? 0
            guard let int = number.intValue, let small = Int32(exactly: int), small >= 0 else {
                throw invalid("\(field).type_id", number, "a small integer")
            }
            return small
        }
        if let sequence = value["Sequence"] {
            guard sequence["id"] == "A" || sequence["id"] == "B" else {
                throw invalid("\(field).Sequence.id", sequence["id"] ?? .null, "\"A\" or \"B\"")
            }
            return .text(second: sequence["id"] == "B", typeID: try typeID(sequence))
        }
        if let special = value["SpecialToken"] {
            guard let name = special["id"]?.stringValue, let ids = specials[Array(name.utf8)] else {
                throw invalid("\(field).SpecialToken.id", special["id"] ?? .null, "a name listed in special_tokens")
            }
            return .special(ids: ids, typeID: try typeID(special))
        }
        throw invalid(field, value, "a Sequence or a SpecialToken")
    }

    // MARK: - Fields

    private func elements(_ value: JSONValue, _ key: String, _ field: String) throws -> [JSONValue] {
        guard let elements = value[key]?.arrayValue else {
            throw invalid("\(field).\(key)", value[key] ?? .null, "a list")
        }
        return elements
    }

    private func flag(_ object: JSONObject, _ key: String) throws -> Bool {
        try flag(.object(object), key, field: "model", default: false)
    }

    private func flag(_ value: JSONValue, _ key: String, field: String, default fallback: Bool) throws -> Bool {
        guard let member = value[key], !member.isNull else { return fallback }
        guard let flag = member.boolValue else { throw invalid("\(field).\(key)", member, "true or false") }
        return flag
    }

    private func unsupported(_ field: String, _ found: JSONValue, _ supported: String) -> TokenizerError {
        .unsupported(file: name, field: field, found: shortened(found), supported: supported)
    }

    private func invalid(_ field: String, _ found: JSONValue, _ expected: String) -> TokenizerError {
        .invalid(file: name, field: field, found: found.isNull ? "missing" : shortened(found), expected: expected)
    }

    private func shortened(_ value: JSONValue) -> String {
        let text = value.text()
        return text.utf8.count > 120 ? String(text.unicodeScalars.prefix(100)) + "…" : text
    }
}
