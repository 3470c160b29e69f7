import ArgumentParser
import EttinConversion
import EttinJSON
import EttinModel

/// The command `ettin merge`.
struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Merge a LoRA adapter into the model that it changes.",
        discussion: """
            The adapter is a folder or a Hub repository with adapter_config.json and
            adapter_model.safetensors, as PEFT and `ettin finetune … use_peft=true` write
            them. The result is an ordinary model of the kind of the base. Commands also
            take the adapter itself wherever a model is expected.

            Example:

              ettin merge output/sft/final --output assistant
            """
    )

    @Argument(
        help: "Adapter folder or Hub repository (owner/name or owner/name@revision).",
        completion: .directory
    )
    var adapter: String

    @Option(
        help: ArgumentHelp("Base model (default: the one that the adapter names).", valueName: "model"),
        completion: .directory
    )
    var base: String?

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Output folder.", valueName: "folder"),
        completion: .directory
    )
    var output: String

    @OptionGroup var json: JSONOption

    func run() throws {
        let merge = try AdapterMerge(
            folder: HubAccess.folder(adapter, revision: nil),
            base: base.map { try HubAccess.folder($0, revision: nil) },
            resolver: HubAccess.base
        )
        let parameters = try merge.write(toFolder: output)
        Diagnostics.note("wrote the merged model with \(parameters) parameters to \(output)")
        guard json.isOn else { return }
        try StandardOutput.write(
            document: [
                "folder": .string(output), "base": (base ?? merge.configuration.baseModel).map { .string($0) } ?? .null,
                "parameters": JSONValue(parameters),
            ]
        )
    }
}
