import ArgumentParser
import EttinCorpus
import EttinJSON
import EttinTokenizer

/// The command `ettin data verify`.
struct DataVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check a data set: hashes, sizes, every value, counts, token ids.",
        discussion: """
            Each problem is one line on standard error, and the exit code is then 1. A
            shard's hashes, sizes, offsets and values are checked, the range of its
            ids, and the counts that tokenize and chunk wrote beside the index.
            Nothing is changed.

            Examples:

              ettin data verify chunks
              ettin data verify chunks --tokenizer tokenizer --json
            """
    )

    @Argument(help: "The folder with the index of the data set.", completion: .directory)
    var folder: String

    @Option(help: ArgumentHelp("The column of token ids; input_ids where there is one.", valueName: "name"))
    var column: String?

    @Option(
        help: ArgumentHelp("The folder of the tokenizer whose ids are allowed.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("The number of ids allowed, instead of a tokenizer.", valueName: "count"))
    var vocabSize: Int?

    @OptionGroup var json: JSONOption

    func validate() throws {
        if tokenizer != nil, vocabSize != nil {
            throw ValidationError("--tokenizer and --vocab-size exclude each other")
        }
        if let vocabSize, vocabSize < 1 { throw ValidationError("--vocab-size is \(vocabSize); expected 1 or more") }
    }

    func run() throws {
        let name = tokenizer ?? ""
        let tokenizer = try tokenizer.map { try Tokenizer(folder: $0) }
        let vocabulary = tokenizer?.vocabularySize ?? vocabSize
        let dataset = try MDSDataset(folder: folder, decompression: .intoMemory, openShardLimit: 1)
        let tokenColumn = column ?? dataset.defaultTokenColumn
        let progress = ProgressReport()
        let report = dataset.verified(tokenColumn: tokenColumn, vocabularySize: vocabulary) {
            progress.update(shards: $0, of: dataset.index.shards.count)
        }
        progress.finish()
        var problems = report.problems
        do {
            if let tokenizer { try Diagnostics.noteTokenizer(of: folder, tokenizer, from: name) }
        } catch let error as CorpusError {
            problems.append(error)
        }
        // What damaged shards would have added is not known.
        if problems.isEmpty {
            let tokens = tokenColumn == nil ? nil : report.tokenCount
            problems = dataset.recordProblems(sampleCount: report.sampleCount, tokenCount: tokens)
        }
        if json.isOn {
            try StandardOutput.write(document: [
                "shards": JSONValue(report.shardCount), "samples": JSONValue(report.sampleCount),
                "tokens": JSONValue(report.tokenCount), "hashes": JSONValue(report.hashCount),
                "problems": .array(problems.map { .string($0.description) }),
            ])
        }
        if !problems.isEmpty { throw DatasetProblems(problems: problems) }
        Diagnostics.note(
            "\(folder) is sound: \(report.sampleCount) samples of \(report.tokenCount) tokens in "
                + "\(report.shardCount) shards, \(report.hashCount) hashes"
        )
    }
}

/// Everything that is wrong with a data set, a line for each.
private struct DatasetProblems: Error, CustomStringConvertible {
    let problems: [CorpusError]

    var description: String { problems.map(\.description).joined(separator: "\n") }
}
