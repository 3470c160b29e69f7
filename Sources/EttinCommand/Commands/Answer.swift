import ArgumentParser
import EttinInference
import EttinJSON
import EttinTokenizer

/// The command `ettin answer`.
struct Answer: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find the answers to questions in texts.",
        discussion: """
            Prints score, place and text of each answer, best first. With --json, prints
            "score", "start", "end" and "answer" per question, in a list if --top-k is
            above 1. Places count characters (Unicode scalars), as in Python. Contexts
            too long for the model are read in windows.

            Without --question, reads {"question": …, "context": …} per line from
            --input or standard input. Without --context, reads the context from there.

            Examples:

              ettin answer qa --question "Where is Ada?" --context "Ada is in Paris."
              ettin answer qa --question "Who wrote it?" < chapter.txt
              ettin answer qa --input questions.jsonl --top-k 3 --json
            """
    )

    @OptionGroup var model: ModelArgument

    @Option(help: ArgumentHelp("Question to answer.", valueName: "text"))
    var question: String?

    @Option(help: ArgumentHelp("Text that may hold the answer.", valueName: "text"))
    var context: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Input file: the context if --question is given, else JSON Lines of questions and contexts.",
            valueName: "file"
        ),
        completion: .file()
    )
    var input: String?

    @Option(help: ArgumentHelp("Number of answers per question.", valueName: "count"))
    var topK = 1

    @Option(help: ArgumentHelp("Maximum number of tokens of an answer.", valueName: "count"))
    var maxAnswerLength = QuestionAnsweringPipeline.defaultMaxAnswerLength

    @Option(
        help: ArgumentHelp("Number of tokens that windows share (default: 128, or half a window).", valueName: "count")
    )
    var stride: Int?

    @Option(help: ArgumentHelp("Maximum number of tokens per window (default: the model's).", valueName: "count"))
    var maxLength: Int?

    @Flag(help: "Let \"no answer\" be one of the answers: an empty text.")
    var handleImpossibleAnswer = false

    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if topK < 1 { throw ValidationError("--top-k is \(topK); expected 1 or more") }
        if maxAnswerLength < 1 {
            throw ValidationError("--max-answer-length is \(maxAnswerLength); expected 1 or more")
        }
        if let stride, stride < 0 { throw ValidationError("--stride is \(stride); expected 0 or more") }
        if let maxLength, maxLength < 1 { throw ValidationError("--max-length is \(maxLength); expected 1 or more") }
        if context != nil, question == nil { throw ValidationError("--context needs --question") }
        if context != nil, input != nil { throw ValidationError("--context and --input cannot be combined") }
    }

    func run() throws {
        let folder = try model.folder()
        let inputs = try inputs()
        let pipeline = try QuestionAnsweringPipeline(folder: folder, options: compute.prepare())
        pipeline.notices.forEach(Diagnostics.note)
        let results = try pipeline(
            inputs,
            topK: topK,
            maxAnswerLength: maxAnswerLength,
            handlesImpossibleAnswer: handleImpossibleAnswer,
            stride: stride,
            maxLength: maxLength,
            maxBatchTokens: batches.maxBatchTokens
        )
        try StandardOutput.write { output in
            for (input, result) in zip(inputs, results) {
                if json.isOn {
                    let answers = result.answers.map(document)
                    try output.line(topK == 1 ? answers.first ?? .null : .array(answers))
                } else {
                    if inputs.count > 1 { try output.line(input.question.onOneLine) }
                    for answer in result.answers {
                        let place = "\(answer.start)–\(answer.end)".padded(to: 9)
                        try output.line("\(answer.score.shown)  \(place)  \(answer.text.onOneLine)")
                    }
                }
            }
        }
    }

    /// The keys are those of transformers' pipeline.
    private func document(of answer: QuestionAnsweringPipeline.Answer) -> JSONValue {
        [
            "score": JSONValue(answer.score), "start": JSONValue(answer.start), "end": JSONValue(answer.end),
            "answer": .string(answer.text),
        ]
    }

    private func inputs() throws -> [QuestionAnsweringPipeline.Input] {
        guard let question else {
            let expected = "{\"question\": …, \"context\": …}"
            return try Record.all(input ?? "-", expected: expected).map { record in
                QuestionAnsweringPipeline.Input(try record.text("question"), context: try record.text("context"))
            }
        }
        if let context { return [QuestionAnsweringPipeline.Input(question, context: context)] }
        let path = input ?? "-"
        let text = try TextReader.whole(path)
        guard !text.isEmpty else { throw NoTexts(source: path == "-" ? "standard input" : path) }
        return [QuestionAnsweringPipeline.Input(question, context: text)]
    }
}
