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
        abstract: "Convert an encoder to a decoder or back, a reranker's head, or a Composer checkpoint.",
        discussion: """
            Weights are kept bit for bit; only tensor names, config.json and the tokenizer's
            template change. The result is a starting point for training with the other
            objective, not a finished model.

            A reranker with a classification head (…ForSequenceClassification), which every
            version of transformers and sentence-transformers loads, and one of modules, as
            Ettin's rerankers are, become each other with --head; the scores stay the same.

            A raw Composer checkpoint (written by torch.save) becomes a folder that
            transformers loads. No code in the file is executed. Configuration and
            tokenizer come from the checkpoint unless --config and --tokenizer are given.

            Examples:

              ettin convert encoder decoder-from-encoder --to decoder
              ettin convert jhu-clsp/ettin-decoder-17m encoder-from-decoder --to encoder
              ettin convert cross-encoder/ettin-reranker-17m-v1 classifier --head classification
              ettin convert ep0-ba599525-rank0.pt model --config recipe.yaml
            """
    )

    @Argument(
        help: "Model folder, Hub repository (owner/name), suite model name, or raw checkpoint file.",
        completion: .directory
    )
    var model: String

    @Argument(help: "Output folder.", completion: .directory)
    var output: String

    @Option(help: "Target kind; a raw checkpoint keeps its kind by default.")
    var to: ModelKind?

    @Option(help: "Target head of a reranker.")
    var head: RerankerModel.Head?

    @Option(help: ArgumentHelp("Hub branch, tag (such as step599525) or commit.", valueName: "name"))
    var revision: String?

    @Option(
        help: ArgumentHelp("Recipe (.yaml) or config.json of a raw checkpoint.", valueName: "file"),
        completion: .file()
    )
    var config: String?

    @Option(
        help: ArgumentHelp("Tokenizer folder for a raw checkpoint.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @OptionGroup var json: JSONOption

    func validate() throws {
        if to != nil, head != nil { throw ValidationError("--to and --head cannot be combined") }
    }

    func run() throws {
        if let head { return try convertHead(to: head) }
        let (kind, parameters) = try FilePath.kind(of: model) == .file ? convertCheckpoint() : convertFolder()
        Diagnostics.note("wrote \(kind.name) with \(parameters) parameters to \(output)")
        if json.isOn {
            try StandardOutput.write(
                document: [
                    "folder": .string(output), "kind": .string(kind.name), "parameters": JSONValue(parameters),
                ]
            )
        }
    }

    private func convertFolder() throws -> (ModelKind, Int) {
        guard let to else {
            throw ValidationError("converting a model needs --to encoder or --to decoder, or --head of a reranker")
        }
        try refuseCheckpointOptions()
        let conversion = try ModelConversion(folder: HubAccess.folder(model, revision: revision), to: to)
        return (to, try conversion.write(toFolder: output, origin: origin()))
    }

    private func convertHead(to head: RerankerModel.Head) throws {
        guard FilePath.kind(of: model) != .file else {
            throw ValidationError("--head applies to a reranker; \(model) is a raw checkpoint")
        }
        try refuseCheckpointOptions()
        let conversion = try RerankerConversion(folder: HubAccess.folder(model, revision: revision), to: head)
        for notice in conversion.notices { Diagnostics.note("note: \(notice)") }
        let parameters = try conversion.write(toFolder: output, origin: origin())
        Diagnostics.note("wrote reranker with a \(head.rawValue) head and \(parameters) parameters to \(output)")
        guard json.isOn else { return }
        try StandardOutput.write(
            document: [
                "folder": .string(output), "kind": "reranker", "head": .string(head.rawValue),
                "parameters": JSONValue(parameters),
            ]
        )
    }

    private func refuseCheckpointOptions() throws {
        for (name, value) in [("config", config), ("tokenizer", tokenizer)] where value != nil {
            throw ValidationError("--\(name) applies to a raw checkpoint; \(model) is not one")
        }
    }

    /// The model's name on the Hub; nil for a folder.
    private func origin() throws -> String? {
        guard case .hub(let reference) = try HubAccess.reference(model, revision: revision) else { return nil }
        return reference.repository.id
    }

    private func convertCheckpoint() throws -> (ModelKind, Int) {
        guard revision == nil else {
            throw ValidationError("--revision applies to a model on the Hub; \(model) is a local file")
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
