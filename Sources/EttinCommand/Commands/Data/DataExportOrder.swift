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
            a folder of MDS shards; both appear complete or not at all.

            Orders: keyed is our own, which needs no memory; permutation is the one
            that Ettin was trained in; naive, py1s, py1e, py1br and py2s are those of
            streaming; sequential leaves samples where they are. All but sequential
            decompress the shards of the data set once, beside the compressed ones.

            Examples:

              ettin data export-order chunks --batch-size 4 --steps 100 -o order
              ettin data export-order chunks --batch-size 4 --first-step 101 \\
                --steps 100 --order permutation --seed 17 -o steps-101.jsonl
            """
    )

    /// The orders by their names.
    enum Order: String, CaseIterable, ExpressibleByArgument {
        case keyed
        case permutation
        case sequential
        case naive
        case py1s
        case py1e
        case py1br
        case py2s
    }

    @Argument(help: "The data set of a run.", completion: .directory)
    var input: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The file or folder to write.", valueName: "path"),
        completion: .file()
    )
    var output: String

    @Option(help: ArgumentHelp("The samples of a step, over all ranks.", valueName: "count"))
    var batchSize: Int

    @Option(help: ArgumentHelp("How many steps to write; one epoch unless given.", valueName: "count"))
    var steps: Int?

    @Option(help: ArgumentHelp("The first step to write.", valueName: "number"))
    var firstStep = 1

    @Option(help: "The order of the samples.")
    var order: Order = .keyed

    @Option(help: ArgumentHelp("The seed of the order.", valueName: "number"))
    var seed: UInt64 = 17

    @Option(help: ArgumentHelp("The canonical nodes of streaming's orders.", valueName: "count"))
    var canonicalNodes = 1

    @Flag(inversion: .prefixedNo, help: "Leave out the samples at the end of an epoch that fill no batch.")
    var dropLast = true

    @OptionGroup var json: JSONOption

    func validate() throws {
        if batchSize < 1 { throw ValidationError("--batch-size is \(batchSize); expected 1 or more") }
        for (flag, number) in [("--steps", steps ?? 1), ("--first-step", firstStep)]
        where !(1...1 << 40).contains(number) {
            throw ValidationError("\(flag) is \(number); expected 1 to \(1 << 40)")
        }
        if canonicalNodes < 1 { throw ValidationError("--canonical-nodes is \(canonicalNodes); expected 1 or more") }
        if seed > UInt64(UInt32.max) { throw ValidationError("--seed is \(seed); expected at most \(UInt32.max)") }
    }

    func run() throws {
        let dataset = try MDSDataset(folder: input, decompression: order == .sequential ? .intoMemory : .intoFile)
        let remainder: GlobalBatches.Remainder = dropLast ? .dropped : .kept
        let start = DataPosition(
            step: firstStep - 1,
            batchSize: batchSize,
            sampleCount: max(1, dataset.sampleCount),
            remainder: remainder
        )
        var batches = try GlobalBatches(sampleOrder(of: dataset), from: start, remainder: remainder)
        let whole = dataset.sampleCount / batchSize
        let count = steps ?? max(1, dropLast || dataset.sampleCount % batchSize == 0 ? whole : whole + 1)
        let writer = try OrderDatasetWriter(path: output, element: dataset.tokenElement)
        for step in firstStep..<firstStep + count {
            for reference in try batches.next(size: batchSize) {
                try writer.append(OrderRow(step: step, inputIDs: dataset.tokenIDs(at: reference.index)))
            }
        }
        try writer.finish()
        try writer.report(output, steps: count, json)
    }

    private func sampleOrder(of dataset: MDSDataset) throws -> any SampleOrder {
        switch order {
        case .keyed: return KeyedOrder(count: dataset.sampleCount, seed: seed)
        case .permutation: return NumPyPermutationOrder(count: dataset.sampleCount, seed: seed)
        case .sequential: return SequentialOrder(count: dataset.sampleCount)
        case .naive, .py1s, .py1e, .py1br, .py2s:
            return try StreamingOrder(
                shardSizes: dataset.index.shards.map(\.sampleCount),
                algorithm: StreamingOrder.Algorithm(rawValue: order.rawValue) ?? .naive,
                canonicalNodes: canonicalNodes,
                seed: seed
            )
        }
    }
}

extension MDSDataset {
    /// How an order of the data set stores ids.
    fileprivate var tokenElement: MDSElement {
        let isNarrow = index.shards.allSatisfy { shard in
            shard.schema.columns.contains {
                $0.name == "input_ids" && $0.encoding == .array(element: .uint16, shape: nil)
            }
        }
        return isNarrow ? .uint16 : .uint32
    }
}

extension OrderDatasetWriter {
    /// Says what was written.
    func report(_ path: String, steps: Int, _ json: JSONOption) throws {
        Diagnostics.note("wrote \(steps) steps of \(rowCount) samples, \(tokenCount) tokens, to \(path)")
        guard json.isOn else { return }
        try StandardOutput.write(document: [
            "output": .string(path), "steps": JSONValue(steps), "samples": JSONValue(rowCount),
            "tokens": JSONValue(tokenCount),
        ])
    }
}
