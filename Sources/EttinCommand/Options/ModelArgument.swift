import ArgumentParser
import EttinHub

/// A model: a folder here, or a name on the Hub.
struct ModelArgument: ParsableArguments {
    @Argument(
        help: "Model or adapter folder, Hub repository (owner/name or owner/name@revision), or suite model name.",
        completion: .directory
    )
    var model: String

    @Option(help: ArgumentHelp("Hub branch, tag (such as step599525) or commit.", valueName: "name"))
    var revision: String?

    /// The folder, downloaded if it is not there.
    ///
    /// - Parameter files: What is needed of a model on the Hub.
    /// - Returns: A folder that exists.
    /// - Throws: `CheckpointError` or `HubError`.
    func folder(files: FileSelection = .model) throws -> String {
        try HubAccess.modelFolder(model, revision: revision, files: files)
    }
}

extension FileSelection {
    /// What it takes to load a tokenizer.
    static let tokenizer = FileSelection.matching([
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    ])
}
