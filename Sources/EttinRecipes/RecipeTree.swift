import EttinFiles
package import EttinJSON

/// A recipe as it is written: the file's values with those of the command line in their places, then interpolated.
package struct RecipeTree {
    /// The file, for messages.
    package let name: String
    /// The values.
    package private(set) var root: YAMLNode
    /// Reads the YAML of a recipe, or of another document of its kind.
    package init(_ bytes: [UInt8], name: String, document: String = "a recipe") throws {
        self.name = name
        let expected = "a mapping of \(document)'s keys"
        root = try Self.parsed(bytes, name: name, expected: expected)
        guard case .mapping = root.content else {
            throw RecipeError(.malformed, name, found: "is \(root.shownText)", expected: expected)
        }
    }

    /// Takes a document that was read before.
    package init(_ value: JSONValue, name: String, document: String = "a recipe") throws {
        self.name = name
        root = YAMLNode(value)
        guard case .mapping = root.content else {
            let expected = "a mapping of \(document)'s keys"
            throw RecipeError(.malformed, name, found: "is \(root.shownText)", expected: expected)
        }
    }

    /// Reads a file.
    package init(path: String, document: String = "a recipe") throws {
        let bytes = try RecipeError.translating { try MappedFile(path: path).withUnsafeBytes { Array($0) } }
        try self.init(bytes, name: path, document: document)
    }

    private static func parsed(_ bytes: [UInt8], name: String, expected: String) throws -> YAMLNode {
        do {
            return try YAMLNode(parsing: bytes, name: name, expected: expected)
        } catch let error as RecipeError {
            let found = error.item.map { "\($0) \(error.found)" } ?? error.found
            throw RecipeError(.malformed, error.place, found: found, expected: error.expected)
        }
    }

    // MARK: - Overrides

    /// Puts a value of the command line, `key.sub=value`, into its place; the value is YAML, nothing for null.
    package mutating func override(_ text: String) throws {
        guard let sign = text.firstIndex(of: "="), sign > text.startIndex else {
            throw RecipeError(
                .invalidOption,
                quoted(text),
                found: "is not an override",
                expected: "key=value, such as optimizer.lr=1e-3"
            )
        }
        let path = String(text[..<sign])
        let keys = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard keys.allSatisfy({ !$0.isEmpty }) else {
            throw RecipeError(
                .invalidOption,
                quoted(text),
                found: "has an empty part in its key",
                expected: "names with a dot between them"
            )
        }
        let source = text[text.index(after: sign)...]
        var value = YAMLNode(.scalar("", isPlain: true))
        if !source.allSatisfy(\.isWhitespace) {
            value = try Self.parsed(Array(source.utf8), name: "override of \(path)", expected: "a value")
        }
        try Self.set(value.withoutLines, at: keys[...], in: &root, path: path)
    }

    private static func set(
        _ value: YAMLNode,
        at keys: ArraySlice<String>,
        in node: inout YAMLNode,
        path: String
    ) throws {
        guard let key = keys.first else {
            node = value
            return
        }
        let rest = keys.dropFirst()
        switch node.content {
        case .mapping(var members):
            if let place = members.firstIndex(where: { $0.key == key }) {
                try set(value, at: rest, in: &members[place].value, path: path)
            } else {
                var new = YAMLNode(.mapping([]))
                try set(value, at: rest, in: &new, path: path)
                members.append((key, new))
            }
            node.content = .mapping(members)
        case .list(var items):
            guard let place = Int(key), items.indices.contains(place) else {
                throw RecipeError(
                    .invalidOption,
                    "override of \(path)",
                    found: "asks for \(quoted(key)) of a list of \(items.count)",
                    expected: "a number below \(items.count)"
                )
            }
            try set(value, at: rest, in: &items[place], path: path)
            node.content = .list(items)
        case .scalar where node.isNull:
            node.content = .mapping([])
            try set(value, at: keys, in: &node, path: path)
        case .scalar:
            throw RecipeError(
                .invalidOption,
                "override of \(path)",
                found: "asks for \(quoted(key)) of \(node.shownText)",
                expected: "a key of a mapping"
            )
        }
    }

    // MARK: - Interpolation

    /// Replaces every `${key}` by the value of the key.
    package mutating func interpolate() throws {
        var interpolation = RecipeInterpolation(root: root, name: name)
        root = try interpolation.resolved(root, path: "")
    }
}

extension YAMLNode {
    /// The same value as one that stands in no file.
    fileprivate var withoutLines: YAMLNode {
        switch content {
        case .scalar: YAMLNode(content)
        case .list(let items): YAMLNode(.list(items.map(\.withoutLines)))
        case .mapping(let members): YAMLNode(.mapping(members.map { ($0.key, $0.value.withoutLines) }))
        }
    }
}
