import ArgumentParser
import EttinCorpus
import EttinJSON
import EttinTokenizer

/// The command `ettin data verify`.
struct DataVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify a data set: hashes, sizes, values, counts and token ids.",
        discussion: """
            Checks the hashes, sizes, offsets and values of every shard, the range of
            token ids, and the counts in manifest.json, num_tokens.json and stats.json.
            Prints one line per problem to standard error and exits with 1 if there
            are any. Nothing is modified.

            Examples:

              ettin data verify chunks
              ettin data verify chunks --tokenizer tokenizer --json
            """
    )

    @Argument(help: "Data set folder, containing index.json.", completion: .directory)
    var folder: String

    @Option(help: ArgumentHelp("Column of token ids (default: input_ids, if present).", valueName: "name"))
    var column: String?

    @Option(
        help: ArgumentHelp("Tokenizer folder; ids outside its vocabulary are a problem.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("Vocabulary size to check ids against, instead of a tokenizer.", valueName: "count"))
    var vocabSize: Int?

    @OptionGroup var json: JSONOption

    func validate() throws {
        if tokenizer != nil, vocabSize != nil {
            throw ValidationError("--tokenizer and --vocab-size cannot be combined")
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
            "\(folder) is valid: \(report.sampleCount) samples, \(report.tokenCount) tokens in "
                + "\(report.shardCount) shards, \(report.hashCount) hashes"
        )
    }
}

/// Everything that is wrong with a data set, a line for each.
private struct DatasetProblems: Error, CustomStringConvertible {
    let problems: [CorpusError]

    var description: String { problems.map(\.description).joined(separator: "\n") }
}
