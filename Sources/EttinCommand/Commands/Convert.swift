import ArgumentParser
import EttinHub
import EttinJSON
import EttinModel
import EttinPretraining

/// The command `ettin convert`.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a decoder of an encoder, or an encoder of a decoder.",
        discussion: """
            No value changes: names of tensors, config.json and the tokenizer's template
            become those of the other kind. The result is where training with the other
            objective starts, not a model that works at once. Converting twice gives the
            same weights bit for bit.

            Examples:

              ettin convert encoder decoder-from-encoder --to decoder
              ettin convert jhu-clsp/ettin-decoder-17m encoder-from-decoder --to encoder
            """
    )

    @OptionGroup var model: ModelArgument

    @Argument(help: "The folder to make.", completion: .directory)
    var output: String

    @Option(help: "What the model becomes: encoder or decoder.")
    var to: ModelKind

    @OptionGroup var json: JSONOption

    func run() throws {
        let conversion = try ModelConversion(folder: model.folder(), to: to)
        let parameters = try conversion.write(toFolder: output, origin: model.repository())
        Diagnostics.note("wrote \(to.name) of \(parameters) parameters to \(output)")
        if json.isOn {
            try StandardOutput.write(
                document: [
                    "folder": .string(output), "kind": .string(to.name), "parameters": JSONValue(parameters),
                ]
            )
        }
    }
}
