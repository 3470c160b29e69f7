import ArgumentParser

/// The command `ettin evaluate`.
struct EvaluateGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure models on data with known answers.",
        discussion: """
            Examples:

              ettin evaluate retrieval embedder beir/scifact
              ettin evaluate glue output/glue
            """,
        subcommands: [EvaluateRetrieval.self, EvaluateGLUE.self]
    )
}
