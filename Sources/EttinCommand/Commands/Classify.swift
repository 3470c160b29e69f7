public import ArgumentParser
public import EttinInference
import EttinJSON
import EttinTokenizer

/// The command `ettin classify`.
struct Classify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Classify texts and pairs of texts.",
        discussion: """
            Prints score and label of each class, highest first. With --json, prints one
            list of "label" and "score" per text.

            A line {"text": …, "text_pair": …} of a .jsonl file is a pair, as premise and
            hypothesis. Scores are probabilities that sum to 1, or one for each label
            when the model may give several; a regression gives its number.

            With --labels, a model of natural language inference classifies by labels
            of your own, and --json prints "sequence", "labels" and "scores".

            Examples:

              ettin classify classifier "A joy from start to end."
              ettin classify classifier --input pairs.jsonl --top-k 1 --json
              ettin classify nli "The keeper saved two." --labels "sport,politics"
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Option(help: ArgumentHelp("Number of labels to print per text (default: all).", valueName: "count"))
    var topK: Int?

    @Option(help: "How logits become scores: sigmoid, softmax or none (default: from the model's problem type).")
    var activation: TextClassificationPipeline.Function?

    @Option(help: ArgumentHelp("Labels of your own for zero-shot classification.", valueName: "a,b,c"))
    var labels: String?

    @Option(help: ArgumentHelp("Sentence with {} in the label's place.", valueName: "text"))
    var hypothesisTemplate: String?

    @Flag(help: "Score each of --labels alone; several can be right.")
    var multiLabel = false

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    private var candidateLabels: [String]? {
        labels?.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed() }
    }

    func validate() throws {
        if let topK, topK < 1 { throw ValidationError("--top-k is \(topK); expected 1 or more") }
        if let candidateLabels {
            if candidateLabels.contains("") { throw ValidationError("--labels has an empty label") }
            if activation != nil { throw ValidationError("--labels and --activation cannot be combined") }
        } else if hypothesisTemplate != nil {
            throw ValidationError("--hypothesis-template needs --labels")
        } else if multiLabel {
            throw ValidationError("--multi-label needs --labels")
        }
        if let hypothesisTemplate, !hypothesisTemplate.contains("{}") {
            throw ValidationError(
                "--hypothesis-template is \"\(hypothesisTemplate)\"; expected a sentence with {} in the label's place"
            )
        }
    }

    func run() throws {
        let folder = try model.folder()
        let inputs = try input.textsAndPairs()
        if candidateLabels != nil, let index = inputs.firstIndex(where: { $0.textPair != nil }) {
            throw ValidationError("text \(index + 1) is a pair; expected one text each, for --labels")
        }
        let pipeline = try TextClassificationPipeline(folder: folder, options: compute.prepare())
        pipeline.notices.forEach(Diagnostics.note)
        let rule = truncation.rule(for: pipeline.tokenizer)
        let results =
            if let candidateLabels {
                try pipeline.zeroShot(
                    inputs.map(\.text),
                    candidateLabels: candidateLabels,
                    hypothesisTemplate: hypothesisTemplate ?? TextClassificationPipeline.defaultHypothesisTemplate,
                    multiLabel: multiLabel,
                    overlong: rule,
                    maxBatchTokens: batches.maxBatchTokens
                )
            } else {
                try pipeline(
                    inputs,
                    function: activation,
                    overlong: rule,
                    maxBatchTokens: batches.maxBatchTokens
                )
            }
        truncation.report(results.map(\.isTruncated))
        try StandardOutput.write { output in
            for (input, result) in zip(inputs, results) {
                let labels = result.labels.prefix(topK ?? .max)
                if json.isOn {
                    try output.line(document(input, labels))
                } else {
                    if inputs.count > 1 { try output.line(input.shown) }
                    for label in labels { try output.line("\(label.score.shown)  \(label.label)") }
                }
            }
        }
    }

    /// The keys are those of transformers' pipelines.
    private func document(
        _ input: TextClassificationPipeline.Input,
        _ labels: ArraySlice<TextClassificationPipeline.LabelScore>
    ) -> JSONValue {
        guard candidateLabels == nil else {
            return [
                "sequence": .string(input.text),
                "labels": .array(labels.map { .string($0.label) }),
                "scores": .array(labels.map { JSONValue($0.score) }),
            ]
        }
        return .array(labels.map { ["label": .string($0.label), "score": JSONValue($0.score)] })
    }
}

extension TextClassificationPipeline.Function: ExpressibleByArgument {}

extension TextClassificationPipeline.Input {
    fileprivate var shown: String { ([text] + (textPair.map { [$0] } ?? [])).map(\.onOneLine).joined(separator: " | ") }
}

extension Substring {
    /// The text without blanks at both ends.
    fileprivate func trimmed() -> String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
