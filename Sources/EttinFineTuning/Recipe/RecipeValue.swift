package import EttinRecipes

/// A value of a recipe that is read by somebody else than its reader.
package struct RecipeValue: Sendable {
    /// The value.
    package let node: YAMLNode
    /// Its dotted key.
    package let path: String
    /// The file, for messages.
    package let name: String

    package init(_ node: YAMLNode, path: String, name: String) {
        self.node = node
        self.path = path
        self.name = name
    }
}
