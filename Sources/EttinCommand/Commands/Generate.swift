import ArgumentParser
import EttinInference
import EttinJSON

/// The command `ettin generate`.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Continue texts with a decoder.",
        discussion: """
            Prints the continuation of each text, without the text itself. Options
            that are not given are those of the model's generation_config.json; the
            most probable token is taken unless there is a temperature above 0.

            SIGINT and SIGTERM end generation after the token and exit with 130.

            Examples:

              ettin generate decoder "Once upon a time" --max-new-tokens 50
              ettin generate decoder "Once upon a time" --stream \\
                --temperature 0.8 --top-p 0.95 --seed 7
              ettin generate decoder --input prompts.txt --json --stop "."
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions
    @OptionGroup var sampling: SamplingOptions

    @Flag(help: "Print text as it is generated; with --json, objects with \"prompt\" and \"piece\" come first.")
    var stream = false

    @Option(parsing: .unconditional, help: ArgumentHelp("Texts to continue at once.", valueName: "count"))
    var batchSize = 8

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if batchSize < 1 { throw ValidationError("--batch-size is \(batchSize); expected 1 or more") }
    }

    func run() throws {
        let folder = try model.folder()
        let prompts = try input.all()
        if stream, !json.isOn, prompts.count > 1 {
            throw ValidationError("--stream is for one text, and there are \(prompts.count); --json tells them apart")
        }
        let generator = try TextGenerator(folder: folder, options: compute.prepare())
        let options = sampling.applied(to: generator.defaultOptions)
        if options.temperature == 0, sampling.shapesDrawing {
            Diagnostics.note("--top-k, --top-p and --seed have no effect without a --temperature above 0")
        }
        try StandardOutput.write { output in
            let results = try Interruption.draining {
                try generator.generate(
                    prompts,
                    options: options,
                    overlong: truncation.rule,
                    batchSize: batchSize,
                    onText: stream ? { prompt, piece in try show(piece, of: prompt, output) } : nil,
                    shouldStop: { Interruption.isRequested }
                )
            }
            truncation.report(results.map(\.isTruncated))
            for (prompt, result) in zip(prompts, results) {
                try json.isOn
                    ? output.line(document(of: result, prompt))
                    : output.line(stream ? "" : result.text)
            }
        }
    }

    private func show(_ piece: String, of prompt: Int, _ output: StandardOutput) throws {
        guard json.isOn else { return try output.piece(piece) }
        let event: JSONValue = ["prompt": JSONValue(prompt), "piece": .string(piece)]
        try output.piece("\(event.text())\n")
    }

    private func document(of result: TextGenerator.Result, _ prompt: String) -> JSONValue {
        [
            "prompt": .string(prompt),
            "text": .string(result.text),
            "token_ids": JSONValue(result.tokenIDs),
            "finish_reason": .string(result.finishReason.rawValue),
            "prompt_tokens": JSONValue(result.promptTokenCount),
            "truncated": .bool(result.isTruncated),
        ]
    }
}
