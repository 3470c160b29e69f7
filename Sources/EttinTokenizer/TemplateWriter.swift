import EttinJSON

/// Writes the template of special tokens around texts as tokenizer files have it.
struct TemplateWriter {
    private var specials = JSONObject()

    /// A special token as a part of the template.
    mutating func special(_ token: String, id: Int32, typeID: Int = 0) -> JSONValue {
        specials[token] = ["id": .string(token), "ids": [JSONValue(Int(id))], "tokens": [.string(token)]]
        return ["SpecialToken": ["id": .string(token), "type_id": JSONValue(typeID)]]
    }

    /// The first text (`A`) or the second (`B`) as a part of the template.
    static func text(_ name: String, typeID: Int = 0) -> JSONValue {
        ["Sequence": ["id": .string(name), "type_id": JSONValue(typeID)]]
    }

    /// The whole template.
    func template(single: [JSONValue], pair: [JSONValue]) -> JSONValue {
        [
            "type": "TemplateProcessing", "single": .array(single), "pair": .array(pair),
            "special_tokens": .object(specials),
        ]
    }
}
