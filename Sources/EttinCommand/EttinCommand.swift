import ArgumentParser

/// The command `ettin`.
struct EttinCommand: ParsableCommand {
    /// The version of this package.
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "ettin",
        abstract: "Paired encoders and decoders on libtorch.",
        discussion: """
            A first model from a text file, random but working:

              ettin tokenizer train corpus.txt --vocab-size 2000 -o tokenizer
              ettin init encoder --size 17m --kind encoder --tokenizer tokenizer
              ettin embed encoder "two texts" "become two vectors"

            Standard output carries data only; progress and errors go to
            standard error. Exit codes: 0 success, 1 failure, 64 wrong usage,
            130 interrupted.
            """,
        version: version,
        subcommands: [
            FillMaskCommand.self, Embed.self, Generate.self, Tokenize.self, TokenizerGroup.self, DataGroup.self,
            Pretrain.self, SuiteGroup.self, Report.self, PairGroup.self, Initialize.self, Convert.self, Average.self,
            Info.self,
            Bench.self, Models.self, Download.self, Revisions.self, Push.self, CacheGroup.self, Environment.self,
        ]
    )
}
