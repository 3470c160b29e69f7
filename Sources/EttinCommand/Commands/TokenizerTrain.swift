import ArgumentParser
import EttinJSON
import EttinTokenizer

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The command `ettin tokenizer train`.
struct TokenizerTrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Learn a byte-level BPE tokenizer from text files.",
        discussion: """
            The result serves an encoder and its decoder: [UNK], [CLS], [SEP], [PAD]
            and [MASK] have the ids 0 to 4 and texts become "[CLS] text [SEP]".
            Files are read line by line.

            Examples:

              ettin tokenizer train corpus.txt --vocab-size 32000 -o tokenizer
              ettin tokenizer train a.txt b.txt --vocab-size 50368 \\
                --min-frequency 2 --special "[Q]" -o tokenizer
            """
    )

    @Argument(help: "UTF-8 text files; - is standard input.", completion: .file())
    var files: [String]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The folder to write.", valueName: "folder"),
        completion: .directory
    )
    var output: String

    @Option(help: ArgumentHelp("Tokens to make, special tokens and the 256 bytes included.", valueName: "count"))
    var vocabSize: Int

    @Option(help: ArgumentHelp("How often a pair must occur to become a token.", valueName: "count"))
    var minFrequency = 0

    @Option(help: ArgumentHelp("A further special token; may be repeated.", valueName: "token"))
    var special: [String] = []

    @Flag(help: "Put a space in front of texts that do not begin with one.")
    var addPrefixSpace = false

    @Option(help: ArgumentHelp("Threads; all processors unless given.", valueName: "count"))
    var threads: Int?

    @OptionGroup var json: JSONOption

    func validate() throws {
        _ = try trainer()
        if minFrequency < 0 { throw ValidationError("--min-frequency is \(minFrequency); expected 0 or more") }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads); expected 1 to 1024")
        }
    }

    func run() throws {
        let start = ContinuousClock.now
        Diagnostics.note("learning \(vocabSize) tokens from \(files.joined(separator: ", "))")
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let tokenizer = try trainer().train(files: files, threads: threads ?? processors)
        try tokenizer.save(to: output)
        let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
        Diagnostics.note("wrote \(output) after \(Int(milliseconds)) ms")
        if tokenizer.vocabularySize < vocabSize {
            Diagnostics.note("the text has no more pairs: \(tokenizer.vocabularySize) tokens instead of \(vocabSize)")
        }
        if json.isOn {
            try StandardOutput.write(document: [
                "folder": .string(output), "vocabulary_size": JSONValue(tokenizer.vocabularySize),
            ])
        }
    }

    private func trainer() throws -> BPETrainer {
        do {
            var trainer = try BPETrainer.ettin(vocabularySize: vocabSize, additionalSpecialTokens: special)
            trainer.minFrequency = minFrequency
            trainer.addsPrefixSpace = addPrefixSpace
            return trainer
        } catch {
            throw ValidationError("\(error)")
        }
    }
}
