import ArgumentParser
import EttinCorpus
import EttinTokenizer

/// The command `ettin data tokenize`.
struct DataTokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Tokenize documents.",
        discussion: """
            Inputs are files, folders (searched recursively) and quoted glob patterns:
            text, JSON Lines (.jsonl, .ndjson, .json), either one compressed as .gz or
            .zst, Parquet, and MDS data sets. Each document becomes a sample with "id",
            "input_ids" (including special tokens) and "len".

            The same command resumes an interrupted job. With --shard, a machine
            processes the documents that start in its part of the inputs.

            Examples:

              ettin data tokenize texts --tokenizer tokenizer -o tokens
              ettin data tokenize corpus.txt --separator '\\n\\n' \\
                --tokenizer tokenizer -o tokens
              ettin data tokenize 'dump/*.jsonl.zst' --text-key content \\
                --tokenizer tokenizer --shard 3/16 -o tokens/3
            """
    )

    @Argument(help: "Input files, folders and glob patterns.", completion: .file())
    var inputs: [String]

    @OptionGroup var tokenizer: TokenizerOption
    @OptionGroup var reading: ReadingFlags

    @Flag(inversion: .prefixedNo, help: "Prepend a space to each text.")
    var addPrefixSpace = true

    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func run() throws {
        let stage = TokenizeStage(
            inputs: inputs,
            reading: try reading.options(),
            tokenizer: try Tokenizer(folder: tokenizer.tokenizer),
            addsPrefixSpace: addPrefixSpace
        )
        try job.run(json) { try stage.run($0) }
    }
}
