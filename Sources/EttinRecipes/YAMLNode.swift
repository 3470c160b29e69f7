import EttinFiles
import Yams

/// A value of a YAML file as it is written, before anything is known of its type.
///
/// Scalars stay texts: what `3e-3`, `on` or `1:30` mean is decided by who reads the key, not by a version of YAML.
package struct YAMLNode: Sendable {
    /// What a node is.
    package enum Content: Sendable {
        /// A text, and whether it stands there without quotes.
        case scalar(String, isPlain: Bool)
        /// A list.
        case list([YAMLNode])
        /// Keys and values in their order; no key occurs twice.
        case mapping([(key: String, value: YAMLNode)])
    }

    /// Maximum number of nodes of a document; aliases make many of few.
    private static let limit = 100_000

    /// What the node is.
    package var content: Content
    /// Its line in the file, from 1; nil for a value that comes from elsewhere.
    package var line: Int?

    package init(_ content: Content, line: Int? = nil) {
        self.content = content
        self.line = line
    }

    /// Reads a document.
    ///
    /// - Parameters:
    ///   - bytes: The text.
    ///   - name: The file, for messages.
    ///   - expected: What the document is to be, for messages.
    /// - Throws: `RecipeError` for what is not YAML, and for keys that are no texts.
    package init(parsing bytes: [UInt8], name: String, expected: String) throws {
        let root = try YAMLDocument(name: name, expected: expected).root(bytes)
        var count = 0
        self = try YAMLNode(root, name: name, count: &count)
    }

    private init(_ node: Node, name: String, count: inout Int) throws {
        count += 1
        func refused(_ node: Node, _ found: String, _ expected: String) -> RecipeError {
            let item = node.mark.map { "line \($0.line)" }
            return RecipeError(.unsupported, name, item: item, found: found, expected: expected)
        }
        guard count <= Self.limit else {
            throw refused(node, "is one of too many values", "at most \(Self.limit), aliases written out")
        }
        let line = node.mark?.line
        switch node {
        case .scalar(let scalar):
            self.init(.scalar(scalar.string, isPlain: scalar.style == .plain || scalar.style == .any), line: line)
        case .sequence(let sequence):
            self.init(.list(try sequence.map { try YAMLNode($0, name: name, count: &count) }), line: line)
        case .mapping(let mapping):
            var members: [(key: String, value: YAMLNode)] = []
            for (key, value) in mapping {
                guard let text = key.scalar?.string else { throw refused(key, "has no text for a key", "a name") }
                members.append((text, try YAMLNode(value, name: name, count: &count)))
            }
            self.init(.mapping(members), line: line)
        case .alias:
            throw refused(node, "is an alias without an anchor", "a value")
        }
    }

    /// The value of a key; nil where there is none, and in what is no mapping.
    package subscript(key: String) -> YAMLNode? {
        guard case .mapping(let members) = content else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// Whether the node says that there is no value.
    package var isNull: Bool {
        guard case .scalar(let text, true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// The node as a message shows it.
    package var shownText: String {
        switch content {
        case .scalar(let text, let isPlain): text.isEmpty && isPlain ? "empty" : quoted(text, limit: 80)
        case .list(let items): items.isEmpty ? "an empty list" : "a list"
        case .mapping: "a mapping"
        }
    }
}
