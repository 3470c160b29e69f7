package import EttinJSON

extension ChatTemplate {
    /// A message of a data set by the keys that templates read: `from` and `value` become `role` and `content`.
    ///
    /// - Parameter message: The message.
    /// - Returns: The message; nil for what is no object with a role.
    package static func message(_ message: JSONValue) -> JSONValue? {
        guard case .object(var object) = message else { return nil }
        for (old, new) in [("from", "role"), ("value", "content")] {
            guard let value = object[old] else { continue }
            object[old] = nil
            object[new] = value
        }
        return object["role"]?.stringValue == nil ? nil : .object(object)
    }

    /// The tools of a row of a data set, where the list may be a text.
    ///
    /// - Parameter value: A list, the JSON text of one, or null.
    /// - Returns: The list, or null; nil for anything else.
    package static func tools(_ value: JSONValue) -> JSONValue? {
        guard let text = value.stringValue else { return value.isNull || value.arrayValue != nil ? value : nil }
        guard let parsed = try? JSONValue(parsing: text), parsed.stringValue == nil else { return nil }
        return tools(parsed)
    }
}
