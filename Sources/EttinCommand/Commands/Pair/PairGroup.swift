import ArgumentParser

/// The command `ettin pair`.
struct PairGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pair",
        abstract: "Check the two halves of a pair.",
        discussion: """
            Example:

              ettin pair verify runs/encoder runs/decoder
            """,
        subcommands: [PairVerify.self]
    )
}
