import ArgumentParser
import EttinInference
import EttinJSON

/// The command `ettin generate`.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Generate text with a decoder.",
        discussion: """
            Prints the continuation of each text, without the text itself. Defaults
            come from the model's generation_config.json; without do_sample there,
            decoding is greedy unless --temperature is above 0. A line on standard
            error says which values are used and where they come from.

            SIGINT and SIGTERM end generation after the token and exit with 130.

            Examples:

              ettin generate decoder "Once upon a time" --max-new-tokens 50
              ettin generate decoder "Once upon a time" --stream \\
                --temperature 0.8 --top-p 0.95 --seed 7
              ettin generate decoder --input prompts.txt --json --stop "."
              ettin generate assistant --messages conversations.jsonl
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("Text to continue, in place of an argument.", valueName: "text"))
    var prompt: String?

    @Option(
        help: ArgumentHelp(
            "Conversations to answer, {\"messages\": [{\"role\": …, \"content\": …}]} or the list alone per line; prints "
                + "JSON Lines.",
            valueName: "file"
        ),
        completion: .file()
    )
    var messages: String?

    @OptionGroup var chat: ChatOptions

    @OptionGroup var sampling: SamplingOptions

    @Flag(help: "Print text as it is generated; with --json, objects with \"prompt\" and \"piece\" come first.")
    var stream = false

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of texts to continue at once.", valueName: "count"))
    var batchSize = 8

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if prompt != nil, !input.texts.isEmpty || input.input != nil {
            throw ValidationError("--prompt cannot be combined with texts as arguments or --input")
        }
        if messages != nil, prompt != nil || !input.texts.isEmpty || input.input != nil {
            throw ValidationError("--messages cannot be combined with texts, --prompt or --input")
        }
        if messages != nil, stream { throw ValidationError("--messages cannot be combined with --stream") }
        if messages == nil, let option = chat.given { throw ValidationError("\(option) needs --messages") }
        if batchSize < 1 { throw ValidationError("--batch-size is \(batchSize); expected 1 or more") }
    }

    func run() throws {
        let folder = try model.folder()
        if let messages { return try answer(messages, folder) }
        let prompts = try prompt.map { [$0] } ?? input.all()
        if stream, !json.isOn, prompts.count > 1 {
            throw ValidationError("--stream is for one text, and there are \(prompts.count); --json tells them apart")
        }
        let generator = try TextGenerationPipeline(
            folder: folder,
            options: compute.prepare(),
            usesGenerationConfiguration: sampling.generationConfig
        )
        generator.notices.forEach(Diagnostics.note)
        let options = sampling.applied(to: generator.defaultOptions)
        if options.temperature == 0, sampling.shapesDrawing {
            Diagnostics.note("--top-k, --top-p, --min-p and --seed have no effect without a --temperature above 0")
        }
        Diagnostics.note(sampling.summary(of: options, generator.configuration))
        try StandardOutput.write { output in
            let results = try Interruption.draining {
                try generator.generate(
                    prompts,
                    options: options,
                    overlong: truncation.rule(for: generator.tokenizer),
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

    /// Answers the conversations of a file.
    private func answer(_ file: String, _ folder: String) throws {
        let format = try chat.format(folder: folder)
        let texts = try Conversation.all(file).map { try format.text(of: $0) }
        let generator = try TextGenerationPipeline(
            folder: folder,
            options: compute.prepare(),
            usesGenerationConfiguration: sampling.generationConfig
        )
        generator.notices.forEach(Diagnostics.note)
        let asked = sampling.applied(to: generator.defaultOptions)
        Diagnostics.note(sampling.summary(of: asked, generator.configuration))
        let options = format.ending(asked, generator)
        let overlong = truncation.rule(for: generator.tokenizer)
        let results = try Interruption.draining {
            try generator.generate(
                from: generator.preparer.prepare(rendered: texts, overlong: overlong),
                options: options,
                batchSize: batchSize,
                shouldStop: { Interruption.isRequested }
            )
        }
        truncation.report(results.map(\.isTruncated))
        try StandardOutput.write { output in
            for (text, result) in zip(texts, results) {
                var line = document(of: result, text).objectValue ?? [:]
                line["message"] = ["role": "assistant", "content": .string(result.text)]
                try output.line(.object(line))
            }
        }
    }

    private func show(_ piece: String, of prompt: Int, _ output: StandardOutput) throws {
        guard json.isOn else { return try output.piece(piece) }
        let event: JSONValue = ["prompt": JSONValue(prompt), "piece": .string(piece)]
        try output.piece("\(event.text())\n")
    }

    private func document(of result: TextGenerationPipeline.Result, _ prompt: String) -> JSONValue {
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
