import ArgumentParser
import EttinPretraining

/// The command `ettin pair verify`.
struct PairVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify that two runs saw the same data in the same order.",
        discussion: """
            Each run records a hash of every step in its ledger.jsonl: which samples, in
            which order, with which tokens. Each line is chained to the one before. Two
            runs are a pair if all lines agree and their run.json files have the same
            vocabulary, data set, order, sequence length and seed, but different
            objectives. If they are not a pair, the first difference is printed and the
            exit code is 1.

            Examples:

              ettin pair verify runs/encoder runs/decoder
              ettin pair verify runs/lockstep --json
            """
    )

    @Argument(
        help: "Folders of two runs, or the folder of a pair with subfolders encoder and decoder.",
        completion: .directory
    )
    var runs: [String]

    @OptionGroup var json: JSONOption

    func validate() throws {
        if runs.count > 2 { throw ValidationError("\(runs.count) folders are given; expected two runs or one pair") }
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
