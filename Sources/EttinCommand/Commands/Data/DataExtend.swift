import ArgumentParser
import EttinCorpus
import EttinJSON

/// The command `ettin data extend`.
struct DataExtend: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extend",
        abstract: "Sample a data set at random up to a number of tokens.",
        discussion: """
            Used for the context extension phase, which trains on a random subset of
            each source: shuffled shards, with shuffled samples in each, until --tokens
            is reached; a smaller data set is repeated. Without --tokens every sample
            is taken once, so --order given with --compression none makes an
            uncompressed copy.

            Examples:

              ettin data extend chunks-8000 --tokens 175.5b -o extension
              ettin data extend chunks --order given --compression none \\
                --token-type uint16 --columns input_ids -o plain
            """
    )

    @Argument(help: "Data set to sample from.", completion: .directory)
    var input: String

    @Option(help: ArgumentHelp("Target number of tokens, such as 5000000, 5m or 1.5b.", valueName: "count"))
    var tokens: String?

    @Option(help: ArgumentHelp("Columns to keep, comma-separated (default: all).", valueName: "names"))
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
