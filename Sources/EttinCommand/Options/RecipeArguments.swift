import ArgumentParser
import EttinPretraining
import EttinTokenizer
import EttinTraining

/// Values that replace a recipe's.
struct RecipeOverrides: ParsableArguments {
    @Argument(help: ArgumentHelp("Values that replace the file's, such as optimizer.lr=1e-3.", valueName: "key=value"))
    var overrides: [String] = []

    func validate() throws {
        for text in overrides where text.first == "=" || !text.contains("=") {
            throw ValidationError("\"\(text)\" is no key=value, such as optimizer.lr=1e-3")
        }
    }
}

/// What a run that is resumed may change.
struct ChangeOptions: ParsableArguments {
    @Flag(help: "Resume with the recipe's optimizer, masking, precision and the like, even if the run had others.")
    var acceptChanges = false
}

/// The tokenizer of a recipe.
struct RecipeTokenizer {
    /// Nil when the recipe names none.
    let tokenizer: Tokenizer?
    let folder: String?

    /// Loads the tokenizer that a recipe names, from a folder or by its name on the Hub.
    ///
    /// - Throws: `TrainingError` when there is none.
    init(_ recipe: PretrainingRecipe) throws {
        guard let name = recipe.tokenizerName, !name.isEmpty else {
            (tokenizer, folder) = (nil, nil)
            return
        }
        do {
            let folder = try HubAccess.folder(name, revision: nil, files: .tokenizer)
            tokenizer = try Tokenizer(folder: folder)
            self.folder = folder
        } catch {
            throw TrainingError(.missing, "tokenizer_name", found: "cannot be used: \(error)")
        }
    }
}
