import ArgumentParser

/// The command `ettin`.
struct EttinCommand: ParsableCommand {
    /// The version of this package.
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "ettin",
        abstract: "Train, compare and run paired encoders and decoders.",
        discussion: """
            Create and run a first model, with random weights:

              ettin tokenizer train corpus.txt --vocab-size 2000 -o tokenizer
              ettin init encoder --size 17m --kind encoder --tokenizer tokenizer
              ettin embed encoder "A cat sits." "A feline rests."

            Results go to standard output; progress and errors go to standard
            error. Exit codes: 0 success, 1 failure, 64 wrong usage, 130
            interrupted.
            """,
        version: version,
        subcommands: [
            FillMaskCommand.self, Embed.self, Rerank.self, Classify.self, Tag.self, Answer.self, Choose.self,
            Sparse.self, Generate.self, Tokenize.self, TokenizerGroup.self, DataGroup.self,
            Pretrain.self, FinetuneGroup.self, MineNegatives.self, Score.self, SuiteGroup.self, Sweep.self, Report.self,
            PairGroup.self, Initialize.self, Convert.self, Average.self, Merge.self,
            Info.self,
            EvaluateGroup.self, Bench.self, Models.self, Download.self, Revisions.self, Push.self, CacheGroup.self,
            Environment.self,
        ]
    )
}
