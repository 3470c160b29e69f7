import EttinRecipes

/// Losses by the names of their classes in sentence-transformers.
struct LossCatalogue<Loss>: Sendable {
    /// A loss: the name of its class, its arguments, and what makes it.
    typealias Entry = (
        name: String, arguments: [String], build: @Sendable (_ arguments: LossArguments) throws -> Loss
    )

    /// The losses there are.
    let entries: [Entry]
    /// Losses that there are not here.
    let unsupported: [String]
    /// Names of classes that are something else, with what is expected in their place.
    var misplaced: [String: String] = [:]
    /// The name of a loss, for messages.
    let example: String

    /// Makes a loss of what a recipe says.
    ///
    /// - Parameters:
    ///   - node: A name or a mapping with a `type`.
    ///   - context: What losses need besides their arguments.
    /// - Returns: The loss.
    /// - Throws: `RecipeError` that names the argument, its value and what is expected; what opening a guide throws.
    func loss(_ node: YAMLNode, _ context: EmbeddingLosses.Context) throws -> Loss {
        let (key, isNested): (YAMLNode, Bool) =
            if case .mapping = node.content { (node["type"] ?? YAMLNode(.mapping([]), line: node.line), true) } else {
                (node, false)
            }
        let path = isNested ? RecipeSection.joined(context.path, "type") : context.path
        let place = RecipeSection.place(context.file, key.line, path)
        guard case .scalar(let name, _) = key.content, !key.isNull else {
            let found = isNested && node["type"] == nil ? "is not there" : "is \(key.shownText)"
            throw RecipeError(.missing, place, found: found, expected: "the name of a loss, such as \(example)")
        }
        guard let entry = entries.first(where: { $0.name == name }) else { throw unknown(name, key, place) }
        let section = try RecipeSection(
            isNested ? node : YAMLNode(.mapping([]), line: node.line),
            path: context.path,
            name: context.file,
            schema: ["type"] + entry.arguments,
            of: RecipeSchema(document: name)
        )
        return try entry.build(LossArguments(name: name, section: section, context: context))
    }

    private func unknown(_ name: String, _ key: YAMLNode, _ place: String) -> RecipeError {
        if let expected = misplaced[name] {
            return RecipeError(.unsupported, place, found: "is \(name)", expected: expected)
        }
        let names = entries.map(\.name)
        if unsupported.contains(name) {
            return RecipeError(
                .unsupported,
                place,
                found: "is \(name), which is not supported",
                expected: "one of \(names.joined(separator: ", "))"
            )
        }
        let suggestion = SpellingSuggestion.nearest(name, names).map { "; did you mean \($0)?" } ?? ""
        return RecipeError(
            .invalidOption,
            place,
            found: "is \(key.shownText)",
            expected: "one of \(names.joined(separator: ", "))\(suggestion)"
        )
    }
}
