import ArgumentParser

/// The command `ettin data`.
struct DataGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Prepare and inspect training data.",
        discussion: """
            Turns text into sequences of token ids, stored as MDS data sets that
            mosaicml-streaming also reads:

              ettin data tokenize texts --tokenizer tokenizer -o tokens
              ettin data chunk tokens --tokenizer tokenizer -o chunks
              ettin data inspect chunks --tokenizer tokenizer

            An interrupted or killed job resumes when run again with the same
            options, and writes the same bytes. --shard splits a job across machines;
            merge joins their outputs.
            """,
        subcommands: [
            DataTokenize.self, DataChunk.self, DataSplit.self, DataMix.self, DataRecipes.self, DataExtend.self,
            DataMerge.self, DataInspect.self, DataVerify.self, DataExportOrder.self, DataImportOrder.self,
            DataFetch.self,
        ]
    )
}
