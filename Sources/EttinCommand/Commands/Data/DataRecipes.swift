import ArgumentParser
import EttinCorpus

/// The command `ettin data recipes`.
struct DataRecipes: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recipes",
        abstract: "List or print the suite's data mixture recipes.",
        discussion: """
            Recipes are YAML files for "ettin data mix --recipe", which accepts their names
            or a file, such as an edited copy.

            Examples:

              ettin data recipes
              ettin data recipes decay > mine.yaml
            """
    )

    @Argument(help: "Recipe to print (default: list all).")
    var name: String?

    func validate() throws {
        guard let name, PublishedRecipe(rawValue: name) == nil else { return }
        throw ValidationError("\"\(name)\" is not a recipe of the suite; expected one of \(PublishedRecipe.names)")
    }

    func run() throws {
        if let name, let recipe = PublishedRecipe(rawValue: name) {
            return try StandardOutput.write(bytes: Array(recipe.text.utf8))
        }
        let names = PublishedRecipe.allCases
        let width = names.map(\.rawValue.count).max() ?? 0
        try StandardOutput.write { output in
            for name in names {
                let padding = String(repeating: " ", count: width - name.rawValue.count + 2)
                try output.line(name.rawValue + padding + name.recipe().description)
            }
        }
    }
}

extension PublishedRecipe {
    /// The names of all, for messages.
    static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
