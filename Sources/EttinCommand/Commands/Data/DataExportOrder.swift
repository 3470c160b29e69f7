import ArgumentParser
import EttinCorpus
import EttinFiles
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
            one the Ettin suite was trained with), and sequential (storage order).
            naive, py1s, py1e, py1br and py2s are what mosaicml-streaming's
            StreamingDataLoader yields with that shuffle, unshuffled what it yields with
            shuffle: false: canonical nodes take turns, and some samples are repeated so
            that all nodes and ranks get the same number. All but sequential decompress
            each shard once, next to the compressed file.

            With the streaming orders an epoch can use part of a data set, or repeat it:
            append @repeat=TIMES, @choose=SAMPLES or @proportion=SHARE to its folder, as
            in a Stream.

            Examples:

              ettin data export-order chunks --batch-size 4 --steps 100 -o order
              ettin data export-order chunks --batch-size 4 --first-step 101 \\
                --steps 100 --order permutation -o steps-101.jsonl
              ettin data export-order chunks --batch-size 4 --shard 0/2 -o order/0
              ettin data export-order web@repeat=1.5 code@choose=5000 \\
                --batch-size 64 --order py1s --seed 9176 --canonical-nodes 128 \\
                --nodes 2 --ranks-per-node 8 -o order
            """
    )

    @Argument(
        help: ArgumentHelp("Training data sets, read as one.", valueName: "dataset"),
        completion: .directory,
        transform: WeightedFolder.init(argument:)
    )
    var inputs: [WeightedFolder]

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
            "num_canonical_nodes (default: the number of nodes; 64 times that for py1s and py2s).",
            valueName: "count"
        )
    )
    var canonicalNodes: Int?

    @Option(help: ArgumentHelp("Number of machines, for the orders of streaming (default: 1).", valueName: "count"))
    var nodes: Int?

    @Option(help: ArgumentHelp("Ranks per machine, for the orders of streaming (default: 1).", valueName: "count"))
    var ranksPerNode: Int?

    @Option(
        help: ArgumentHelp(
            "shuffle_block_size of py1e and py1br (default: 4,000,000 / canonical nodes, at least 262,144).",
            valueName: "samples"
        )
    )
    var shuffleBlockSize: Int?

    @Option(
        help: "sampling_method: whether epochs that take parts of data sets take the same ones (default: balanced)."
    )
    var samplingMethod: StreamingSampling.Method?

    @Option(
        help: ArgumentHelp(
            "sampling_granularity: samples drawn at a time from a shard (default: 1).",
            valueName: "samples"
        )
    )
    var samplingGranularity: Int?

    @Option(
        help: ArgumentHelp(
            "epoch_size, for proportions (default: the samples of all data sets).",
            valueName: "samples"
        )
    )
    var epochSize: Int?

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
        for (flag, number) in [
            ("--canonical-nodes", canonicalNodes ?? 1), ("--nodes", nodes ?? 1),
            ("--ranks-per-node", ranksPerNode ?? 1),
            ("--shuffle-block-size", shuffleBlockSize ?? 1), ("--sampling-granularity", samplingGranularity ?? 1),
            ("--epoch-size", epochSize ?? 1),
        ] where number < 1 {
            throw ValidationError("\(flag) is \(number); expected 1 or more")
        }
        if !order.isStreaming {
            let streamingOrders = OrderExportStage.Order.allCases.filter(\.isStreaming).map(\.rawValue)
            for (flag, isGiven) in [
                ("--canonical-nodes", canonicalNodes != nil), ("--nodes", nodes != nil),
                ("--ranks-per-node", ranksPerNode != nil), ("--shuffle-block-size", shuffleBlockSize != nil),
                ("--sampling-method", samplingMethod != nil),
                ("--sampling-granularity", samplingGranularity != nil), ("--epoch-size", epochSize != nil),
                ("@repeat, @choose or @proportion", inputs.contains { $0.input.weight != .once }),
            ] where isGiven {
                throw ValidationError(
                    "\(flag) is given with --order \(order.rawValue); expected it with --order "
                        + streamingOrders.joined(separator: ", ")
                )
            }
        }
        if seed > UInt64(UInt32.max) { throw ValidationError("--seed is \(seed); expected at most \(UInt32.max)") }
        try job.validateOrder()
    }

    func run() throws {
        let stage = OrderExportStage(
            inputs: inputs.map(\.input),
            batchSize: batchSize,
            firstStep: firstStep,
            steps: steps,
            order: order,
            seed: seed,
            streaming: OrderExportStage.Streaming(
                canonicalNodes: canonicalNodes,
                blockSize: shuffleBlockSize,
                physicalNodes: nodes ?? 1,
                ranksPerNode: ranksPerNode ?? 1,
                sampling: StreamingSampling(
                    method: samplingMethod ?? .balanced,
                    granularity: samplingGranularity ?? 1,
                    epochSize: epochSize
                )
            ),
            remainder: dropLast ? .dropped : .kept
        )
        try job.run(json, manifestPath: OrderOutput.manifestPath(job.output)) { options in
            do {
                return try stage.run(options)
            } catch let error as CorpusError where error.kind == .invalidOption {
                guard let flag = Self.flags[error.file] else { throw error }
                throw CorpusError(
                    .invalidOption,
                    file: flag,
                    item: error.item,
                    found: error.found,
                    expected: error.expected?.replacing("drop_last: false", with: "--no-drop-last")
                )
            }
        }
    }

    /// The options for what recipes, whose orders are the same, name otherwise.
    private static let flags = [
        "global_train_batch_size": "--batch-size", "batch size": "--batch-size",
        "num_canonical_nodes":
            "--canonical-nodes", "num_physical_nodes": "--nodes", "ranks_per_node": "--ranks-per-node",
        "shuffle_block_size": "--shuffle-block-size", "shuffle_seed": "--seed",
        "sampling_granularity":
            "--sampling-granularity", "epoch_size": "--epoch-size", "first step": "--first-step", "steps": "--steps",
    ]
}

/// A data set on the command line: its folder, and behind an @ how much of it an epoch takes.
struct WeightedFolder {
    let input: OrderExportStage.Input

    init(argument: String) throws {
        let (folder, option) =
            argument.lastIndex(of: "@").map { at in
                (String(argument[..<at]), argument[argument.index(after: at)...])
            } ?? (argument, "")
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        // Folders may have an @ in their names.
        guard parts.count == 2, !FilePath.exists(argument) else {
            input = OrderExportStage.Input(path: argument)
            return
        }
        let value = String(parts[1])
        let weight: MDSStreams.Weight? =
            switch parts[0] {
            case "repeat": Double(value).map { .repeated($0) }
            case "proportion": Double(value).map { .proportion($0) }
            case "choose": Int(value).map { .samples($0) }
            default: nil
            }
        guard let weight else {
            throw ValidationError(
                "data set \"\(argument)\" ends in @\(option); expected @repeat=TIMES, @choose=SAMPLES or "
                    + "@proportion=SHARE, with a number"
            )
        }
        input = OrderExportStage.Input(path: folder, weight: weight)
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
