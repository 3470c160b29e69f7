import ArgumentParser
import EttinCorpus
import EttinJSON

/// The command `ettin data split`.
struct DataSplit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Hold out a part of a data set for validation.",
        discussion: """
            Writes two data sets, train and validation, into the output folder. The
            choice depends on --seed and a document's id alone, so all chunks of a
            document come on the same side, and the parts of a divided job hold out
            what the whole job does.

            Examples:

              ettin data split chunks -o divided
              ettin data split chunks --fraction 0.0003333 --seed 7 -o divided
            """
    )

    @Argument(help: "The data set to divide.", completion: .directory)
    var input: String

    @Option(help: ArgumentHelp("The part of the documents to hold out.", valueName: "number"))
    var fraction = 0.001

    @Option(help: ArgumentHelp("The seed of the choice.", valueName: "number"))
    var seed: UInt64 = 42

    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard fraction > 0, fraction < 1 else {
            throw ValidationError("--fraction is \(fraction); expected more than 0 and less than 1")
        }
    }

    func run() throws {
        let stage = SplitStage(input: input, fraction: fraction, seed: seed)
        let results = try job.withProgress { try stage.run($0) }
        for side in SplitStage.Side.allCases {
            let counts = results[side.rawValue]
            Diagnostics.note(
                "\(side.rawValue): \(counts?["samples"]?.intValue ?? 0) samples of \(counts?["tokens"]?.intValue ?? 0) tokens"
            )
        }
        guard json.isOn else { return }
        var summary: JSONObject = ["output": .string(job.output), "shard": .string(job.shard)]
        for result in results.objectValue ?? JSONObject() { summary[result.key] = result.value }
        try StandardOutput.write(document: .object(summary))
    }
}
