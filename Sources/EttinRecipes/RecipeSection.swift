import EttinFiles

/// A mapping of a recipe whose keys are all known, read value by value into types.
package struct RecipeSection {
    /// The dotted name of the mapping; empty for the recipe.
    package let path: String
    /// The file, for messages.
    package let name: String
    private let node: YAMLNode
    private let schema: [String]
    private let document: RecipeSchema

    /// Takes a mapping that has only known keys.
    ///
    /// - Throws: `RecipeError` naming the first unknown key and the one that may have been meant.
    package init(
        _ node: YAMLNode,
        path: String,
        name: String,
        schema: [String],
        of document: RecipeSchema = .anyRecipe
    ) throws {
        self.node = node
        self.document = document
        self.path = path
        self.name = name
        self.schema = schema
        guard case .mapping(let members) = node.content else {
            throw RecipeError(
                .malformed,
                Self.place(name, node.line, path),
                found: "is \(node.shownText)",
                expected: "a mapping"
            )
        }
        for (key, value) in members where !schema.contains(key) {
            throw RecipeError(
                .unsupported,
                Self.place(name, value.line, Self.joined(path, Self.shownKey(key))),
                found: "is not a key of \(path.isEmpty ? document.document : path)",
                expected: Self.expectation(for: key, path, schema, document)
            )
        }
    }

    private static func expectation(
        for key: String,
        _ path: String,
        _ schema: [String],
        _ document: RecipeSchema
    ) -> String {
        if let near = SpellingSuggestion.nearest(key, schema) {
            return "a known key; did you mean \(joined(path, near))?"
        }
        if let place = document.places(of: key, besides: schema).first {
            return "a known key; did you mean \(place)?"
        }
        return schema.count <= 12 ? "one of \(schema.joined(separator: ", "))" : "a known key"
    }

    package static func joined(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// A key as a message shows it: as it is, or quoted where it would break the line.
    package static func shownKey(_ key: String) -> String {
        let isPlain = key.utf8.count <= 80 && key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isPlain ? key : quoted(key, limit: 60)
    }

    /// Where a key is, for messages: the line of the file, or nothing for what the command line gave.
    package static func place(_ name: String, _ line: Int?, _ path: String) -> String {
        let key = path.isEmpty ? "" : ": \(path)"
        return line.map { "\(name):\($0)\(key)" } ?? "\(name)\(key)"
    }

    // MARK: - Values

    /// What stands at a key; nil where nothing does.
    package func node(_ key: String) -> YAMLNode? {
        precondition(schema.contains(key), "RecipeSection: \(key) is not in the schema of \(path)")
        guard let value = node[key], !value.isNull else { return nil }
        return value
    }

    package func has(_ key: String) -> Bool { node(key) != nil }

    /// Whether a key is there without a value.
    package func isNull(_ key: String) -> Bool { node[key].map(\.isNull) ?? false }

    /// The value, or an error that says that there is none.
    package func require<Value>(_ key: String, _ value: Value?, _ expected: String) throws -> Value {
        guard let value else { throw missing(key, expected) }
        return value
    }

    /// An error that says that there is no value.
    package func missing(_ key: String, _ expected: String) -> RecipeError {
        RecipeError(
            .missing,
            Self.place(name, node.line, Self.joined(path, key)),
            found: "is \(node[key] == nil ? "not there" : "empty")",
            expected: expected
        )
    }

    /// An error about what stands at a key.
    package func problem(_ key: String, _ found: String, _ expected: String?) -> RecipeError {
        let place = Self.place(name, node[key]?.line, Self.joined(path, key))
        return RecipeError(.invalidOption, place, found: found, expected: expected)
    }

    /// An error about a value of the wrong type.
    package func wrong(_ key: String, _ node: YAMLNode, _ expected: String) -> RecipeError {
        var found = "is \(node.shownText)"
        if case .scalar(_, false) = node.content { found = "is the text \(node.shownText)" }
        return problem(key, found, expected)
    }

    package func string(_ key: String) throws -> String? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _) = node.content, !text.isEmpty else { throw wrong(key, node, "a text") }
        return text
    }

    package func bool(_ key: String) throws -> Bool? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, true) = node.content, let flag = Self.boolean(text) else {
            throw wrong(key, node, "true or false")
        }
        return flag
    }

    package func int(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let node = node(key) else { return nil }
        let limits =
            range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        guard case .scalar(let text, true) = node.content, let number = Self.integer(text), range.contains(number)
        else {
            throw wrong(key, node, "a whole number, \(limits)")
        }
        return number
    }

    package func double(
        _ key: String,
        _ expected: String = "a number",
        where isAllowed: (Double) -> Bool = { _ in true }
    )
        throws
        -> Double?
    {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, true) = node.content, let number = Self.real(text), isAllowed(number) else {
            throw wrong(key, node, expected)
        }
        return number
    }

    package func doubles(_ key: String, count: Int) throws -> [Double]? {
        guard let node = node(key) else { return nil }
        guard case .list(let items) = node.content, items.count == count else {
            throw wrong(key, node, "a list of \(count) numbers")
        }
        return try items.enumerated().map { position, item in
            guard case .scalar(let text, true) = item.content, let number = Self.real(text) else {
                throw RecipeError(
                    .invalidOption,
                    Self.place(name, item.line, "\(Self.joined(path, key))[\(position)]"),
                    found: "is \(item.shownText)",
                    expected: "a number"
                )
            }
            return number
        }
    }

    package func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, _: Choice.Type) throws -> Choice?
    where Choice.RawValue == String {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _) = node.content, let choice = Choice(rawValue: text) else {
            var expected = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            if case .scalar(let text, _) = node.content,
                let near = SpellingSuggestion.nearest(text, Choice.allCases.map(\.rawValue))
            {
                expected += "; did you mean \(near)?"
            }
            throw wrong(key, node, expected)
        }
        return choice
    }

    /// The mapping at a key; an empty one where nothing is.
    package func section(_ key: String, _ schema: [String]) throws -> RecipeSection {
        try RecipeSection(
            node(key) ?? YAMLNode(.mapping([]), line: node.line),
            path: Self.joined(path, key),
            name: name,
            schema: schema,
            of: document
        )
    }

    /// The keys that are there with a value, in their order.
    package var keys: [String] {
        guard case .mapping(let members) = node.content else { return [] }
        return members.filter { !$0.value.isNull }.map(\.key)
    }

    // MARK: - Texts of scalars

    package static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }

    /// A whole number in decimal; underscores between digits count for nothing.
    package static func integer(_ text: String) -> Int? {
        guard text.first != "_", text.last != "_", !text.contains("__") else { return nil }
        return Int(text.filter { $0 != "_" })
    }

    /// A number with or without a point and an exponent, among them those that YAML 1.1 takes for texts, such as `3e-3`.
    package static func real(_ text: String) -> Double? {
        let isDecimal = text.utf8.allSatisfy {
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "+-._eE".utf8.contains($0)
        }
        guard isDecimal, text.first != "_", text.last != "_", let number = Double(text.filter { $0 != "_" }) else {
            return nil
        }
        return number.isFinite ? number : nil
    }
}
