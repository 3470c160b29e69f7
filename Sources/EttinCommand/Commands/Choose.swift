import ArgumentParser
import EttinInference
import EttinJSON

/// The command `ettin choose`.
struct Choose: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Choose among answers.",
        discussion: """
            Prints the probability, number and text of each choice, most probable first.
            With --json, prints "choice", the number of the most probable one from 0,
            and the "scores" of all in their order.

            Without a prompt, reads {"prompt": …, "choices": […]} per line from --input
            or standard input.

            Examples:

              ettin choose chooser "She opens the door and" "walks in." "sings it."
              ettin choose chooser --input prompts.jsonl --json
            """
    )

    @OptionGroup var model: ModelArgument

    @Argument(help: "Prompt; reads JSON Lines if there is none, or for -.")
    var prompt: String?

    @Argument(help: "Choices, at least two.")
    var choices: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Input file: one {\"prompt\": …, \"choices\": […]} per line.", valueName: "file"),
        completion: .file()
    )
    var input: String?

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        guard let prompt, prompt != "-" else { return }
        if input != nil { throw ValidationError("a prompt is given both as argument and with --input") }
        if choices.count < 2 {
            let found = choices.isEmpty ? "no choices are" : "one choice is"
            throw ValidationError("\(found) given; expected at least two")
        }
    }

    func run() throws {
        let folder = try model.folder()
        let inputs = try inputs()
        let pipeline = try MultipleChoicePipeline(folder: folder, options: compute.prepare())
        pipeline.notices.forEach(Diagnostics.note)
        let results = try pipeline(
            inputs,
            overlong: truncation.rule(for: pipeline.tokenizer),
            maxBatchTokens: batches.maxBatchTokens
        )
        truncation.report(results.map(\.isTruncated))
        try StandardOutput.write { output in
            for (input, result) in zip(inputs, results) {
                guard !json.isOn else {
                    try output.line([
                        "choice": JSONValue(result.choice), "scores": .array(result.scores.map { JSONValue($0) }),
                    ])
                    continue
                }
                if inputs.count > 1 { try output.line(input.prompt.onOneLine) }
                for index in result.scores.ranked() {
                    let number = "\(index)".padded(to: 4)
                    try output.line("\(result.scores[index].shown)  \(number)  \(input.choices[index].onOneLine)")
                }
            }
        }
    }

    private func inputs() throws -> [MultipleChoicePipeline.Input] {
        if let prompt, prompt != "-" { return [MultipleChoicePipeline.Input(prompt, choices: choices)] }
        let expected = "{\"prompt\": …, \"choices\": […]}"
        return try Record.all(input ?? "-", expected: expected).map { record in
            let choices = try record.texts("choices")
            guard choices.count > 1 else { throw record.error("\"choices\" has one choice", expected: "at least two") }
            return MultipleChoicePipeline.Input(try record.text("prompt"), choices: choices)
        }
    }
}
