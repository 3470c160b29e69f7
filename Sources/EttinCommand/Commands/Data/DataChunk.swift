import ArgumentParser
import EttinCorpus
import EttinTokenizer

/// The command `ettin data chunk`.
struct DataChunk: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chunk",
        abstract: "Cut tokenised documents into chunks.",
        discussion: """
            Cuts each document into pieces that fit a context. A piece below
            --always-skip ids is left out unless it is the document's first; one below
            --min-size takes a random number of ids from the end of the chunk before
            it. Chunks are samples of "id", that of the document, and "input_ids".

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

    /// Where random numbers come from.
    enum Draws: String, CaseIterable, ExpressibleByArgument {
        case sequence
        case document
    }

    @Argument(help: "The data set that tokenize wrote.", completion: .directory)
    var input: String

    @OptionGroup var tokenizer: TokenizerOption

    @Option(help: ArgumentHelp("The most ids of a chunk, special tokens included.", valueName: "count"))
    var chunkSize = 1024

    @Option(help: ArgumentHelp("Pieces below this are filled up, or left out.", valueName: "count"))
    var minSize = 512

    @Option(help: ArgumentHelp("Pieces below this are left out.", valueName: "count"))
    var alwaysSkip = 128

    @Flag(inversion: .prefixedNo, help: "Fill short pieces up from the chunk before.")
    var backfill = true

    @Flag(inversion: .prefixedNo, help: "Leave the ids that fill up a piece in the chunk before it too.")
    var duplicates = false

    @Flag(help: "Leave out documents below --always-skip.")
    var skipShortFirst = false

    @Flag(help: "Append the end token to documents that do not end with it.")
    var addEosToken = false

    @Option(help: "Where random numbers come from.")
    var draws: Draws = .sequence

    @Option(help: ArgumentHelp("The seed of the random numbers.", valueName: "number"))
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
                "--min-size is \(minSize); expected 0 to \(chunkSize - 2), which is --chunk-size without special tokens"
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
