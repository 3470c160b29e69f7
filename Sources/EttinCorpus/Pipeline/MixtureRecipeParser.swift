import EttinFiles
import EttinRecipes
import Yams

/// Reads a recipe from YAML and says for every mistake where it is, what was found and what was expected.
struct MixtureRecipeParser {
    private static let keys = ["description", "total_tokens", "repeat_limit", "sources"]
    private static let sourceKeys = ["name", "path", "tokens", "percent", "repeat_limit"]

    /// The file, for messages.
    let name: String

    func recipe(_ bytes: [UInt8]) throws -> MixtureRecipe {
        let document = YAMLDocument(name: name, expected: "a mapping with the key \"sources\"")
        let fields = try mapping(try root(of: document, bytes), "the recipe", Self.keys)
        let defaultLimit = try fields["repeat_limit"].map { try limit($0, "repeat_limit") } ?? 1
        guard let list = fields["sources"] else {
            throw CorpusError(.missing, file: name, item: "\"sources\"", found: "is not there", expected: "a list")
        }
        guard let items = list.sequence, !items.isEmpty else {
            throw refused(list, "sources", "a list of at least one source")
        }
        let sources = try items.enumerated().map { index, item in
            try source(item, "sources[\(index)]", defaultLimit: defaultLimit)
        }
        let total = try fields["total_tokens"].map { try tokens($0, "total_tokens") }
        try check(sources, Array(items), total, fields["total_tokens"])
        return MixtureRecipe(
            description: try fields["description"].map { try string($0, "description") } ?? "",
            sources: sources,
            totalTokens: total
        )
    }

    private func root(of document: YAMLDocument, _ bytes: [UInt8]) throws -> Node {
        do {
            return try document.root(bytes)
        } catch let error as RecipeError {
            // No file is read here, so that the problem is one of the text.
            let (item, found) = (error.item, error.found)
            throw CorpusError(.malformed, file: error.place, item: item, found: found, expected: error.expected)
        }
    }

    private func source(_ node: Node, _ place: String, defaultLimit: Int?) throws -> MixStage.Source {
        let fields = try mapping(node, place, Self.sourceKeys)
        guard let nameNode = fields["name"] else {
            throw CorpusError(
                .missing,
                file: name,
                item: item(node, "\(place).name"),
                found: "is not there",
                expected: "the name of the source's folder in the mixture"
            )
        }
        let sourceName = try string(nameNode, "\(place).name")
        var share = MixStage.Share.all
        if let node = fields["tokens"] { share = .tokens(try tokens(node, "\(place).tokens")) }
        if let node = fields["percent"] {
            guard share == .all else { throw refused(node, "\(place).percent", "tokens or percent, not both") }
            guard let text = node.scalar?.string, let value = Double(text), value > 0, value.isFinite else {
                throw refused(node, "\(place).percent", "a positive number")
            }
            share = .proportion(value)
        }
        return MixStage.Source(
            name: sourceName,
            input: try fields["path"].map { try string($0, "\(place).path") } ?? sourceName,
            share: share,
            repeatLimit: try fields["repeat_limit"].map { try limit($0, "\(place).repeat_limit") } ?? defaultLimit
        )
    }

    // What holds among sources: each has a name of its own, and shares in percent need a whole and no other shares.
    private func check(_ sources: [MixStage.Source], _ nodes: [Node], _ total: Int?, _ totalNode: Node?) throws {
        var names: Set<ExactName> = []
        for (index, source) in sources.enumerated() where !names.insert(ExactName(source.name)).inserted {
            throw refused(nodes[index].mapping?["name"] ?? nodes[index], "sources[\(index)].name", "another name")
        }
        func isPercent(_ source: MixStage.Source) -> Bool {
            if case .proportion = source.share { true } else { false }
        }
        let other = sources.firstIndex { !isPercent($0) }
        if let percent = sources.firstIndex(where: isPercent) {
            if let other {
                throw CorpusError(
                    .malformed,
                    file: name,
                    item: item(nodes[other], "sources[\(other)]"),
                    found: "has no percent, but sources[\(percent)] has",
                    expected: "percent for every source or for none"
                )
            }
            guard total != nil else {
                throw CorpusError(
                    .missing,
                    file: name,
                    item: "\"total_tokens\"",
                    found: "is not there",
                    expected: "the tokens of which sources take their percent"
                )
            }
        } else if let totalNode {
            throw refused(totalNode, "total_tokens", "it only beside sources with a percent")
        }
    }

    // MARK: - Values

    private func mapping(_ node: Node, _ place: String, _ known: [String]) throws -> [String: Node] {
        guard let mapping = node.mapping else { throw refused(node, place, "a mapping") }
        var fields: [String: Node] = [:]
        for (key, value) in mapping {
            guard let text = key.scalar?.string, known.contains(text) else {
                throw CorpusError(
                    .malformed,
                    file: name,
                    item: item(key, place),
                    found: "has the key \(described(key))",
                    expected: "one of \(known.joined(separator: ", "))"
                )
            }
            fields[text] = value
        }
        return fields
    }

    private func string(_ node: Node, _ place: String) throws -> String {
        guard let text = node.scalar?.string, !text.isEmpty else { throw refused(node, place, "a text") }
        return text
    }

    private func tokens(_ node: Node, _ place: String) throws -> Int {
        // YAML lets numbers have underscores between digits.
        let text = node.scalar?.string.filter { $0 != "_" }
        guard let text, let count = TokenCount.parsed(text) else {
            throw refused(node, place, "a number of tokens, such as 5000000, 5m or 1.5b")
        }
        return count
    }

    private func limit(_ node: Node, _ place: String) throws -> Int? {
        guard let text = node.scalar?.string else { throw refused(node, place, "1 or more, or none") }
        if text == "none" { return nil }
        guard let count = Int(text), count >= 1 else { throw refused(node, place, "1 or more, or none") }
        return count
    }

    private func item(_ node: Node, _ place: String) -> String {
        node.mark.map { "line \($0.line), \(place)" } ?? place
    }

    private func refused(_ node: Node, _ place: String, _ expected: String) -> CorpusError {
        CorpusError(
            .malformed,
            file: name,
            item: item(node, place),
            found: "is \(described(node))",
            expected: expected
        )
    }

    private func described(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "empty" : shown(scalar.string)
        case .mapping: "a mapping"
        case .sequence(let sequence): sequence.isEmpty ? "an empty list" : "a list"
        case .alias: "an alias"
        }
    }
}
