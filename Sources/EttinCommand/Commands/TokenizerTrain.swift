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
        abstract: "Train a byte-level BPE tokenizer on text files.",
        discussion: """
            The tokenizer suits both halves of a pair: [UNK], [CLS], [SEP], [PAD] and
            [MASK] have ids 0 to 4, and texts are encoded as "[CLS] text [SEP]".
            Files are read line by line.

            Examples:

              ettin tokenizer train corpus.txt --vocab-size 32000 -o tokenizer
              ettin tokenizer train a.txt b.txt --vocab-size 50368 \\
                --min-frequency 2 --special "[Q]" -o tokenizer
            """
    )

    @Argument(help: "UTF-8 text files; - reads standard input.", completion: .file())
    var files: [String]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output folder.", valueName: "folder"),
        completion: .directory
    )
    var output: String

    @Option(help: ArgumentHelp("Vocabulary size, including special tokens and the 256 bytes.", valueName: "count"))
    var vocabSize: Int

    @Option(help: ArgumentHelp("Minimum frequency of a pair to be merged.", valueName: "count"))
    var minFrequency = 0

    @Option(help: ArgumentHelp("Additional special token; may be repeated.", valueName: "token"))
    var special: [String] = []

    @Flag(help: "Prepend a space to texts that do not start with one.")
    var addPrefixSpace = false

    @Option(help: ArgumentHelp("Number of threads (default: all available).", valueName: "count"))
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
        Diagnostics.note("training a vocabulary of \(vocabSize) tokens on \(files.joined(separator: ", "))")
        let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let tokenizer = try trainer().train(files: files, threads: threads ?? processors)
        try tokenizer.save(to: output)
        let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
        Diagnostics.note("wrote \(output) in \(Int(milliseconds)) ms")
        if tokenizer.vocabularySize < vocabSize {
            Diagnostics.note(
                "no pairs are left to merge: vocabulary size \(tokenizer.vocabularySize) instead of \(vocabSize)"
            )
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
