import ArgumentParser

/// The command `ettin tokenizer`.
struct TokenizerGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenizer",
        abstract: "Train tokenizers.",
        discussion: """
            Example:

              ettin tokenizer train corpus.txt --vocab-size 32000 -o tokenizer
            """,
        subcommands: [TokenizerTrain.self]
    )
}
