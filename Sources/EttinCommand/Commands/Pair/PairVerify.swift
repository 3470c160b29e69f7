import ArgumentParser
import EttinPretraining

/// The command `ettin pair verify`.
struct PairVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Prove that two runs were trained on the same data in the same order.",
        discussion: """
            Every step of a run is hashed into its ledger.jsonl: which samples, in which
            order, with which tokens; each line is chained to those before it. Two runs
            are a pair when all lines agree and run.json says the same vocabulary, data
            set, order, sequence length and seed, but another objective. The exit code
            is 1 when they are not; the first step that differs is named.

            Examples:

              ettin pair verify runs/encoder runs/decoder
              ettin pair verify runs/lockstep --json
            """
    )

    @Argument(
        help: "The folders of two runs, or of a pair, which holds the runs encoder and decoder.",
        completion: .directory
    )
    var runs: [String]

    @OptionGroup var json: JSONOption

    func validate() throws {
        if runs.count > 2 { throw ValidationError("there are \(runs.count) folders; expected two runs, or a pair") }
    }

    func run() throws {
        let verification =
            runs.count == 1 ? try PairVerification(pair: runs[0]) : try PairVerification(runs[0], runs[1])
        try json.isOn
            ? StandardOutput.write(document: verification.json)
            : StandardOutput.write { try $0.line(verification.text) }
        if !verification.isPair { throw ExitCode.failure }
    }
}
