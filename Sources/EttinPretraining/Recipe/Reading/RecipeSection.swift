import EttinCorpus
import EttinFiles
import EttinTraining

/// A mapping of a recipe whose keys are all known, read value by value into types.
struct RecipeSection {
    /// The dotted name of the mapping; empty for the recipe.
    let path: String
    private let name: String
    private let node: YAMLNode
    private let schema: [String]

    /// Takes a mapping that has no keys but known ones.
    ///
    /// - Throws: `TrainingError` naming the first unknown key and the one that may have been meant.
    init(_ node: YAMLNode, path: String, name: String, schema: [String], document: String = "a recipe") throws {
        self.node = node
        self.path = path
        self.name = name
        self.schema = schema
        guard case .mapping(let members) = node.content else {
            throw TrainingError(
                .malformed,
                Self.place(name, node.line, path),
                found: "is \(node.shownText)",
                expected: "a mapping"
            )
        }
        for (key, value) in members where !schema.contains(key) {
            throw TrainingError(
                .unsupported,
                Self.place(name, value.line, Self.joined(path, Self.shownKey(key))),
                found: "is no key of \(path.isEmpty ? document : path)",
                expected: Self.expectation(for: key, path, schema)
            )
        }
    }

    private static func expectation(for key: String, _ path: String, _ schema: [String]) -> String {
        if let near = SpellingSuggestion.nearest(key, schema) {
            return "a known key; did you mean \(joined(path, near))?"
        }
        let isRecipe = RecipeSchema.sections.contains { $0.keys == schema }
        let elsewhere = RecipeSchema.sections.filter { isRecipe && $0.keys.contains(key) }.map { joined($0.path, key) }
        if let place = elsewhere.first { return "a known key; did you mean \(place)?" }
        return schema.count <= 12 ? "one of \(schema.joined(separator: ", "))" : "a known key"
    }

    static func joined(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// A key as a message shows it: as it is, or quoted where it would break the line.
    static func shownKey(_ key: String) -> String {
        let isPlain = key.utf8.count <= 80 && key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isPlain ? key : quoted(key, limit: 60)
    }

    /// Where a key is, for messages: the line of the file, or nothing for what the command line gave.
    static func place(_ name: String, _ line: Int?, _ path: String) -> String {
        let key = path.isEmpty ? "" : ": \(path)"
        return line.map { "\(name):\($0)\(key)" } ?? "\(name)\(key)"
    }

    // MARK: - Values

    /// What stands at a key; nil where nothing does.
    func node(_ key: String) -> YAMLNode? {
        precondition(schema.contains(key), "RecipeSection: \(key) is not in the schema of \(path)")
        guard let value = node[key], !value.isNull else { return nil }
        return value
    }

    func has(_ key: String) -> Bool { node(key) != nil }

    /// The value, or an error that says that there is none.
    func require<Value>(_ key: String, _ value: Value?, _ expected: String) throws -> Value {
        guard let value else { throw missing(key, expected) }
        return value
    }

    /// An error that says that there is no value.
    func missing(_ key: String, _ expected: String) -> TrainingError {
        TrainingError(
            .missing,
            Self.place(name, node.line, Self.joined(path, key)),
            found: "is \(node[key] == nil ? "not there" : "empty")",
            expected: expected
        )
    }

    /// An error about what stands at a key.
    func problem(_ key: String, _ found: String, _ expected: String?) -> TrainingError {
        let place = Self.place(name, node[key]?.line, Self.joined(path, key))
        return TrainingError(.invalidOption, place, found: found, expected: expected)
    }

    /// Calls a check that knows keys but not the file, and says of which file it complains.
    func naming(_ check: () throws -> Void) throws {
        do {
            try check()
        } catch let error as TrainingError {
            throw TrainingError(error.kind, "\(name): \(error.place)", found: error.found, expected: error.expected)
        }
    }

    private func wrong(_ key: String, _ node: YAMLNode, _ expected: String) -> TrainingError {
        var found = "is \(node.shownText)"
        if case .scalar(_, false) = node.content { found = "is the text \(node.shownText)" }
        return problem(key, found, expected)
    }

    func string(_ key: String) throws -> String? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _) = node.content, !text.isEmpty else { throw wrong(key, node, "a text") }
        return text
    }

    func bool(_ key: String) throws -> Bool? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, true) = node.content, let flag = Self.boolean(text) else {
            throw wrong(key, node, "true or false")
        }
        return flag
    }

    func int(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let node = node(key) else { return nil }
        let limits =
            range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        guard case .scalar(let text, true) = node.content, let number = Self.integer(text), range.contains(number)
        else {
            throw wrong(key, node, "a whole number, \(limits)")
        }
        return number
    }

    func double(_ key: String, _ expected: String = "a number", where isAllowed: (Double) -> Bool = { _ in true })
        throws
        -> Double?
    {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, true) = node.content, let number = Self.real(text), isAllowed(number) else {
            throw wrong(key, node, expected)
        }
        return number
    }

    func doubles(_ key: String, count: Int) throws -> [Double]? {
        guard let node = node(key) else { return nil }
        guard case .list(let items) = node.content, items.count == count else {
            throw wrong(key, node, "a list of \(count) numbers")
        }
        return try items.enumerated().map { position, item in
            guard case .scalar(let text, true) = item.content, let number = Self.real(text) else {
                throw TrainingError(
                    .invalidOption,
                    Self.place(name, item.line, "\(Self.joined(path, key))[\(position)]"),
                    found: "is \(item.shownText)",
                    expected: "a number"
                )
            }
            return number
        }
    }

    /// A time, in the units that make sense at the key.
    func time(_ key: String, in units: [TrainingTime.Unit] = TrainingTime.Unit.allCases) throws -> TrainingTime? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _) = node.content else { throw wrong(key, node, "a time such as 100ba") }
        let time = try TrainingTime(parsing: text, key: Self.place(name, node.line, Self.joined(path, key)))
        guard units.contains(time.unit) else {
            throw problem(key, "is \(time)", "a time in \(units.map(\.rawValue).joined(separator: ", "))")
        }
        return time
    }

    func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, _: Choice.Type) throws -> Choice?
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
    func section(_ key: String, _ schema: [String]) throws -> RecipeSection {
        try RecipeSection(
            node(key) ?? YAMLNode(.mapping([]), line: node.line),
            path: Self.joined(path, key),
            name: name,
            schema: schema
        )
    }

    /// The keys that are there with a value, in their order.
    var keys: [String] {
        guard case .mapping(let members) = node.content else { return [] }
        return members.filter { !$0.value.isNull }.map(\.key)
    }

    // MARK: - Texts of scalars

    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }

    /// A whole number in decimal; underscores between digits count for nothing.
    static func integer(_ text: String) -> Int? {
        guard text.first != "_", text.last != "_", !text.contains("__") else { return nil }
        return Int(text.filter { $0 != "_" })
    }

    /// A number with or without a point and an exponent, among them those that YAML 1.1 takes for texts, such as `3e-3`.
    static func real(_ text: String) -> Double? {
        let isDecimal = text.utf8.allSatisfy {
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "+-._eE".utf8.contains($0)
        }
        guard isDecimal, text.first != "_", text.last != "_", let number = Double(text.filter { $0 != "_" }) else {
            return nil
        }
        return number.isFinite ? number : nil
    }
}
