import ArgumentParser
import EttinInference

/// How much is computed at once.
struct BatchOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Maximum number of tokens per batch.", valueName: "count"))
    var maxBatchTokens = defaultMaxBatchTokens

    func validate() throws {
        if maxBatchTokens < 1 { throw ValidationError("--max-batch-tokens is \(maxBatchTokens); expected 1 or more") }
    }
}
