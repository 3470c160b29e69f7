import ArgumentParser
import EttinFiles
import EttinModel
import EttinTokenizer

/// The command `ettin info`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe a model, or a size of the suite.",
        discussion: """
            Says what the model in a folder is made for, which command runs it, its
            head, labels, modules, pooling, prompts and lengths; also of models that
            cannot be run here, and then why. No weight is read.

            Examples:

              ettin info encoder
              ettin info encoder --json
              ettin info 150m --kind decoder
            """
    )

    @Argument(
        help: "Model folder, Hub repository (owner/name), suite model name, or a size such as 17m.",
        completion: .directory
    )
    var model: String

    @Option(help: ArgumentHelp("Hub branch, tag (such as step599525) or commit.", valueName: "name"))
    var revision: String?

    @Option(help: "Encoder or decoder, for a size.")
    var kind: ModelKind?

    @OptionGroup var json: JSONOption

    func run() throws {
        let description = try load()
        description.notices.forEach(Diagnostics.note)
        try json.isOn
            ? StandardOutput.write(document: description.document)
            : StandardOutput.write { output in try description.lines.forEach { try output.line($0) } }
    }

    private func load() throws -> ModelDescription {
        if !CheckpointFolder.isFolder(model), let size = EttinSize(named: model) {
            if let revision {
                throw ValidationError("--revision \(revision) applies to a model on the Hub; \(model) is a size")
            }
            return ModelDescription(summary: CheckpointSummary(size: size, kind: kind ?? .encoder))
        }
        if let kind { throw ValidationError("--kind \(kind.name) applies to a size of the suite; \(model) is not one") }
        let folder = try HubAccess.folder(model, revision: revision)
        var description = ModelDescription(summary: try CheckpointSummary(folder: folder))
        let path = description.summary.tokenizerPath
        let tokenizerFolder = path.isEmpty ? folder : FilePath.joined(folder, path)
        // Of what cannot be run anyway, a tokenizer that is not there is no further news.
        guard
            description.summary.obstacle == nil
                || FilePath.exists(FilePath.joined(tokenizerFolder, "tokenizer.json"))
        else { return description }
        do {
            let tokenizer = try Tokenizer(folder: tokenizerFolder)
            description.tokenizerLimit =
                try description.summary.isStatic ? tokenizer.ownMaxLength : tokenizer.modelMaxLength
            description.tokenizer = tokenizer
        } catch let error as TokenizerError {
            description.tokenizerObstacle = error.description
        }
        return description
    }
}
