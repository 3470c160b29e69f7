import ArgumentParser
import EttinCorpus
import EttinJSON

/// The command `ettin data export-order`.
struct DataExportOrder: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-order",
        abstract: "Export the samples of a run in training order.",
        discussion: """
            An order data set has one row per sample: "input_ids", before masking, and
            "step", starting at 1. An output name ending in .jsonl writes JSON Lines,
            any other name a folder of MDS shards. The same command resumes an
            interrupted job. --shard splits the steps across machines; join the parts
            with "ettin data merge" (shards) or "ettin data import-order" (JSON Lines).

            Orders: keyed (ours, computed without an index in memory), permutation (the
            one the Ettin suite was trained with), naive, py1s, py1e, py1br and py2s
            (mosaicml-streaming's shuffles), and sequential (storage order). All but
            sequential decompress each shard once, next to the compressed file.

            Examples:

              ettin data export-order chunks --batch-size 4 --steps 100 -o order
              ettin data export-order chunks --batch-size 4 --first-step 101 \\
                --steps 100 --order permutation -o steps-101.jsonl
              ettin data export-order chunks --batch-size 4 --shard 0/2 -o order/0
            """
    )

    @Argument(help: "Training data set.", completion: .directory)
    var input: String

    @Option(help: ArgumentHelp("Global batch size: samples per step over all ranks.", valueName: "count"))
    var batchSize: Int

    @Option(help: ArgumentHelp("Number of steps to export (default: one epoch).", valueName: "count"))
    var steps: Int?

    @Option(help: ArgumentHelp("First step to export.", valueName: "number"))
    var firstStep = 1

    @Option(help: "Sample order.")
    var order: OrderExportStage.Order = .keyed

    @Option(help: ArgumentHelp("Random seed for the order; the default is the suite's.", valueName: "number"))
    var seed: UInt64 = 21

    @Option(
        help: ArgumentHelp(
            "Number of canonical nodes for the streaming orders (default: as streaming chooses for one machine).",
            valueName: "count"
        )
    )
    var canonicalNodes: Int?

    @Flag(inversion: .prefixedNo, help: "Drop the incomplete batch at the end of an epoch.")
    var dropLast = true

    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if batchSize < 1 { throw ValidationError("--batch-size is \(batchSize); expected 1 or more") }
        for (flag, number) in [("--steps", steps ?? 1), ("--first-step", firstStep)]
        where !(1...1 << 40).contains(number) {
            throw ValidationError("\(flag) is \(number); expected 1 to \(1 << 40)")
        }
        if let canonicalNodes, canonicalNodes < 1 {
            throw ValidationError("--canonical-nodes is \(canonicalNodes); expected 1 or more")
        }
        if seed > UInt64(UInt32.max) { throw ValidationError("--seed is \(seed); expected at most \(UInt32.max)") }
        try job.validateOrder()
    }

    func run() throws {
        let stage = OrderExportStage(
            input: input,
            batchSize: batchSize,
            firstStep: firstStep,
            steps: steps,
            order: order,
            seed: seed,
            canonicalNodes: canonicalNodes,
            remainder: dropLast ? .dropped : .kept
        )
        try job.run(json, manifestPath: OrderOutput.manifestPath(job.output)) { try stage.run($0) }
    }
}

extension DataJobOptions {
    /// Refuses options for shards where lines are written.
    func validateOrder() throws {
        guard OrderOutput.isLines(output) else { return }
        for (flag, value, standard) in [
            ("--compression", compression, Self.standardCompression), ("--hashes", hashes, Self.standardHashes),
        ] where value != standard {
            throw ValidationError("\(flag) is \"\(value)\" but the output is JSON Lines; \(flag) applies to MDS shards")
        }
    }
}
