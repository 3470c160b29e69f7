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
            store two bytes per id when its vocabulary allows it.

            Examples:

              ettin data import-order order.jsonl --tokenizer tokenizer -o order
              ettin data import-order published/decay_* -o decay-order
              ettin data import-order order --first-step 50 --steps 10 -o ten.jsonl
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
        name: .shortAndLong,
        help: ArgumentHelp("The file or folder to write.", valueName: "path"),
        completion: .file()
    )
    var output: String

    @Option(
        help: ArgumentHelp("The folder of the tokenizer whose ids are allowed.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("The first step to take; the first there is unless given.", valueName: "number"))
    var firstStep: Int?

    @Option(help: ArgumentHelp("How many steps to take; all unless given.", valueName: "count"))
    var steps: Int?

    @OptionGroup var json: JSONOption

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps is \(steps); expected 1 or more") }
    }

    func run() throws {
        let vocabularySize = try tokenizer.map { try Tokenizer(folder: $0).vocabularySize }
        var order = try ExplicitOrder.opened(inputs)
        if let firstStep { try order.skip(toStep: firstStep) }
        let isNarrow = vocabularySize.map { $0 <= 1 << 16 } ?? false
        let writer = try OrderDatasetWriter(path: output, element: isNarrow ? .uint16 : .uint32)
        var count = 0
        while count < steps ?? .max, let step = try order.next() {
            for ids in step.samples {
                try check(ids, step.step, vocabularySize)
                try writer.append(OrderRow(step: step.step, inputIDs: ids))
            }
            count += 1
        }
        try writer.finish()
        try writer.report(output, steps: count, json)
    }

    private func check(_ ids: [Int32], _ step: Int, _ vocabularySize: Int?) throws {
        guard let vocabularySize, let unknown = ids.first(where: { Int($0) >= vocabularySize }) else { return }
        throw CorpusError(
            .malformed,
            file: inputs.joined(separator: ", "),
            item: "step \(step)",
            found: "holds the id \(unknown)",
            expected: "ids from 0 to \(vocabularySize - 1), as the tokenizer has them"
        )
    }
}
