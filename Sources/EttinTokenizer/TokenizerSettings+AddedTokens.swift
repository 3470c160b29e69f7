import EttinJSON

// One fact in several files: what transformers makes of `tokenizer.json` and the files beside it.
//
// - With `added_tokens_decoder` in `tokenizer_config.json`, its tokens are added to those of `tokenizer.json`, or take
//   their place where flags differ, and neither `added_tokens.json` nor `special_tokens_map.json` counts.
// - Without it, both are read, and the special tokens of `special_tokens_map.json` win over `tokenizer_config.json`.
// - Special tokens that no list of added tokens has are added behind the others.
// - Ids that files give are not obeyed: a token has that of the vocabulary, or the next free one.
//
// > Source: transformers 5.23 `tokenization_utils_base.py`, `tokenization_utils_tokenizers.py`.

extension TokenizerSettings {
    static let decoderKey = "added_tokens_decoder"
    private static let roles = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    /// A token that another file than `tokenizer.json` adds, with the id that it gives.
    struct StatedToken {
        var token: AddedToken
        let id: Int?
        let source: String
    }

    /// The added tokens of `tokenizer.json` with those that other files know.
    ///
    /// - Parameters:
    ///   - file: The content of `tokenizer.json`.
    ///   - location: What to put in front of file names in messages.
    /// - Returns: All added tokens in order, and those that other files add or change.
    /// - Throws: `TokenizerError` for entries that are no tokens.
    func completed(_ file: TokenizerFile, location: String) throws -> (all: [AddedToken], stated: [StatedToken]) {
        let names = namedTokens
        let special = Set(names.map { Array($0.content.utf8) })
        var stated = try listedTokens(file, special: special, location: location)
        for name in names {
            stated.append(StatedToken(token: name, id: nil, source: "\(location)tokenizer_config.json"))
        }
        var all = file.addedTokens
        var places: [[UInt8]: Int] = [:]
        for (place, token) in all.enumerated() where places[Array(token.content.utf8)] == nil {
            places[Array(token.content.utf8)] = place
        }
        for index in stated.indices {
            let content = Array(stated[index].token.content.utf8)
            guard let place = places[content] else {
                if special.contains(content) { stated[index].token.isSpecial = true }
                places[content] = all.count
                all.append(stated[index].token)
                continue
            }
            // A role names a token and does not change its flags; a special token stays special.
            guard stated[index].id != nil else { continue }
            let isSpecial = all[place].isSpecial || stated[index].token.isSpecial
            all[place] = stated[index].token
            all[place].isSpecial = isSpecial
        }
        return (all, stated)
    }

    /// The tokens of `added_tokens_decoder`, else of `added_tokens.json`, by id.
    private func listedTokens(
        _ file: TokenizerFile,
        special: Set<[UInt8]>,
        location: String
    ) throws -> [StatedToken] {
        if let value = configuration[Self.decoderKey] {
            let name = "\(location)tokenizer_config.json"
            return try Self.members(value, field: Self.decoderKey, name: name).map { member in
                let (key, value) = (member.key, member.value)
                let field = "\(Self.decoderKey).\(key)"
                guard let id = Int(key), id >= 0 else {
                    throw TokenizerError.invalid(file: name, field: field, found: "no id", expected: "ids as keys")
                }
                guard let token = try AddedToken(value, field: field, name: name) else {
                    throw TokenizerError.invalid(
                        file: name,
                        field: field,
                        found: value.kind.rawValue,
                        expected: "an object with \"content\""
                    )
                }
                return StatedToken(token: token, id: id, source: name)
            }.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
        }
        guard let addedTokens else { return [] }
        let name = "\(location)added_tokens.json"
        let taken = Set(file.statedIDs)
        return try addedTokens.compactMap { member -> StatedToken? in
            let (content, value) = (member.key, member.value)
            guard let id = value.intValue, id >= 0 else {
                throw TokenizerError.invalid(file: name, field: content, found: value.text(), expected: "an id")
            }
            guard !taken.contains(id) else { return nil }
            let isSpecial = special.contains(Array(content.utf8))
            return StatedToken(token: AddedToken(content, isSpecial: isSpecial), id: id, source: name)
        }.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
    }

    /// The special tokens that files name, in the order in which transformers adds them.
    private var namedTokens: [AddedToken] {
        var keys = Self.roles
        for member in configuration
        where member.key.hasSuffix("_token") && !keys.contains(member.key) && member.value.stringValue != nil {
            keys.append(member.key)
        }
        var tokens = keys.compactMap { Self.token(named($0)) }
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            guard let value = named(key) else { continue }
            tokens +=
                value.arrayValue?.compactMap(Self.token) ?? value.objectValue?.compactMap { Self.token($0.value) } ?? []
        }
        return tokens
    }

    /// A special token's value, by the file that counts.
    private func named(_ key: String) -> JSONValue? {
        guard configuration[Self.decoderKey] == nil, let value = specialTokensMap?[key] else {
            return configuration[key]
        }
        return value
    }

    private static func token(_ value: JSONValue?) -> AddedToken? {
        guard let value else { return nil }
        guard var token = try? AddedToken(value, field: "", name: "") else {
            return value.stringValue.map { AddedToken($0, isSpecial: true) }
        }
        if value["normalized"] == nil { token.isNormalized = false }
        token.isSpecial = true
        return token
    }

    private static func members(_ value: JSONValue, field: String, name: String) throws -> JSONObject {
        guard let object = value.objectValue else {
            throw TokenizerError.invalid(file: name, field: field, found: value.kind.rawValue, expected: "an object")
        }
        return object
    }

    /// The text of a special token, which files give as a string or as an object with `content`.
    ///
    /// - Parameter key: For example `mask_token`.
    /// - Returns: The text, or nil when neither file names the token.
    func specialToken(_ key: String) -> String? {
        let value = named(key)
        return value?.stringValue ?? value?["content"]?.stringValue
    }
}

extension AddedToken {
    /// Reads a token as files spell it; nil when it has no content.
    ///
    /// - Parameters:
    ///   - value: An object with `content` and flags.
    ///   - field: The field, for messages.
    ///   - name: The file, for messages.
    /// - Throws: `TokenizerError` for a flag that is none.
    init?(_ value: JSONValue, field: String, name: String) throws {
        guard let content = value["content"]?.stringValue else { return nil }
        func flag(_ key: String) throws -> Bool? {
            guard let value = value[key], !value.isNull else { return nil }
            guard let flag = value.boolValue else {
                throw TokenizerError.invalid(
                    file: name,
                    field: "\(field).\(key)",
                    found: value.text(),
                    expected: "true or false"
                )
            }
            return flag
        }
        self.init(
            content,
            isWholeWord: try flag("single_word") ?? false,
            stripsLeft: try flag("lstrip") ?? false,
            stripsRight: try flag("rstrip") ?? false,
            isNormalized: try flag("normalized"),
            isSpecial: try flag("special") ?? false
        )
    }
}
