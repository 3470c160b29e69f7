import ArgumentParser
import EttinCorpus
import EttinTokenizer

/// The command `ettin data import-order`.
struct DataImportOrder: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import-order",
        abstract: "Validate an order data set and convert it to shards or JSON Lines.",
        discussion: """
            Reads rows of "input_ids" and "step" from JSON Lines, MDS or Parquet. Several
            files or folders are read in sequence, such as those the published order
            has for each checkpoint of a phase; steps must not decrease. With
            --tokenizer, unknown ids are an error, and shards use two bytes per id if
            the vocabulary fits. An output name ending in .jsonl writes JSON Lines, any
            other name a folder of shards.

            The same command resumes an interrupted job. --shard splits the steps
            across machines; each reads past the rows before its own. To join parts
            that are JSON Lines, pass them to this command as inputs.

            Examples:

              ettin data import-order order.jsonl --tokenizer tokenizer -o order
              ettin data import-order published/decay_* -o decay-order
              ettin data import-order order --first-step 50 --steps 10 -o ten.jsonl
              ettin data import-order published/decay_* --shard 3/4 -o decay-order/3
            """
    )

    @Argument(
        help: ArgumentHelp(
            "JSON Lines or Parquet files, or folders of MDS shards or Parquet files.",
            valueName: "input"
        ),
        completion: .file()
    )
    var inputs: [String]

    @Option(
        help: ArgumentHelp("Tokenizer folder; ids outside its vocabulary are refused.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("First step to import (default: the first in the data).", valueName: "number"))
    var firstStep: Int?

    @Option(help: ArgumentHelp("Number of steps to import (default: all).", valueName: "count"))
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
