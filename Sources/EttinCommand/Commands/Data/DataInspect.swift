import ArgumentParser
import EttinCorpus
import EttinJSON
import EttinTokenizer

/// The command `ettin data inspect`.
struct DataInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Describe a data set: counts, columns, lengths, sources, samples.",
        discussion: """
            A data set without token ids, such as one of texts, is described without
            lengths. A source is a folder of shards below the data set. --json gives
            every length with its count; --tokenizer turns ids into texts.

            Examples:

              ettin data inspect chunks
              ettin data inspect chunks --tokenizer tokenizer --samples 5 --first 100
              ettin data inspect chunks --json
            """
    )

    @Argument(help: "The folder with the index of the data set.", completion: .directory)
    var folder: String

    @Option(help: ArgumentHelp("The column of token ids; input_ids where there is one.", valueName: "name"))
    var column: String?

    @Option(
        help: ArgumentHelp("The folder of the tokenizer that decodes samples.", valueName: "folder"),
        completion: .directory
    )
    var tokenizer: String?

    @Option(help: ArgumentHelp("How many samples to show.", valueName: "count"))
    var samples = 3

    @Option(help: ArgumentHelp("The first sample to show, from 0.", valueName: "number"))
    var first = 0

    @OptionGroup var json: JSONOption

    func validate() throws {
        if samples < 0 { throw ValidationError("--samples is \(samples); expected 0 or more") }
        if first < 0 { throw ValidationError("--first is \(first); expected 0 or more") }
    }

    func run() throws {
        let name = tokenizer ?? ""
        let tokenizer = try tokenizer.map { try Tokenizer(folder: $0) }
        let dataset = try MDSDataset(folder: folder, decompression: .intoMemory, openShardLimit: 1)
        let tokenColumn = column ?? dataset.defaultTokenColumn
        if let tokenizer, tokenColumn != nil { try Diagnostics.noteTokenizer(of: folder, tokenizer, from: name) }
        let report = ProgressReport()
        let inspection = try tokenColumn.map { column in
            defer { report.finish() }
            return try Inspection(dataset, column: column) {
                report.update(shards: $0, of: dataset.index.shards.count)
            }
        }
        let shown = min(first, dataset.sampleCount)..<min(dataset.sampleCount, first + samples)
        let description = DatasetDescription(
            dataset: dataset,
            inspection: inspection,
            samples: try shown.map { try ShownSample(dataset, $0, tokenColumn: tokenColumn, tokenizer) }
        )
        try json.isOn ? StandardOutput.write(document: description.json) : description.print()
    }
}

extension Diagnostics {
    /// Refuses a tokenizer that is not the data set's, and says what cannot be compared.
    static func noteTokenizer(of dataset: String, _ tokenizer: Tokenizer, from name: String) throws {
        let notice = try DatasetTokenizer.check(dataset, against: tokenizer, from: name)
        if let notice { note(notice) }
    }
}

extension MDSDataset {
    /// The column that holds token ids in the suite's data; nil when there is none.
    var defaultTokenColumn: String? {
        guard let schema = index.shards.first?.schema, schema.position(of: "input_ids") != nil else { return nil }
        return "input_ids"
    }
}
