import EttinJSON

/// What `tokenizer_config.json` and `special_tokens_map.json` say.
struct TokenizerSettings: Sendable {
    /// `tokenizer_config.json` as read, for saving.
    var configuration = JSONObject()
    /// `special_tokens_map.json` as read, for saving; nil when there was none.
    var specialTokensMap: JSONObject?

    /// The text of a special token, which files give as a string or as an object with `content`.
    ///
    /// - Parameter key: For example `mask_token`.
    /// - Returns: The text, or nil when neither file names the token.
    func specialToken(_ key: String) -> String? {
        for source in [configuration[key], specialTokensMap?[key]] {
            if let text = source?.stringValue ?? source?["content"]?.stringValue { return text }
        }
        return nil
    }

    /// The largest number of tokens the model takes; nil when it is not given or "unlimited" (10³⁰).
    var modelMaxLength: Int? {
        guard let number = configuration["model_max_length"]?.numberValue, number.isFinite else { return nil }
        return Int(exactly: number.double).flatMap { $0 > 0 ? $0 : nil }
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
