import EttinJSON

/// Turns the parts of `tokenizer.json` into settings, or says which part is not supported.
struct TokenizerFileChecker {
    let name: String

    /// The members of the file that are read together.
    struct Parts {
        let normalizer: JSONValue
        let preTokenizer: JSONValue
        let decoder: JSONValue
    }

    struct ModelOptions {
        var unknownToken: String?
        var fusesUnknown: Bool
        var ignoresMerges: Bool
        var fallsBackToBytes: Bool
    }

    func modelOptions(_ options: JSONObject) throws -> ModelOptions {
        if let dropout = options["dropout"], !dropout.isNull, dropout.doubleValue != 0 {
            throw unsupported("model.dropout", dropout, "null")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = options[key], !affix.isNull, affix != "" {
                throw unsupported("model.\(key)", affix, "null or \"\"")
            }
        }
        var unknownToken: String?
        if let token = options["unk_token"], !token.isNull {
            guard let text = token.stringValue else { throw invalid("model.unk_token", token, "a string or null") }
            unknownToken = text
        }
        return ModelOptions(
            unknownToken: unknownToken,
            fusesUnknown: try flag(options, "fuse_unk"),
            ignoresMerges: try flag(options, "ignore_merges"),
            fallsBackToBytes: try flag(options, "byte_fallback")
        )
    }

    /// Whether a normaliser is NFC or none; nil when it is another.
    func composesCanonically(_ value: JSONValue) -> Bool? {
        guard !value.isNull else { return false }
        if value["type"] == "NFC" { return true }
        guard value["type"] == "Sequence", let elements = value["normalizers"]?.arrayValue else { return nil }
        return elements.reduce(false) { composes, element in
            guard let composes, let composesHere = composesCanonically(element) else { return nil }
            return composes || composesHere
        }
    }

    /// The options of a pre-tokenizer that is ByteLevel alone; nil when it is another.
    func splitting(_ value: JSONValue) throws -> ByteLevelSplitting? {
        let field = "pre_tokenizer"
        if value["type"] == "Sequence", let parts = value["pretokenizers"]?.arrayValue, parts.count == 1 {
            return parts[0]["type"] == "ByteLevel" ? try splitting(parts[0]) : nil
        }
        guard value["type"] == "ByteLevel" else { return nil }
        return ByteLevelSplitting(
            addsPrefixSpace: try flag(value, "add_prefix_space", field: field, default: true),
            splitsWords: try flag(value, "use_regex", field: field, default: true)
        )
    }

    /// Whether a decoder is ByteLevel alone.
    func isByteLevel(decoder value: JSONValue) -> Bool {
        if value["type"] == "Sequence", let parts = value["decoders"]?.arrayValue, parts.count == 1 {
            return isByteLevel(decoder: parts[0])
        }
        return value["type"] == "ByteLevel"
    }

    func postProcessorSteps(_ value: JSONValue, field: String) throws -> [PostProcessor.Step] {
        let supported = "null, ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing and Sequence of these"
        guard !value.isNull else { return [] }
        switch value["type"]?.stringValue {
        case "ByteLevel":
            guard try flag(value, "trim_offsets", field: field, default: true) else { return [] }
            let addsPrefixSpace = try flag(value, "add_prefix_space", field: field, default: true)
            return [.trimOffsets(addsPrefixSpace: addsPrefixSpace)]
        case "TemplateProcessing": return [.template(try template(value, field: field))]
        case "BertProcessing": return [.template(try bertTemplate(value, field: field, isRoberta: false))]
        case "RobertaProcessing":
            let template = PostProcessor.Step.template(try bertTemplate(value, field: field, isRoberta: true))
            // Without either, the original takes it for a BertProcessing.
            let trims = try flag(value, "trim_offsets", field: field)
            let addsPrefixSpace = try flag(value, "add_prefix_space", field: field)
            return trims ? [.trimOffsets(addsPrefixSpace: addsPrefixSpace), template] : [template]
        case "Sequence":
            var steps: [PostProcessor.Step] = []
            for (index, element) in try elements(value, "processors", field).enumerated() {
                steps += try postProcessorSteps(element, field: "\(field).processors[\(index)]")
            }
            let templates = steps.count { if case .template = $0 { true } else { false } }
            guard templates <= 1 else {
                throw unsupported("\(field).processors", .string("\(templates) templates"), "one template")
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

    /// The template of BERT, `[CLS] A [SEP] B [SEP]`, or of RoBERTa, `<s> A </s></s> B </s>` with type id 0 throughout.
    private func bertTemplate(_ value: JSONValue, field: String, isRoberta: Bool) throws -> PostProcessor.Template {
        func special(_ key: String) throws -> Int32 {
            let list = value[key] ?? .null
            guard list[0]?.stringValue != nil, let number = list[1]?.intValue, let id = Int32(exactly: number), id >= 0
            else { throw invalid("\(field).\(key)", list, "a token and its id") }
            return id
        }
        let (first, last) = (try special("cls"), try special("sep"))
        let single: [PostProcessor.Part] = [
            .special(ids: [first], typeID: 0), .text(second: false, typeID: 0), .special(ids: [last], typeID: 0),
        ]
        let between: [PostProcessor.Part] = isRoberta ? [.special(ids: [last], typeID: 0)] : []
        let typeID: Int32 = isRoberta ? 0 : 1
        let second: [PostProcessor.Part] = [
            .text(second: true, typeID: typeID), .special(ids: [last], typeID: typeID),
        ]
        return PostProcessor.Template(single: single, pair: single + between + second)
    }

    // MARK: - Fields

    func elements(_ value: JSONValue, _ key: String, _ field: String) throws -> [JSONValue] {
        guard let elements = value[key]?.arrayValue else {
            throw invalid("\(field).\(key)", value[key] ?? .null, "a list")
        }
        return elements
    }

    func flag(_ object: JSONObject, _ key: String) throws -> Bool {
        try flag(.object(object), key, field: "model", default: false)
    }

    func flag(_ value: JSONValue, _ key: String, field: String, default fallback: Bool) throws -> Bool {
        guard let member = value[key], !member.isNull else { return fallback }
        guard let flag = member.boolValue else { throw invalid("\(field).\(key)", member, "true or false") }
        return flag
    }

    /// A flag that has no default in the original.
    func flag(_ value: JSONValue, _ key: String, field: String) throws -> Bool {
        guard let flag = value[key]?.boolValue else {
            throw invalid("\(field).\(key)", value[key] ?? .null, "true or false")
        }
        return flag
    }

    func unsupported(_ field: String, _ found: JSONValue, _ supported: String) -> TokenizerError {
        .unsupported(file: name, field: field, found: shortened(found), supported: supported)
    }

    func invalid(_ field: String, _ found: JSONValue, _ expected: String) -> TokenizerError {
        .invalid(file: name, field: field, found: found.isNull ? "missing" : shortened(found), expected: expected)
    }

    func shortened(_ value: JSONValue) -> String {
        let text = value.text()
        return text.utf8.count > 120 ? String(text.unicodeScalars.prefix(100)) + "…" : text
    }
}
