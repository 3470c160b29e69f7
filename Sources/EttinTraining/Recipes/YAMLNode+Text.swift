import EttinJSON
package import EttinRecipes

extension YAMLNode {
    /// A text as YAML that is nothing but this text.
    package static func quotedText(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    /// The value on one line, as an override has it behind the equals sign.
    package var overrideText: String {
        switch content {
        case .scalar(let text, let isPlain): isPlain ? text : Self.quotedText(text)
        case .list, .mapping: json.text()
        }
    }
}
