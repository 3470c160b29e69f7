import ArgumentParser
import EttinCorpus
import EttinTokenizer

/// The command `ettin data import-order`.
struct DataImportOrder: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import-order",
        abstract: "Check an order data set and turn it into shards, or back.",
        discussion: """
            Reads rows of "input_ids" and "step" from JSON Lines, MDS or Parquet, also
            from several files or folders that follow each other, such as those that
            the published order has for each checkpoint of a phase; steps must not
            fall. With --tokenizer, ids that it does not know are an error, and shards
            store two bytes per id when its vocabulary allows it. A name that ends in
            .jsonl gives JSON Lines, any other a folder of shards.

            The same command goes on with a stopped job. --shard gives a machine some
            of the steps; it reads the rows before them and leaves them out. Parts
            that are JSON Lines become one as the inputs of this command.

            Examples:

              ettin data import-order order.jsonl --tokenizer tokenizer -o order
              ettin data import-order published/decay_* -o decay-order
              ettin data import-order order --first-step 50 --steps 10 -o ten.jsonl
              ettin data import-order published/decay_* --shard 3/4 -o decay-order/3
            """
    )

    @Argument(
        help: ArgumentHelp(
            "Files of JSON Lines or Parquet, folders of MDS shards or of Parquet files.",
            valueName: "input"
        ),
        completion: .file()
    )
    var inputs: [String]

    @Option(
        help: ArgumentHelp("The folder of the tokenizer whose ids are allowed.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("The first step to take; the first there is unless given.", valueName: "number"))
    var firstStep: Int?

    @Option(help: ArgumentHelp("How many steps to take, by their numbers; all unless given.", valueName: "count"))
    var steps: Int?

    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps is \(steps); expected 1 or more") }
        if let firstStep, firstStep < 0 { throw ValidationError("--first-step is \(firstStep); expected 0 or more") }
        try job.validateOrder()
    }

    func run() throws {
        var stage = OrderImportStage(
            inputs: inputs,
            tokenizer: try tokenizer.map { try Tokenizer(folder: $0) },
            firstStep: firstStep,
            steps: steps
        )
        if let tokenizer, let loaded = stage.tokenizer {
            stage.tokenizerName = tokenizer
            for input in inputs { try Diagnostics.noteTokenizer(of: input, loaded, from: tokenizer) }
        }
        try job.run(json, manifestPath: OrderOutput.manifestPath(job.output)) { try stage.run($0) }
    }
}
