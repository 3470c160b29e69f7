public import ArgumentParser
public import EttinInference
import EttinJSON

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The command `ettin tag`.
struct Tag: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find and label parts of texts.",
        discussion: """
            Prints each text with its entities marked: in colour on a terminal, as
            [Paris](LOC) elsewhere or when NO_COLOR is set. With --json, prints one
            list per text: "entity_group", "score", "word", "start" and "end", or
            "entity" and "index" of each token with --aggregation-strategy none.
            Offsets count characters (Unicode scalars), as in Python.

            With --context, and --question if the model saw one, the texts are
            answers drawn from it: the parts it does not support are marked. A line of
            a .jsonl file can bring its own: {"text": …, "context": …, "question": …}.

            Examples:

              ettin tag tagger "Ada met Orion in Paris."
              ettin tag tagger --input long.txt --stride 128 --json
              ettin tag checker "It has 70 rooms." --context "The house has 7 rooms."
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Option(help: "How labels of tokens become entities: none, simple, first, average or max.")
    var aggregationStrategy = TokenClassificationPipeline.AggregationStrategy.simple

    @Option(help: ArgumentHelp("Tag long texts in windows that share this number of tokens.", valueName: "count"))
    var stride: Int?

    @Option(help: ArgumentHelp("Labels to leave out (default: O; with --context the first one).", valueName: "a,b,c"))
    var ignoreLabels: CommaList<String>?

    @Option(help: ArgumentHelp("Source that the texts are answers from.", valueName: "text"))
    var context: String?

    @Option(help: ArgumentHelp("Question that the texts answer.", valueName: "text"))
    var question: String?

    @OptionGroup var truncation: TruncationOptions
    @OptionGroup var batches: BatchOptions
    @OptionGroup var compute: ModelOptions
    @OptionGroup var json: JSONOption

    func validate() throws {
        if let stride {
            if stride < 0 { throw ValidationError("--stride is \(stride); expected 0 or more") }
            if aggregationStrategy == .none {
                throw ValidationError(
                    "--stride cannot be combined with --aggregation-strategy none; expected simple, first, average or max"
                )
            }
            if context != nil { throw ValidationError("--stride and --context cannot be combined") }
            if truncation.truncate { throw ValidationError("--stride and --truncate cannot be combined") }
        }
        if question != nil, context == nil { throw ValidationError("--question needs --context") }
    }

    func run() throws {
        let folder = try model.folder()
        let (texts, answers) = try textsAndAnswers()
        let pipeline = try TokenClassificationPipeline(folder: folder, options: compute.prepare())
        pipeline.notices.forEach(Diagnostics.note)
        let rule = truncation.rule(for: pipeline.tokenizer)
        let ignored = ignoreLabels.map { Set($0.elements) }
        let results =
            if let answers {
                try pipeline(
                    answers,
                    strategy: aggregationStrategy,
                    ignoredLabels: ignored,
                    overlong: rule,
                    maxBatchTokens: batches.maxBatchTokens
                )
            } else {
                try pipeline(
                    texts,
                    strategy: aggregationStrategy,
                    ignoredLabels: ignored ?? ["O"],
                    stride: stride,
                    overlong: rule,
                    maxBatchTokens: batches.maxBatchTokens
                )
            }
        truncation.report(results.map(\.isTruncated))
        let marks = EntityMarks(isColored: isatty(1) == 1 && getenv("NO_COLOR") == nil)
        try StandardOutput.write { output in
            for (text, result) in zip(texts, results) {
                try json.isOn
                    ? output.line(.array(result.entities.map(document)))
                    : output.line(marks.marked(text, result.entities))
            }
        }
    }

    /// The texts, and with what they were drawn from where that is given.
    private func textsAndAnswers() throws -> ([String], [TokenClassificationPipeline.GroundedAnswer]?) {
        let lines = try input.records()
        guard let records = lines, let first = records.first(where: { $0.has("context") }) else {
            if let record = lines?.first(where: { $0.has("question") }) {
                throw record.error("has \"question\" and no \"context\"", expected: "both, or the text alone")
            }
            let texts = try lines?.map { try $0.text("text") } ?? input.all()
            guard let context else { return (texts, nil) }
            let answers = texts.map {
                TokenClassificationPipeline.GroundedAnswer($0, context: context, question: question)
            }
            return (texts, answers)
        }
        if context != nil {
            throw first.error("has \"context\" beside --context", expected: "one of the two")
        }
        if stride != nil {
            throw first.error("has \"context\"", expected: "texts alone, for --stride")
        }
        let answers = try records.map { record in
            TokenClassificationPipeline.GroundedAnswer(
                try record.text("text"),
                context: try record.text("context"),
                question: try record.optionalText("question")
            )
        }
        return (answers.map(\.answer), answers)
    }

    /// The keys are those of transformers' pipeline.
    private func document(of entity: TokenClassificationPipeline.Entity) -> JSONValue {
        var object: JSONObject = [
            (entity.index == nil ? "entity_group" : "entity"): .string(entity.label),
            "score": JSONValue(entity.score),
        ]
        if let index = entity.index { object["index"] = JSONValue(index) }
        object["word"] = .string(entity.word)
        object["start"] = JSONValue(entity.start)
        object["end"] = JSONValue(entity.end)
        return .object(object)
    }
}

extension TokenClassificationPipeline.AggregationStrategy: ExpressibleByArgument {}

/// Marks entities in a text.
struct EntityMarks {
    let isColored: Bool

    /// The colours of labels, by the order in which they occur.
    private static let colors = [36, 33, 35, 32, 34, 31]

    /// The text on one line with each entity and its label.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - entities: Entities in the order of the text; one that begins within another is passed over.
    /// - Returns: The line.
    func marked(_ text: String, _ entities: [TokenClassificationPipeline.Entity]) -> String {
        var result = ""
        var labels: [String] = []
        var position = text.startIndex
        for entity in entities where entity.range.lowerBound >= position && !entity.range.isEmpty {
            result += String(text[position..<entity.range.lowerBound]).onOneLine
            let part = String(text[entity.range])
            // Tokens hold the blank before a word, which is no part of its name.
            let leading = part.prefix { $0 == " " }
            let blanks = leading.count < part.count ? leading : ""
            let name = String(part.dropFirst(blanks.count)).onOneLine
            if !labels.contains(entity.label) { labels.append(entity.label) }
            let color = Self.colors[(labels.firstIndex(of: entity.label) ?? 0) % Self.colors.count]
            result +=
                isColored
                ? "\(blanks)\u{1B}[1;\(color)m\(name)\u{1B}[0m \u{1B}[2;\(color)m\(entity.label)\u{1B}[0m"
                : "\(blanks)[\(name)](\(entity.label))"
            position = entity.range.upperBound
        }
        return result + String(text[position...]).onOneLine
    }
}
