import ArgumentParser
import EttinCorpus
import EttinTokenizer

/// The command `ettin data chunk`.
struct DataChunk: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chunk",
        abstract: "Split tokenized documents into chunks.",
        discussion: """
            Splits each document into pieces that fit a context. A piece shorter than
            --always-skip ids is dropped unless it is the document's first; one shorter
            than --min-size is backfilled with a random number of ids from the end of
            the previous chunk. Each chunk is a sample with the document's "id" and
            "input_ids".

            Random numbers are drawn in the order of the documents, as the published
            pipeline does; with --draws document each is a function of the seed and
            the document's id, so that it does not depend on how a job is divided.

            Examples:

              ettin data chunk tokens --tokenizer tokenizer -o chunks
              ettin data chunk tokens --tokenizer tokenizer --chunk-size 8000 \\
                -o chunks-8000
              ettin data chunk tokens --tokenizer tokenizer --draws document \\
                --shard 3/16 -o chunks/3
            """
    )

    /// How random numbers are seeded: one sequence for the job, or per document.
    enum Draws: String, CaseIterable, ExpressibleByArgument {
        case sequence
        case document
    }

    @Argument(help: "Tokenized data set, written by ettin data tokenize.", completion: .directory)
    var input: String

    @OptionGroup var tokenizer: TokenizerOption

    @Option(help: ArgumentHelp("Maximum number of ids in a chunk, including special tokens.", valueName: "count"))
    var chunkSize = 1024

    @Option(help: ArgumentHelp("Minimum chunk size; shorter pieces are backfilled or dropped.", valueName: "count"))
    var minSize = 512

    @Option(help: ArgumentHelp("Size below which a piece is always dropped.", valueName: "count"))
    var alwaysSkip = 128

    @Flag(inversion: .prefixedNo, help: "Backfill short pieces from the previous chunk.")
    var backfill = true

    @Flag(inversion: .prefixedNo, help: "Keep backfilled ids in the previous chunk as well.")
    var duplicates = false

    @Flag(help: "Drop documents shorter than --always-skip.")
    var skipShortFirst = false

    @Flag(help: "Append the end-of-sequence token to documents that lack it.")
    var addEosToken = false

    @Option(help: "How random numbers are seeded: one sequence for the job, or per document.")
    var draws: Draws = .sequence

    @Option(help: ArgumentHelp("Random seed.", valueName: "number"))
    var seed: UInt64 = 42

    @OptionGroup var job: DataJobOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if draws == .sequence, seed > UInt64(UInt32.max) {
            throw ValidationError("--seed is \(seed); expected at most \(UInt32.max), or --draws document")
        }
        guard chunkSize >= 3 else { throw ValidationError("--chunk-size is \(chunkSize); expected 3 or more") }
        guard (0...chunkSize - 2).contains(minSize) else {
            throw ValidationError(
                "--min-size is \(minSize); expected 0 to \(chunkSize - 2), the chunk size without special tokens"
            )
        }
        if alwaysSkip < 0 { throw ValidationError("--always-skip is \(alwaysSkip); expected 0 or more") }
    }

    func run() throws {
        let chunking = try ChunkOptions(
            chunkSize: chunkSize,
            minimumSize: minSize,
            alwaysSkipSize: alwaysSkip,
            backfills: backfill,
            duplicatesBackfill: duplicates,
            skipsShortFirst: skipShortFirst,
            addsEndToken: addEosToken,
            draws: draws == .document ? .perDocument(seed: seed) : .sequence(seed: UInt32(truncatingIfNeeded: seed))
        )
        var stage = ChunkStage(
            input: input,
            tokenizer: try Tokenizer(folder: tokenizer.tokenizer),
            chunking: chunking
        )
        stage.tokenizerName = tokenizer.tokenizer
        try Diagnostics.noteTokenizer(of: input, stage.tokenizer, from: tokenizer.tokenizer)
        try job.run(json) { try stage.run($0) }
    }
}
