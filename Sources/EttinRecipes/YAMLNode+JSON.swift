package import EttinJSON

extension YAMLNode {
    /// The value as JSON, with the types that a recipe's reader gives it: numbers and Booleans where a text without
    /// quotes looks like one.
    package var json: JSONValue {
        switch content {
        case .list(let items): return .array(items.map(\.json))
        case .mapping(let members): return .object(JSONObject(members.map { ($0.key, $0.value.json) }))
        case .scalar(let text, let isPlain):
            if isNull { return .null }
            guard isPlain else { return .string(text) }
            if let number = RecipeSection.integer(text) { return JSONValue(number) }
            if let number = RecipeSection.real(text) { return JSONValue(number) }
            return RecipeSection.boolean(text).map { .bool($0) } ?? .string(text)
        }
    }
}

extension YAMLNode {
    /// A value of a JSON document, as a recipe's reader takes it.
    package init(_ value: JSONValue) {
        switch value {
        case .array(let items): self.init(.list(items.map { YAMLNode($0) }))
        case .object(let object): self.init(.mapping(object.map { ($0.key, YAMLNode($0.value)) }))
        case .string(let text): self.init(.scalar(text, isPlain: false))
        case .null, .bool, .number: self.init(.scalar(value.text(), isPlain: true))
        }
    }
}
