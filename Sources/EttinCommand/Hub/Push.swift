import ArgumentParser
import EttinFiles
import EttinHub
import EttinJSON
import EttinModel

/// The command `ettin push`.
struct Push: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Upload a folder to the Hub as one commit.",
        discussion: """
            Creates the repository if it does not exist and skips unchanged files. A model
            without a README.md gets a generated model card. Needs a token with write
            access (HF_TOKEN or the token file).

            Examples:

              ettin push out/encoder me/my-encoder --private
              ettin push out/step2000 me/my-encoder --revision checkpoints --tag step2000
              ettin push out/encoder me/my-encoder --dry-run
            """
    )

    @Argument(help: "Folder to upload.", completion: .directory)
    var folder: String

    @Argument(help: "Repository, owner/name.")
    var repository: String

    @Option(help: "Repository type: model, dataset or space.")
    var kind = RepositoryKind.model

    @Flag(name: .customLong("private"), help: "Make the repository private when creating it.")
    var isPrivate = false

    @Option(help: ArgumentHelp("Branch to commit to, created if it does not exist.", valueName: "branch"))
    var revision = HubReference.defaultRevision

    @Option(help: ArgumentHelp("Tag the commit, for example step2000.", valueName: "name"))
    var tag: String?

    @Option(help: ArgumentHelp("Commit message.", valueName: "text"))
    var message = "Upload with ettin"

    @Option(help: ArgumentHelp("Upload only files that match.", valueName: "pattern"))
    var include: [String] = []

    @Option(help: ArgumentHelp("Skip files that match.", valueName: "pattern"))
    var exclude: [String] = []

    @Flag(help: "Show what would be uploaded without changing anything.")
    var dryRun = false

    @OptionGroup var json: JSONOption

    func run() throws {
        let repository = try HubRepository(self.repository, kind: kind)
        let options = UploadOptions(
            branch: revision,
            isPrivate: isPrivate,
            title: message,
            includes: include,
            excludes: exclude,
            tag: tag,
            card: try card(for: repository)?.text,
            isDryRun: dryRun
        )
        let folder = self.folder
        let result = try HubAccess.run { try await $0.upload(folder, to: repository, options: options) }
        if json.isOn { return try StandardOutput.write(document: document(of: result)) }
        try StandardOutput.write { output in
            if dryRun {
                if result.createdRepository { Diagnostics.note("would create \(repository)") }
                for file in result.files {
                    try output.line("\(file.mode.rawValue.padded(to: 9))  \(file.sizeBytes)  \(file.path)")
                }
            } else {
                try output.line(result.address)
            }
        }
    }

    /// A card for a model that has none; nil for other folders.
    private func card(for repository: HubRepository) throws -> ModelCard? {
        guard kind == .model, CheckpointFolder.isFolder(folder),
            FilePath.kind(of: FilePath.joined(folder, "config.json")) == .file
        else { return nil }
        let summary = try CheckpointSummary(folder: folder)
        guard let configuration = summary.configuration else { return nil }
        let isEmbedder = FilePath.kind(of: FilePath.joined(folder, "modules.json")) == .file
        let kind = configuration.kind
        var card = ModelCard(title: repository.name)
        card.pipelineTag =
            isEmbedder ? "sentence-similarity" : kind == .encoder ? "fill-mask" : "text-generation"
        card.libraryName = isEmbedder ? "sentence-transformers" : "transformers"
        card.summary =
            "A ModernBERT \(kind.name) of \(summary.parameterCount) parameters for up to "
            + "\(configuration.maxPositionEmbeddings) tokens."
        let command = isEmbedder ? "embed" : kind == .encoder ? "fill-mask" : "generate"
        let text = command == "fill-mask" ? "The capital of France is [MASK]." : "The capital of France is"
        card.usage = "ettin \(command) \(repository.id) \"\(text)\""
        return card
    }

    private func document(of result: UploadResult) -> JSONValue {
        [
            "created": .bool(result.createdRepository),
            "commit": result.commit.map(JSONValue.string) ?? .null,
            "address": .string(result.address),
            "files": .array(
                result.files.map { file -> JSONValue in
                    [
                        "path": .string(file.path),
                        "bytes": JSONValue(file.sizeBytes),
                        "mode": .string(file.mode.rawValue),
                    ]
                }
            ),
        ]
    }
}
