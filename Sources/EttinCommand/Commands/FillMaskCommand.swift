import ArgumentParser
import EttinInference
import EttinJSON

/// The command `ettin fill-mask`.
struct FillMaskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fill-mask",
        abstract: "Predict the masked tokens of texts.",
        discussion: """
            Prints probability, token and completed text for each prediction, most
            likely first. With --json, prints one object per text.

            Examples:

              ettin fill-mask encoder "The capital of France is [MASK]."
              ettin fill-mask encoder --input texts.txt --top-k 1 --json
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of predictions per mask.", valueName: "count"))
    var topK = 5

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if topK < 1 { throw ValidationError("--top-k is \(topK); expected 1 or more") }
    }

    func run() throws {
        let folder = try model.folder()
        let texts = try input.all()
        let fillMask = try FillMaskPipeline(folder: folder, options: compute.prepare())
        fillMask.notices.forEach(Diagnostics.note)
        let results = try fillMask(
            texts,
            topK: topK,
            overlong: truncation.rule(for: fillMask.tokenizer),
            maxBatchTokens: batches.maxBatchTokens
        )
        truncation.report(results.map(\.isTruncated))
        try StandardOutput.write { output in
            for result in results { try json.isOn ? output.line(document(of: result)) : printLines(result, output) }
        }
    }

    private func printLines(_ result: FillMaskPipeline.Result, _ output: StandardOutput) throws {
        for prediction in result.masks.joined() {
            let token = JSONValue.string(prediction.text).text()
            // A predicted line feed must not begin a line of its own.
            let text = prediction.sequence.split(separator: "\n", omittingEmptySubsequences: false)
                .joined(separator: "\\n")
            try output.line("\(prediction.score.rounded(toPlaces: 4))  \(token.padded(to: 16))  \(text)")
        }
    }

    /// The keys are those of transformers' pipeline.
    private func document(of result: FillMaskPipeline.Result) -> JSONValue {
        let masks = result.masks.map { predictions -> JSONValue in
            .array(
                predictions.map { prediction -> JSONValue in
                    [
                        "score": JSONValue(prediction.score),
                        "token": JSONValue(Int(prediction.tokenID)),
                        "token_str": .string(prediction.text),
                        "sequence": .string(prediction.sequence),
                    ]
                }
            )
        }
        return ["masks": .array(masks), "truncated": .bool(result.isTruncated)]
    }
}

extension Double {
    /// The number with exactly so many digits behind the point, for numbers from 0 up; NaN, infinite and huge ones as
    /// Swift spells them.
    func rounded(toPlaces places: Int) -> String {
        var scale = 1
        for _ in 0..<places { scale *= 10 }
        guard let units = Int(exactly: (self * Double(scale)).rounded()), units >= 0 else { return "\(self)" }
        let fraction = String(units % scale)
        return "\(units / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
    }
}
