package import EttinRecipes

extension RecipeSection {
    /// The texts of a list.
    ///
    /// - Returns: Nil where nothing stands at the key.
    /// - Throws: `RecipeError` for a value that is not a list, and for lists and mappings in it.
    package func textList(_ key: String) throws -> [String]? {
        guard let node = node(key) else { return nil }
        guard case .list(let items) = node.content else { throw problem(key, "is \(node.shownText)", "a list") }
        return try items.map { item in
            guard case .scalar(let text, _) = item.content, !text.isEmpty else {
                throw problem(key, "has \(item.shownText)", "texts")
            }
            return text
        }
    }
}
