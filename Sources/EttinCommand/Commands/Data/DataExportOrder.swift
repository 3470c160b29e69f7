import ArgumentParser
import EttinCorpus
import EttinJSON

/// The command `ettin data export-order`.
struct DataExportOrder: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-order",
        abstract: "Write the samples of a run in the order in which it sees them.",
        discussion: """
            An order data set has a row for each sample: "input_ids", before masking,
            and "step", from 1. A name that ends in .jsonl gives JSON Lines, any other
            a folder of MDS shards. The same command goes on with a stopped job.
            --shard gives a machine some of the steps; "ettin data merge" joins parts
            that are shards, "ettin data import-order" those that are JSON Lines.

            Orders: keyed is our own, which needs no memory; permutation is the one
            that Ettin was trained in; naive, py1s, py1e, py1br and py2s are those of
            streaming; sequential leaves samples where they are. All but sequential
            decompress the shards of the data set once, beside the compressed ones.

            Examples:

              ettin data export-order chunks --batch-size 4 --steps 100 -o order
              ettin data export-order chunks --batch-size 4 --first-step 101 \\
                --steps 100 --order permutation -o steps-101.jsonl
              ettin data export-order chunks --batch-size 4 --shard 0/2 -o order/0
            """
    )

    @Argument(help: "The data set of a run.", completion: .directory)
    var input: String

    @Option(help: ArgumentHelp("The samples of a step, over all ranks.", valueName: "count"))
    var batchSize: Int

    @Option(help: ArgumentHelp("How many steps to write; one epoch unless given.", valueName: "count"))
    var steps: Int?

    @Option(help: ArgumentHelp("The first step to write.", valueName: "number"))
    var firstStep = 1

    @Option(help: "The order of the samples.")
    var order: OrderExportStage.Order = .keyed

    @Option(help: ArgumentHelp("The seed of the order; the suite was trained with the default.", valueName: "number"))
    var seed: UInt64 = 21

    @Option(
        help: ArgumentHelp(
            "The canonical nodes of streaming's orders; as it chooses for one machine.",
            valueName: "count"
        )
    )
    var canonicalNodes: Int?

    @Flag(inversion: .prefixedNo, help: "Leave out the samples at the end of an epoch that fill no batch.")
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
            throw ValidationError("\(flag) is \"\(value)\" for JSON Lines; expected it for shards alone")
        }
    }
}
