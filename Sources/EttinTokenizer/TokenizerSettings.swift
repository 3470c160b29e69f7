import EttinJSON

/// What the files beside `tokenizer.json` say.
struct TokenizerSettings: Sendable {
    /// `tokenizer_config.json` as read, for saving.
    var configuration = JSONObject()
    /// `special_tokens_map.json` as read, for saving; nil when there was none.
    var specialTokensMap: JSONObject?
    /// `added_tokens.json` as read; nil when there was none.
    var addedTokens: JSONObject?

    /// The largest number of tokens the model takes; nil when it is not given or "unlimited" (10³⁰).
    var modelMaxLength: Int? {
        guard let number = configuration["model_max_length"]?.numberValue, number.isFinite else { return nil }
        return Int(exactly: number.double).flatMap { $0 > 0 ? $0 : nil }
    }

    /// Whether texts that are too long lose their beginning.
    var truncatesLeft: Bool { configuration["truncation_side"] == "left" }

    /// Refuses what is not done, and values that mean nothing.
    ///
    /// - Parameter name: `tokenizer_config.json` for messages.
    /// - Throws: `TokenizerError`.
    func check(name: String) throws {
        if configuration["split_special_tokens"] == true {
            throw TokenizerError.unsupported(
                file: name,
                field: "split_special_tokens",
                found: "true",
                supported: "false: special tokens in a text are one token each"
            )
        }
        if let value = configuration["model_max_length"], !value.isNull {
            let isUnlimited = (value.doubleValue ?? 0) >= 1e18
            guard isUnlimited || modelMaxLength != nil else {
                throw TokenizerError.invalid(
                    file: name,
                    field: "model_max_length",
                    found: value.text(),
                    expected: "a whole number of tokens above 0"
                )
            }
        }
        for side in ["truncation_side", "padding_side"] {
            guard let value = configuration[side], !value.isNull, value != "left", value != "right" else { continue }
            throw TokenizerError.invalid(
                file: name,
                field: side,
                found: value.text(),
                expected: "\"left\" or \"right\""
            )
        }
    }

    /// The rule that reproduces what `transformers` returns for the published models.
    ///
    /// Decoders carry `add_bos_token` or `add_eos_token`, and either replaces the template.
    var specialTokenRule: SpecialTokenRule {
        let addBOS = configuration["add_bos_token"]?.boolValue
        let addEOS = configuration["add_eos_token"]?.boolValue
        guard addBOS != nil || addEOS != nil else { return .template }
        return .bosEOS(addBOS: addBOS ?? false, addEOS: addEOS ?? false)
    }

    static func object(_ bytes: [UInt8], name: String) throws -> JSONObject {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw TokenizerError.malformed(file: name, error: error)
        }
        guard let object = value.objectValue else {
            throw TokenizerError.invalid(
                file: name,
                field: "",
                found: "a \(value.kind.rawValue)",
                expected: "an object"
            )
        }
        return object
    }
}
