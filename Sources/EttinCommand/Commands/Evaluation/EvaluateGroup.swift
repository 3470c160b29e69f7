import ArgumentParser

/// The command `ettin evaluate`.
struct EvaluateGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure models on data with known answers.",
        discussion: """
            Example:

              ettin evaluate retrieval embedder beir/scifact
            """,
        subcommands: [EvaluateRetrieval.self]
    )
}
