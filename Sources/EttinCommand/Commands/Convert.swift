import ArgumentParser
import EttinConversion
import EttinFiles
import EttinHub
import EttinJSON
import EttinModel
import EttinPretraining
import EttinTokenizer

/// The command `ettin convert`.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a decoder of an encoder, or back; or a model's folder of a raw Composer checkpoint.",
        discussion: """
            No value changes: names of tensors, config.json and the tokenizer's template
            become those of the other kind. The result is where training with the other
            objective starts, not a model that works at once. Converting twice gives the
            same weights bit for bit.

            A raw checkpoint (a file of torch.save) becomes a folder that transformers
            reads. Nothing in the file is executed. Configuration and tokenizer are those
            that it holds, unless --config and --tokenizer give others.

            Examples:

              ettin convert encoder decoder-from-encoder --to decoder
              ettin convert jhu-clsp/ettin-decoder-17m encoder-from-decoder --to encoder
              ettin convert ep0-ba599525-rank0.pt model --config recipe.yaml
            """
    )

    @Argument(
        help: "A model: its folder, owner/name on the Hub, a name of the suite; or a raw checkpoint.",
        completion: .directory
    )
    var model: String

    @Argument(help: "The folder to make.", completion: .directory)
    var output: String

    @Option(help: "What the model becomes: encoder or decoder; a raw checkpoint stays what it is unless told.")
    var to: ModelKind?

    @Option(help: ArgumentHelp("A branch, tag (such as step599525) or commit on the Hub.", valueName: "name"))
    var revision: String?

    @Option(
        help: ArgumentHelp("With a raw checkpoint: its recipe (.yaml), or a config.json.", valueName: "file"),
        completion: .file()
    )
    var config: String?

    @Option(
        help: ArgumentHelp("With a raw checkpoint: the folder of the tokenizer.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @OptionGroup var json: JSONOption

    func run() throws {
        let (kind, parameters) = try FilePath.kind(of: model) == .file ? convertCheckpoint() : convertFolder()
        Diagnostics.note("wrote \(kind.name) of \(parameters) parameters to \(output)")
        if json.isOn {
            try StandardOutput.write(
                document: [
                    "folder": .string(output), "kind": .string(kind.name), "parameters": JSONValue(parameters),
                ]
            )
        }
    }

    private func convertFolder() throws -> (ModelKind, Int) {
        guard let to else { throw ValidationError("a model needs --to encoder or --to decoder") }
        for (name, value) in [("config", config), ("tokenizer", tokenizer)] where value != nil {
            throw ValidationError("--\(name) is for a raw checkpoint, and \(model) is none")
        }
        var origin: String?
        if case .hub(let reference) = try HubAccess.reference(model, revision: revision) {
            origin = reference.repository.id
        }
        let conversion = try ModelConversion(folder: HubAccess.folder(model, revision: revision), to: to)
        return (to, try conversion.write(toFolder: output, origin: origin))
    }

    private func convertCheckpoint() throws -> (ModelKind, Int) {
        guard revision == nil else {
            throw ValidationError("--revision is for a model on the Hub, and \(model) is a file here")
        }
        let checkpoint = try ComposerCheckpoint(path: model)
        for notice in checkpoint.notices { Diagnostics.note(notice) }
        let configuration = try checkpoint.configuration(file: config, as: to)
        let parameters = try checkpoint.write(
            toFolder: output,
            configuration: configuration,
            tokenizer: tokenizer.map { try Tokenizer(folder: $0) }
        )
        return (configuration.kind, parameters)
    }
}
