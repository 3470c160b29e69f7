import EttinFiles
import EttinRecipes

/// A recipe that a sweep runs.
package struct SweepRecipe: Hashable, Sendable {
    /// What the sweep calls it; nil for the only one.
    package let name: String?
    /// The file.
    package let path: String
    /// Keys of the recipe that take the finished models of other recipes, by the names of these.
    package let uses: [SweepRun.Value]
    /// What is set in the recipe alone, as `key=value`.
    package let overrides: [String]

    /// The keys of a recipe with more than a file.
    private static let keys = ["recipe", "uses", "set"]

    /// Reads `recipe`, or the recipes of `recipes`.
    ///
    /// - Parameters:
    ///   - top: The sweep.
    ///   - folder: The folder that files are named from.
    ///   - schema: The document, for messages.
    /// - Returns: The recipes in the order of the file, one at least.
    /// - Throws: `RecipeError` naming the key of whatever is missing, unknown or impossible.
    static func recipes(of top: RecipeSection, in folder: String, _ schema: RecipeSchema) throws -> [SweepRecipe] {
        func path(_ text: String) -> String { text.hasPrefix("/") ? text : FilePath.joined(folder, text) }
        guard let node = top.node("recipes") else {
            let file = try top.require("recipe", try top.string("recipe"), "a recipe file; or recipes, for several")
            return [SweepRecipe(name: nil, path: path(file), uses: [], overrides: [])]
        }
        guard !top.has("recipe") else { throw top.problem("recipe", "stands beside recipes", "one of the two") }
        guard case .mapping(let members) = node.content, !members.isEmpty else {
            throw top.wrong("recipes", node, "a mapping of names to recipe files")
        }
        var recipes: [SweepRecipe] = []
        for (name, value) in members {
            guard FilePath.isPlainName(name) else {
                throw top.problem("recipes", "has the name \(quoted(name))", "names that folders can have")
            }
            let key = "recipes.\(name)"
            if case .scalar(let file, _) = value.content, !file.isEmpty {
                recipes.append(SweepRecipe(name: name, path: path(file), uses: [], overrides: []))
                continue
            }
            let own = try RecipeSection(value, path: key, name: top.name, schema: keys, of: schema)
            let file = try own.require("recipe", try own.string("recipe"), "a recipe file")
            let uses = try uses(of: own, recipes.compactMap(\.name))
            recipes.append(
                SweepRecipe(name: name, path: path(file), uses: uses, overrides: try own.textList("set") ?? [])
            )
        }
        return recipes
    }

    /// Reads which keys take models of others, all of which stand before.
    private static func uses(of own: RecipeSection, _ earlier: [String]) throws -> [SweepRun.Value] {
        guard let node = own.node("uses") else { return [] }
        guard case .mapping(let members) = node.content else {
            throw own.wrong("uses", node, "a mapping of keys of the recipe to names of recipes")
        }
        return try members.map { key, value in
            guard case .scalar(let name, _) = value.content, earlier.contains(name) else {
                throw own.wrong("uses.\(key)", value, "a recipe that stands before, such as \(earlier.first ?? "mnli")")
            }
            return SweepRun.Value(key: key, text: name)
        }
    }
}
