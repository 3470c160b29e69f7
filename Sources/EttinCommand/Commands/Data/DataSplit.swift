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
            split depends only on --seed and the document id, so all chunks of a
            document stay together and a job divided with --shard gives the same split
            as a whole one.

            Examples:

              ettin data split chunks -o divided
              ettin data split chunks --fraction 0.0003333 --seed 7 -o divided
            """
    )

    @Argument(help: "Data set to split.", completion: .directory)
    var input: String

    @Option(help: ArgumentHelp("Fraction of documents to hold out.", valueName: "number"))
    var fraction = 0.001

    @Option(help: ArgumentHelp("Random seed.", valueName: "number"))
    var seed: UInt64 = 42

    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard fraction > 0, fraction < 1 else {
            throw ValidationError("--fraction is \(fraction); expected a number between 0 and 1")
        }
    }

    func run() throws {
        let stage = SplitStage(input: input, fraction: fraction, seed: seed)
        let results = try job.withProgress { try stage.run($0) }
        for side in SplitStage.Side.allCases {
            let counts = results[side.rawValue]
            Diagnostics.note(
                "\(side.rawValue): \(counts?["samples"]?.intValue ?? 0) samples, \(counts?["tokens"]?.intValue ?? 0) tokens"
            )
        }
        guard json.isOn else { return }
        var summary: JSONObject = ["output": .string(job.output), "shard": .string(job.shard)]
        for result in results.objectValue ?? JSONObject() { summary[result.key] = result.value }
        try StandardOutput.write(document: .object(summary))
    }
}
