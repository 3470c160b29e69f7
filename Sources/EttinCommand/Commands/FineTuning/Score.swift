import ArgumentParser
import EttinCorpus
import EttinEvaluation
import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinReports
import Torch

/// The command `ettin score`.
struct Score: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Label pairs of queries and documents with a reranker's scores.",
        discussion: """
            Writes every row of a table as a line of JSON with a column more: the score
            of its document, or a list of scores where the row has a list of documents
            or several columns of them. That is what a smaller reranker is distilled
            from, so scores are raw by default, whatever the model's own activation
            function is; --activation sigmoid gives probabilities.

            All rows are checked before the first is scored. Pairs that are too long for
            the model, or for --max-length, are truncated, and counted. Memory does not
            grow with the table.

            Lines appear in a hidden file beside --output, which gets its name once all
            rows are there. --resume continues a killed run behind its last whole line,
            and the file is the same in the end; another model, other data or options
            are refused. With --shard i/n, n calls score consecutive parts, whose files
            one after the other are that of a single call.

            Examples:

              ettin score reranker pairs.jsonl -o labeled.jsonl
              ettin score cross-encoder/ettin-reranker-1b pairs.parquet \\
                --columns question,answer --max-length 512 --resume -o scores.jsonl
              ettin score reranker lists.jsonl --columns query,positive,negatives \\
                --column scores --shard 0/4 -o scores-0.jsonl
            """
    )

    @OptionGroup var model: ModelArgument

    @Argument(
        help: ArgumentHelp(
            "Rows to score: a .jsonl, .csv, .tsv, .parquet or .arrow file, a folder of them, or "
                + "owner/name[:config][:split] on the Hub.",
            valueName: "file"
        ),
        completion: .file()
    )
    var data: String

    @Option(
        help: ArgumentHelp(
            "Column of the queries, then those of the documents, separated by commas (default: the first two).",
            valueName: "names"
        )
    )
    var columns: CommaList<String>?

    @Option(help: ArgumentHelp("Column to add.", valueName: "name"))
    var column = "label"

    @Flag(help: "Replace a column of that name, such as the labels of ettin mine-negatives.")
    var replace = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Output file, .jsonl; - for standard output.", valueName: "file"),
        completion: .file()
    )
    var output = "-"

    @Flag(help: "Continue an unfinished --output behind its last whole line.")
    var resume = false

    @Option(help: ArgumentHelp("Part of the rows to score, from 0/n to n-1/n.", valueName: "i/n"))
    var shard = "0/1"

    @Option(help: "Activation function: identity for raw scores, or sigmoid.")
    var activation = Rerank.ScoreActivation.identity

    @Option(help: ArgumentHelp("Prompt to prepend to each query.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts to prepend to each query.", valueName: "name"))
    var promptName: String?

    @Option(
        help: ArgumentHelp(
            "Maximum number of tokens per pair, including special tokens (default: the model's).",
            valueName: "count"
        )
    )
    var maxLength: Int?

    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    private var writesFile: Bool { output != "-" }

    func validate() throws {
        if prompt != nil, promptName != nil { throw ValidationError("--prompt and --prompt-name cannot be combined") }
        if writesFile, !output.hasSuffix(".jsonl") {
            throw ValidationError("--output is \"\(output)\"; expected a name ending in .jsonl, or -")
        }
        if !writesFile, json.isOn { throw ValidationError("--json prints a summary and needs --output") }
        if !writesFile, resume { throw ValidationError("--resume continues a file and needs --output") }
        if let maxLength, maxLength < 1 { throw ValidationError("--max-length is \(maxLength); expected 1 or more") }
        if column.isEmpty { throw ValidationError("--column is empty; expected a name") }
        if let columns, columns.elements.count < 2 || columns.elements.contains("") {
            throw ValidationError("--columns needs a column of queries and one or more of documents")
        }
        _ = try jobPart(shard)
    }

    func run() throws {
        if writesFile {
            try AtomicFile.checkPlace(output)
            try refuseInput()
        }
        let table = try ScoringTable(
            FineTuningData.table([data]),
            columns: columns?.elements,
            label: column,
            replacesLabel: replace,
            part: jobPart(shard)
        )
        for name in table.omittedColumns {
            Diagnostics.note("note: column \(quoted(name)) is not copied; it holds objects, bytes or dates")
        }
        let content = try table.check()
        let folder = try model.folder()
        let options = try compute.prepare()
        let pipeline = try RerankingPipeline(folder: folder, options: options)
        pipeline.notices.forEach(Diagnostics.note)
        var scoring = try TableScoring(pipeline, maxTokens: maxLength)
        scoring.activation = activation.function
        scoring.prompt = prompt.map { .text($0) } ?? promptName.map { .named($0) } ?? .default
        scoring.maxBatchTokens = batches.maxBatchTokens
        let file = try writesFile ? scoreFile(table, content, folder, options) : nil
        if let file, file.isComplete {
            Diagnostics.note("\(output) is already complete: \(table.rows.count) rows")
            return try report(.init(), content, table, keptRows: table.rows.count, isComplete: true, seconds: 0)
        }
        if let file, file.keptRows > 0 {
            Diagnostics.note("resuming behind row \(file.keptRows) of \(table.rows.count)")
        }
        let progress = ProgressReport()
        defer { progress.finish() }
        let begin = ContinuousClock.now
        func score(_ write: ([UInt8]) throws -> Void) throws -> TableScoring.Progress {
            try scoring(
                table,
                keptRows: file?.keptRows ?? 0,
                progress: { done in
                    let rate = Double(done.scoredPairs) / max(1e-9, (ContinuousClock.now - begin) / .seconds(1))
                    let left = ProgressReport.time(Double(content.pairCount - done.pairs) / max(1e-9, rate))
                    progress.update(
                        "pairs scored, \(rate.rounded(toPlaces: 1)) pairs/s, \(left) left",
                        done: done.pairs,
                        of: content.pairCount
                    )
                },
                write: write
            )
        }
        var done = TableScoring.Progress()
        if let file {
            do { done = try score(file.append) } catch {
                file.removeUnlessBegun()
                throw error
            }
            try file.finish()
        } else {
            try StandardOutput.write { output in done = try score { try output.line(utf8: $0.dropLast()) } }
        }
        progress.finish()
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        try report(done, content, table, keptRows: file?.keptRows ?? 0, isComplete: false, seconds: seconds)
    }

    /// That the output replaces none of the data.
    private func refuseInput() throws {
        guard FilePath.exists(output) else { return }
        let (input, output) = (RelativeLink.resolved(data), RelativeLink.resolved(output))
        guard output == input || output.hasPrefix(input + "/") else { return }
        throw ValidationError("--output is \(self.output), a file of the data; expected another")
    }

    /// The file, with what its lines depend on.
    private func scoreFile(
        _ table: ScoringTable,
        _ content: ScoringTable.Content,
        _ folder: String,
        _ options: ComputeOptions
    ) throws -> ScoreFile {
        let header: JSONObject = [
            "columns": .array(table.columnNames.map(JSONValue.string)), "column": .string(column),
            "shard": .string(shard), "activation": .string(activation.rawValue),
            "prompt": prompt.map(JSONValue.string) ?? .null, "prompt_name": promptName.map(JSONValue.string) ?? .null,
            "max_length": maxLength.map { JSONValue($0) } ?? .null,
            "max_batch_tokens": JSONValue(batches.maxBatchTokens),
            "dtype": options.dtype.map { .string($0.rawValue) } ?? .null, "device": .string("\(options.device)"),
            // After the options, which say why the rest differs.
            "model": .string(try MiningCache.fingerprint(ofFolder: folder)), "data": .string(content.fingerprint),
        ]
        return try ScoreFile(path: output, header: header, rowCount: table.rows.count, resumes: resume)
    }

    private func report(
        _ done: TableScoring.Progress,
        _ content: ScoringTable.Content,
        _ table: ScoringTable,
        keptRows: Int,
        isComplete: Bool,
        seconds: Double
    ) throws {
        let rate = seconds > 0 ? Double(done.scoredPairs) / seconds : 0
        if done.truncatedPairs > 0 {
            Diagnostics.note("truncated \(done.truncatedPairs) of \(done.scoredPairs) pairs")
        }
        if !isComplete {
            let place = writesFile ? " to \(output)" : ""
            Diagnostics.note(
                "wrote \(table.rows.count - keptRows) rows\(place): \(done.scoredPairs) pairs scored, "
                    + "\(rate.rounded(toPlaces: 1)) pairs/s"
            )
        }
        guard json.isOn else { return }
        try StandardOutput.write(
            document: [
                "output": .string(output), "column": .string(column), "shard": .string(shard),
                "rows": JSONValue(table.rows.count), "pairs": JSONValue(content.pairCount),
                "scored_pairs": JSONValue(done.scoredPairs), "truncated_pairs": JSONValue(done.truncatedPairs),
                "seconds": JSONValue((seconds * 1000).rounded() / 1000),
                "pairs_per_second": JSONValue((rate * 10).rounded() / 10),
            ]
        )
    }
}
