import ArgumentParser
import EttinHub

/// A model: a folder here, or a name on the Hub.
struct ModelArgument: ParsableArguments {
    @Argument(
        help: "A model: its folder, owner/name on the Hub, owner/name@revision, or a name of the suite.",
        completion: .directory
    )
    var model: String

    @Option(help: ArgumentHelp("A branch, tag (such as step599525) or commit on the Hub.", valueName: "name"))
    var revision: String?

    /// The folder, downloaded if it is not there.
    ///
    /// - Parameter files: What is needed of a model on the Hub.
    /// - Returns: A folder that exists.
    /// - Throws: `CheckpointError` or `HubError`.
    func folder(files: FileSelection = .model) throws -> String {
        try HubAccess.folder(model, revision: revision, files: files)
    }
}

extension FileSelection {
    /// What it takes to load a tokenizer.
    static let tokenizer = FileSelection.matching([
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    ])
}
