import EttinFiles
import EttinJSON
import EttinRecipes
import EttinTraining

extension PretrainingRecipe {
    /// Reads a recipe in the published schema.
    ///
    /// - Parameters:
    ///   - path: A YAML file.
    ///   - overrides: Values that replace the file's, as `key.sub=value`; the value is YAML.
    /// - Throws: `TrainingError` naming file, line and key for what cannot be read, is unknown, impossible or contradicts
    ///   itself.
    public init(path: String, overrides: [String] = []) throws {
        try self.init(overrides: overrides) { try RecipeTree(path: path) }
    }

    /// Reads a recipe from text.
    ///
    /// - Parameters:
    ///   - yaml: The text of a recipe file.
    ///   - name: The name of the file, for messages.
    ///   - overrides: Values that replace the file's, as `key.sub=value`.
    /// - Throws: `TrainingError` as for a file.
    public init(yaml: String, name: String = "recipe", overrides: [String] = []) throws {
        try self.init(overrides: overrides) { try RecipeTree(Array(yaml.utf8), name: name) }
    }

    /// Reads a recipe as `run.json` keeps it, with everything interpolated and overridden.
    ///
    /// - Parameters:
    ///   - resolved: The recipe.
    ///   - name: The name of the file, for messages.
    /// - Throws: `TrainingError` as for a file.
    init(resolved: JSONValue, name: String) throws {
        try self.init(overrides: []) { try RecipeTree(resolved, name: name) }
    }

    private init(overrides: [String], _ read: () throws -> RecipeTree) throws {
        self = try TrainingError.translatingRecipe {
            var tree = try read()
            for text in overrides { try tree.override(text) }
            try tree.interpolate()
            var reader = try RecipeReader(tree)
            return try reader.recipe()
        }
    }

    /// Checks that nothing is left to be filled in, such as `your_load_path` in the published recipes.
    ///
    /// A recipe with such places can be planned, not run.
    ///
    /// - Throws: `TrainingError` naming the key.
    package func checkRunnable() throws {
        let paths: [(key: String, value: String?)] = [
            ("train_loader.dataset.local", data.localPath), ("eval_loader.dataset.local", evalData?.localPath),
            ("save_folder", checkpoints.saveFolder), ("load_path", checkpoints.loadPath),
            ("init_from_checkpoint.checkpoint_load_path", initFromCheckpoint?.path), ("tokenizer_name", tokenizerName),
        ]
        for case (let key, let value?) in paths where value.hasPrefix("your_") {
            throw TrainingError(
                .invalidOption,
                key,
                found: "is the placeholder \(quoted(value))",
                expected: "a path, such as \(key)=runs/17m on the command line"
            )
        }
    }
}
