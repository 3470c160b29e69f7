import ArgumentParser
import EttinConversion
import EttinJSON
import EttinPretraining

/// The command `ettin average`.
struct Average: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Average the weights of several checkpoints of one run.",
        discussion: """
            Each value is the mean in float64, rounded once to float32, and does not
            depend on the order of the folders. Tokenizer and settings are those of the
            checkpoint given last.

            Example:

              ettin average run/step800 run/step900 run/step1000 --output averaged
            """
    )

    @Argument(
        help: "Two or more checkpoints: folders, or owner/name@revision on the Hub.",
        completion: .directory
    )
    var checkpoints: [String]

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("The folder to make.", valueName: "folder"),
        completion: .directory
    )
    var output: String

    @OptionGroup var json: JSONOption

    func run() throws {
        let folders = try checkpoints.map { try HubAccess.folder($0, revision: nil) }
        let parameters = try CheckpointAverage(folders).write(toFolder: output)
        Diagnostics.note("wrote the mean of \(folders.count) checkpoints, \(parameters) parameters, to \(output)")
        if json.isOn {
            try StandardOutput.write(
                document: [
                    "folder": .string(output), "checkpoints": .array(folders.map(JSONValue.string)),
                    "parameters": JSONValue(parameters),
                ]
            )
        }
    }
}
