import EttinJSON

extension TokenizerFileChecker {
    // MARK: - Normalisers

    /// The steps of a normaliser.
    func normalizers(_ value: JSONValue, field: String) throws -> [Normalizer] {
        guard !value.isNull else { return [] }
        switch value["type"]?.stringValue {
        case "Sequence":
            var steps: [Normalizer] = []
            for (index, element) in try elements(value, "normalizers", field).enumerated() {
                steps += try normalizers(element, field: "\(field).normalizers[\(index)]")
            }
            return steps
        case "NFC": return [.form(.nfc)]
        case "NFD": return [.form(.nfd)]
        case "NFKC": return [.form(.nfkc)]
        case "NFKD": return [.form(.nfkd)]
        case "Lowercase": return [.lowercase]
        case "StripAccents": return [.stripAccents]
        case "Nmt": return [.nmt]
        case "Strip":
            return [
                .strip(
                    left: try flag(value, "strip_left", field: field),
                    right: try flag(value, "strip_right", field: field)
                )
            ]
        case "Prepend": return [.prepend(Array(try filledText(value, "prepend", field).utf8))]
        case "Replace":
            let content = Array(try text(value, "content", field).utf8)
            return [.replace(try pattern(value, field), with: content)]
        case "BertNormalizer": return try bertNormalizers(value, field)
        case "Precompiled":
            let encoded = try text(value, "precompiled_charsmap", field)
            guard let bytes = Base64.decoded(encoded), let map = PrecompiledMap(bytes) else {
                throw invalid(
                    "\(field).precompiled_charsmap",
                    .string(encoded),
                    "the character map of a SentencePiece model in base64"
                )
            }
            return [.precompiled(map)]
        default:
            throw unsupported(
                "\(field).type",
                value["type"] ?? value,
                "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, Nmt, Precompiled, "
                    + "BertNormalizer and Sequence of these"
            )
        }
    }

    private func bertNormalizers(_ value: JSONValue, _ field: String) throws -> [Normalizer] {
        let lowercases = try flag(value, "lowercase", field: field)
        var steps: [Normalizer] = []
        if try flag(value, "clean_text", field: field) { steps.append(.bertCleaning) }
        if try flag(value, "handle_chinese_chars", field: field) { steps.append(.bertChineseCharacters) }
        if try flag(value, "strip_accents", field: field, default: lowercases) { steps.append(.bertAccents) }
        if lowercases { steps.append(.lowercase) }
        return steps
    }

    // MARK: - Pre-tokenizers

    /// The steps of a pre-tokenizer.
    func preTokenizers(_ value: JSONValue, field: String) throws -> [PreTokenizer] {
        guard !value.isNull else { return [] }
        switch value["type"]?.stringValue {
        case "Sequence":
            var steps: [PreTokenizer] = []
            for (index, element) in try elements(value, "pretokenizers", field).enumerated() {
                let here = "\(field).pretokenizers[\(index)]"
                guard !hasByteLevel(steps) else {
                    throw unsupported("\(here).type", element["type"] ?? element, "ByteLevel as the last pre-tokenizer")
                }
                steps += try preTokenizers(element, field: here)
            }
            return steps
        case "ByteLevel":
            // The space in front is a setting of the tokenizer.
            return [.byteLevel(splits: try flag(value, "use_regex", field: field, default: true))]
        case "Split":
            let behavior = try behavior(value["behavior"], "\(field).behavior")
            let inverts = try flag(value, "invert", field: field)
            return [.split(try pattern(value, field), behavior, inverts: inverts)]
        case "Metaspace": return [try metaspace(value, field)]
        case "BertPreTokenizer":
            return [
                .split(.characters(.whiteSpace), .removed, inverts: false),
                .split(.characters(.punctuation), .isolated, inverts: false),
            ]
        case "Whitespace":
            let words = try expression(#"\w+|[^\w\s]+"#, field, hasUnicodeWords: true)
            return [.split(words, .removed, inverts: true)]
        case "WhitespaceSplit": return [.split(.characters(.whiteSpace), .removed, inverts: false)]
        case "Digits":
            let isIndividual = try flag(value, "individual_digits", field: field)
            return [.split(.characters(.numeric), isIndividual ? .isolated : .contiguous, inverts: false)]
        case "Punctuation":
            let behavior = try behavior(value["behavior"] ?? "Isolated", "\(field).behavior")
            return [.split(.characters(.punctuation), behavior, inverts: false)]
        case "CharDelimiterSplit":
            return [.split(.string(try character(value, "delimiter", field)), .removed, inverts: false)]
        default:
            throw unsupported(
                "\(field).type",
                value["type"] ?? value,
                "ByteLevel, Split, Metaspace, BertPreTokenizer, Whitespace, WhitespaceSplit, Digits, Punctuation, "
                    + "CharDelimiterSplit and Sequence of these"
            )
        }
    }

    /// Whether words are written in the byte alphabet.
    func hasByteLevel(_ steps: [PreTokenizer]) -> Bool {
        steps.contains { if case .byteLevel = $0 { true } else { false } }
    }

    /// Whether a byte-level pre-tokenizer puts a space in front of texts.
    func addsPrefixSpace(_ value: JSONValue) throws -> Bool {
        if value["type"] == "ByteLevel" {
            return try flag(value, "add_prefix_space", field: "pre_tokenizer", default: true)
        }
        return try value["pretokenizers"]?.arrayValue?.contains { try addsPrefixSpace($0) } ?? false
    }

    private func metaspace(_ value: JSONValue, _ field: String) throws -> PreTokenizer {
        let splits = try flag(value, "split", field: field, default: true)
        let replacement = try character(value, "replacement", field)
        return .metaspace(replacement: replacement, try prependScheme(value, field), splits: splits)
    }

    /// When Metaspace puts its character in front; older files say only whether.
    private func prependScheme(_ value: JSONValue, _ field: String) throws -> PreTokenizer.PrependScheme {
        let addsSpace = try value["add_prefix_space"].map { _ in
            try flag(value, "add_prefix_space", field: field, default: true)
        }
        guard let given = value["prepend_scheme"], !given.isNull else { return addsSpace == false ? .never : .always }
        guard let scheme = given.stringValue.flatMap(PreTokenizer.PrependScheme.init) else {
            throw invalid("\(field).prepend_scheme", given, "\"first\", \"never\" or \"always\"")
        }
        if addsSpace == false, scheme != .never {
            throw invalid("\(field).prepend_scheme", given, "\"never\", as \"add_prefix_space\" is false")
        }
        return scheme
    }

    private func behavior(_ value: JSONValue?, _ field: String) throws -> PreTokenizer.Behavior {
        guard let behavior = value?.stringValue.flatMap(PreTokenizer.Behavior.init) else {
            let names = PreTokenizer.Behavior.allCases.map(\.rawValue)
            throw invalid(field, value ?? .null, names.joined(separator: ", "))
        }
        return behavior
    }

    // MARK: - Decoders

    /// The steps of a decoder.
    func decoderStages(_ value: JSONValue, field: String) throws -> [TokenDecoder.Stage] {
        switch value["type"]?.stringValue {
        case "Sequence":
            var stages: [TokenDecoder.Stage] = []
            for (index, element) in try elements(value, "decoders", field).enumerated() {
                let here = "\(field).decoders[\(index)]"
                let added = try decoderStages(element, field: here)
                let isFused = stages.contains { $0.fuses }
                if isFused, let stage = added.first(where: { !$0.worksOnFusedText }) {
                    throw unsupported("\(here).type", element["type"] ?? element, "\(stage.name) in front of Fuse")
                }
                stages += added
            }
            return stages
        case "ByteLevel": return [.byteLevel]
        case "ByteFallback": return [.byteFallback]
        case "Fuse": return [.fuse]
        case "Replace":
            let content = Array(try text(value, "content", field).utf8)
            guard case .string(let string) = try pattern(value, field) else {
                throw unsupported("\(field).pattern", value["pattern"] ?? .null, "a String")
            }
            return [.replace(string, with: content)]
        case "Strip":
            return [
                .strip(
                    try character(value, "content", field),
                    start: try count(value, "start", field),
                    stop: try count(value, "stop", field)
                )
            ]
        case "WordPiece":
            let prefix = Array(try text(value, "prefix", field).utf8)
            return [.wordPiece(prefix: prefix, cleansUp: try flag(value, "cleanup", field: field))]
        case "Metaspace":
            let scheme = try prependScheme(value, field)
            return [.metaspace(try character(value, "replacement", field), dropsFirst: scheme != .never)]
        default:
            throw unsupported(
                "\(field).type",
                value["type"] ?? value,
                "null, ByteLevel, ByteFallback, Fuse, Replace, Strip, WordPiece, Metaspace and Sequence of these"
            )
        }
    }

    // MARK: - Fields of steps

    private func pattern(_ value: JSONValue, _ field: String) throws -> TextPattern {
        let given = value["pattern"] ?? .null
        guard given.objectValue?.count == 1, let kind = ["String", "Regex"].first(where: { given[$0] != nil }) else {
            throw invalid("\(field).pattern", given, "an object with \"String\" or \"Regex\"")
        }
        let text = try filledText(given, kind, "\(field).pattern")
        return kind == "String" ? .string(Array(text.utf8)) : try expression(text, "\(field).pattern.Regex")
    }

    private func expression(_ source: String, _ field: String, hasUnicodeWords: Bool = false) throws -> TextPattern {
        do {
            return .expression(try SplitExpressionParser.parse(source, hasUnicodeWords: hasUnicodeWords))
        } catch {
            let supported = "expressions without \(error.what), as those of GPT-2, GPT-4, GPT-4o, Llama 3 and Qwen"
            throw unsupported(field, .string(source), supported)
        }
    }

    private func text(_ value: JSONValue, _ key: String, _ field: String) throws -> String {
        guard let text = value[key]?.stringValue else {
            throw invalid("\(field).\(key)", value[key] ?? .null, "a string")
        }
        return text
    }

    private func filledText(_ value: JSONValue, _ key: String, _ field: String) throws -> String {
        let text = try text(value, key, field)
        guard !text.isEmpty else { throw invalid("\(field).\(key)", value[key] ?? .null, "a text that is not empty") }
        return text
    }

    private func character(_ value: JSONValue, _ key: String, _ field: String) throws -> [UInt8] {
        let text = try text(value, key, field)
        guard text.unicodeScalars.count == 1 else {
            throw invalid("\(field).\(key)", .string(text), "one character")
        }
        return Array(text.utf8)
    }

    private func count(_ value: JSONValue, _ key: String, _ field: String) throws -> Int {
        guard let count = value[key]?.intValue, count >= 0, count <= Self.largestStrip else {
            throw invalid("\(field).\(key)", value[key] ?? .null, "a number from 0 to \(Self.largestStrip)")
        }
        return count
    }

    /// Decoders that strip more characters from each token are not known.
    private static let largestStrip = 1000
}
