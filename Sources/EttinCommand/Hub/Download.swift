import ArgumentParser
import EttinHub
import EttinJSON

/// The command `ettin download`.
struct Download: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Download a repository from the Hub into the cache and print the folder.",
        discussion: """
            For a model, downloads what is needed to load it: configuration, tokenizer
            and weights in one format. Files already in the cache, including those from
            huggingface_hub, are not downloaded again.

            Examples:

              ettin download jhu-clsp/ettin-encoder-17m
              ettin download ettin-decoder-150m --revision step599525
              ettin download jhu-clsp/ettin-data-order --kind dataset --include "*.md"
              ettin download jhu-clsp/ettin-encoder-17m config.json
            """
    )

    @OptionGroup var repository: RepositoryArgument

    @Argument(help: "Files to download; prints their paths in the cache.")
    var files: [String] = []

    @Option(help: ArgumentHelp("Branch, tag (such as step599525) or commit.", valueName: "name"))
    var revision: String?

    @Option(help: ArgumentHelp("Download only files that match, such as \"*.json\".", valueName: "pattern"))
    var include: [String] = []

    @Option(help: ArgumentHelp("Skip files that match.", valueName: "pattern"))
    var exclude: [String] = []

    @Flag(help: "Download all files.")
    var all = false

    @OptionGroup var json: JSONOption

    func validate() throws {
        let ways = [!files.isEmpty, all, !include.isEmpty || !exclude.isEmpty].filter { $0 }
        if ways.count > 1 {
            throw ValidationError("file names, --all and patterns (--include, --exclude) cannot be combined")
        }
    }

    func run() throws {
        let reference = try repository.reference(revision: revision)
        guard files.isEmpty else {
            let files = self.files
            let paths = try HubAccess.run { hub in
                var paths: [String] = []
                for file in files { paths.append(try await hub.file(file, of: reference)) }
                return paths
            }
            if json.isOn { return try StandardOutput.write(document: ["files": .array(paths.map(JSONValue.string))]) }
            return try StandardOutput.write { output in
                for path in paths { try output.line(path) }
            }
        }
        let selection = selection
        let snapshot = try HubAccess.run { try await $0.snapshot(of: reference, files: selection) }
        if json.isOn {
            return try StandardOutput.write(document: [
                "folder": .string(snapshot.folder),
                "commit": .string(snapshot.commit),
                "files": .array(snapshot.files.map(JSONValue.string)),
            ])
        }
        try StandardOutput.write { try $0.line(snapshot.folder) }
    }

    private var selection: FileSelection {
        if !include.isEmpty || !exclude.isEmpty { return .matching(include, excluding: exclude) }
        return all || repository.kind != .model ? .all : .model
    }
}
