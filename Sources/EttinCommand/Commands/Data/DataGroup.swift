import ArgumentParser

/// The command `ettin data`.
struct DataGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Fetch, make and check the data that models are trained on.",
        discussion: """
            From text to sequences of token ids, as MDS data sets that
            mosaicml-streaming reads too:

              ettin data tokenize texts --tokenizer tokenizer -o tokens
              ettin data chunk tokens --tokenizer tokenizer -o chunks
              ettin data inspect chunks --tokenizer tokenizer

            A job that was stopped, by a kill too, goes on when it is started again
            with the same options, and writes the same bytes. --shard divides a job
            among machines; merge joins their folders.
            """,
        subcommands: [
            DataTokenize.self, DataChunk.self, DataSplit.self, DataMix.self, DataRecipes.self, DataExtend.self,
            DataMerge.self, DataInspect.self, DataVerify.self, DataExportOrder.self, DataImportOrder.self,
            DataFetch.self,
        ]
    )
}
