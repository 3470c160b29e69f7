import ArgumentParser
import EttinCorpus
import EttinJSON

/// The command `ettin data extend`.
struct DataExtend: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extend",
        abstract: "Take random samples of a data set up to a number of tokens.",
        discussion: """
            Made for the long-context phase, which trains on a random part of each
            source: shards in random order, the samples of each in random order,
            until --tokens is reached, again from the start where the data set is
            smaller. Without --tokens every sample is taken once; with --order given
            and --compression none that is an uncompressed copy.

            Examples:

              ettin data extend chunks-8000 --tokens 175.5b -o extension
              ettin data extend chunks --order given --compression none \\
                --token-type uint16 --columns input_ids -o plain
            """
    )

    @Argument(help: "The data set to take from.", completion: .directory)
    var input: String

    @Option(help: ArgumentHelp("The tokens to reach, such as 5000000, 5m or 1.5b.", valueName: "count"))
    var tokens: String?

    @Option(help: ArgumentHelp("The columns to keep, separated by commas; all unless given.", valueName: "names"))
    var columns: String?

    @OptionGroup var sampling: SampleOptions
    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        _ = try target()
    }

    func run() throws {
        let stage = SampleStage(
            input: input,
            targetTokens: try target(),
            repeatLimit: try sampling.limit(default: nil),
            order: sampling.sampleOrder(seed: 12345),
            columns: columns?.split(separator: ",").map(String.init),
            tokenElement: sampling.tokenType?.element
        )
        try job.run(json) { try stage.run($0) }
    }

    private func target() throws -> Int? { try tokens.map { try tokenCount($0, flag: "--tokens") } }
}
