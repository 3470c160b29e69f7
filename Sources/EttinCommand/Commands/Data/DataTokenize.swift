import ArgumentParser
import EttinCorpus
import EttinTokenizer

/// The command `ettin data tokenize`.
struct DataTokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Turn documents into token ids.",
        discussion: """
            Inputs are files, folders with everything below them, and patterns in
            quotes: text, JSON Lines (.jsonl, .ndjson, .json), both also as .gz or
            .zst, and MDS data sets. Each document becomes a sample of "id",
            "input_ids" with special tokens, and "len".

            The same command goes on with a stopped job. --shard gives a machine the
            documents that begin in its share of the inputs.

            Examples:

              ettin data tokenize texts --tokenizer tokenizer -o tokens
              ettin data tokenize corpus.txt --separator '\\n\\n' \\
                --tokenizer tokenizer -o tokens
              ettin data tokenize 'dump/*.jsonl.zst' --text-key content \\
                --tokenizer tokenizer --shard 3/16 -o tokens/3
            """
    )

    @Argument(help: "Files, folders and patterns.", completion: .file())
    var inputs: [String]

    @OptionGroup var tokenizer: TokenizerOption
    @OptionGroup var reading: ReadingFlags

    @Flag(inversion: .prefixedNo, help: "Put a space in front of each text.")
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
