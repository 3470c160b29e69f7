import EttinFiles

/// Replaces `${key}` and `${key.sub}` by what stands at the key, which may refer to others in turn.
///
/// A text that is one reference becomes the value itself, whatever it is; within a text a reference must be to a text.
struct RecipeInterpolation {
    private static let nodeLimit = 100_000
    private static let textLimit = 1 << 16

    let root: YAMLNode
    /// The file, for messages.
    let name: String
    /// The keys that are being looked up, to recognise circles.
    private var pending: [String] = []
    private var nodeCount = 0

    init(root: YAMLNode, name: String) {
        self.root = root
        self.name = name
    }

    mutating func resolved(_ node: YAMLNode, path: String) throws -> YAMLNode {
        nodeCount += 1
        guard nodeCount <= Self.nodeLimit else {
            throw problem(node, path, "refers to too many values", "at most \(Self.nodeLimit)")
        }
        switch node.content {
        case .mapping(let members):
            var resolvedMembers: [(key: String, value: YAMLNode)] = []
            for (key, value) in members {
                resolvedMembers.append((key, try resolved(value, path: path.isEmpty ? key : "\(path).\(key)")))
            }
            return YAMLNode(.mapping(resolvedMembers), line: node.line)
        case .list(let items):
            var resolvedItems: [YAMLNode] = []
            for (position, item) in items.enumerated() {
                resolvedItems.append(try resolved(item, path: "\(path)[\(position)]"))
            }
            return YAMLNode(.list(resolvedItems), line: node.line)
        case .scalar(let text, let isPlain):
            guard text.contains("${") else { return node }
            return try resolved(text, isPlain: isPlain, node, path)
        }
    }

    private mutating func resolved(_ text: String, isPlain: Bool, _ node: YAMLNode, _ path: String) throws -> YAMLNode {
        var result = ""
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            result += rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            guard let end = rest.firstIndex(of: "}") else {
                throw problem(node, path, "has \"${\" without \"}\" in \(quoted(text))", "${key}")
            }
            let key = String(rest[..<end])
            rest = rest[rest.index(after: end)...]
            guard !key.isEmpty, !key.contains("$"), !key.contains(":"), !key.hasPrefix(".") else {
                throw problem(
                    node,
                    path,
                    "refers to \(quoted("${\(key)}"))",
                    "the dotted name of another key; resolvers, nesting and relative names are not supported"
                )
            }
            let value = try self.value(of: key, node, path)
            if result.isEmpty, rest.isEmpty { return YAMLNode(value.content, line: node.line) }
            guard case .scalar(let part, _) = value.content, !value.isNull else {
                throw problem(
                    node,
                    path,
                    "has ${\(key)} within a text, but \(key) is \(value.shownText)",
                    "a text, a number or a Boolean there"
                )
            }
            result += part
            guard result.utf8.count <= Self.textLimit else {
                throw problem(node, path, "becomes too long a text", "at most \(Self.textLimit) bytes")
            }
        }
        return YAMLNode(.scalar(result + rest, isPlain: isPlain), line: node.line)
    }

    private mutating func value(of key: String, _ node: YAMLNode, _ path: String) throws -> YAMLNode {
        if let start = pending.firstIndex(of: key) {
            let circle = (pending[start...] + [key]).joined(separator: " → ")
            throw problem(node, path, "refers to itself: \(circle)", "a value at the end")
        }
        pending.append(key)
        defer { pending.removeLast() }
        var value = root
        var prefix = ""
        for part in key.split(separator: ".", omittingEmptySubsequences: false).map(String.init) {
            // On the way, too, may stand a reference to what the next part is looked up in.
            if case .scalar = value.content { value = try resolved(value, path: prefix) }
            guard let next = value[part] else {
                var expected = "the name of a key of the recipe"
                if case .mapping(let members) = value.content,
                    let near = SpellingSuggestion.nearest(part, members.map(\.key))
                {
                    expected += "; did you mean \(near)?"
                }
                throw problem(node, path, "refers to \(key), which is not in the recipe", expected)
            }
            value = next
            prefix = prefix.isEmpty ? part : "\(prefix).\(part)"
        }
        return try resolved(value, path: prefix)
    }

    private func problem(_ node: YAMLNode, _ path: String, _ found: String, _ expected: String) -> RecipeError {
        RecipeError(.malformed, RecipeSection.place(name, node.line, path), found: found, expected: expected)
    }
}
