import ArgumentParser
import EttinConversion
import EttinJSON
import EttinPretraining

/// The command `ettin average`.
struct Average: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Average the weights of checkpoints from one run.",
        discussion: """
            Means are computed in float64 and rounded once to float32, so they do not
            depend on the order of the checkpoints. The tokenizer and configuration are
            copied from the last one.

            Example:

              ettin average run/step800 run/step900 run/step1000 --output averaged
            """
    )

    @Argument(
        help: "Two or more checkpoint folders or Hub revisions (owner/name@revision).",
        completion: .directory
    )
    var checkpoints: [String]

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Output folder.", valueName: "folder"),
        completion: .directory
    )
    var output: String

    @OptionGroup var json: JSONOption

    func run() throws {
        let folders = try checkpoints.map { try HubAccess.folder($0, revision: nil) }
        let parameters = try CheckpointAverage(folders).write(toFolder: output)
        Diagnostics.note("wrote the average of \(folders.count) checkpoints (\(parameters) parameters) to \(output)")
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
