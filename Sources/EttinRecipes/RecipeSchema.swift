/// The keys that a kind of document may have.
package struct RecipeSchema: Sendable {
    /// The keys of one mapping of a document.
    package struct Section: Sendable {
        /// The dotted name of the mapping; empty for the document.
        package let path: String
        package let keys: [String]

        package init(path: String, keys: [String]) {
            self.path = path
            self.keys = keys
        }
    }

    /// What messages call the document.
    package let document: String
    /// Its mappings, for finding the place of a key that stands at a wrong one.
    package let sections: [Section]

    package init(document: String, sections: [Section] = []) {
        self.document = document
        self.sections = sections
    }

    /// A recipe of which nothing but the keys at hand are known.
    package static let anyRecipe = RecipeSchema(document: "a recipe")

    /// The mappings that have a key, by the key's dotted names; none where the keys at hand are not the document's.
    func places(of key: String, besides keys: [String]) -> [String] {
        guard sections.contains(where: { $0.keys == keys }) else { return [] }
        return sections.filter { $0.keys.contains(key) }.map { RecipeSection.joined($0.path, key) }
    }
}
