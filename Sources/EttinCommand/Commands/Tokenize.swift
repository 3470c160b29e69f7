import ArgumentParser
import EttinJSON
import EttinTokenizer

/// The command `ettin tokenize`.
struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn texts into tokens, or ids into texts.",
        discussion: """
            Prints the tokens of each text on one line, in the byte alphabet of the
            tokenizer (Ġ is a space). With --json, one object per text: "ids",
            "tokens" and "offsets", which count characters.

            Examples:

              ettin tokenize encoder "The capital of France is [MASK]."
              ettin tokenize encoder --input texts.txt --json > tokens.jsonl
              ettin tokenize encoder --decode "1 302 17 2"
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Flag(inversion: .prefixedNo, help: "Add the model's special tokens; with --decode, keep them.")
    var specialTokens = true

    @Flag(help: "Print ids instead of tokens.")
    var ids = false

    @Flag(help: "Read ids, such as \"1 17 2\" or \"[1, 17, 2]\", and print their text.")
    var decode = false

    @OptionGroup var json: JSONOption

    func validate() throws {
        if ids, decode { throw ValidationError("--ids and --decode exclude each other") }
        if ids, json.isOn { throw ValidationError("--ids and --json exclude each other; --json has the ids") }
    }

    func run() throws {
        let tokenizer = try Tokenizer(folder: model.folder(files: .tokenizer))
        tokenizer.notices.forEach(Diagnostics.note)
        try StandardOutput.write { output in
            try input.forEach { text in
                try decode ? printText(of: text, tokenizer, output) : printTokens(of: text, tokenizer, output)
            }
        }
    }

    private func printTokens(of text: String, _ tokenizer: Tokenizer, _ output: StandardOutput) throws {
        let encoding = tokenizer.encode(text, addSpecialTokens: specialTokens)
        guard json.isOn else {
            return try output.line((ids ? encoding.ids.map(String.init) : encoding.tokens).joined(separator: " "))
        }
        try output.line([
            "ids": JSONValue(encoding.ids),
            "tokens": .array(encoding.tokens.map(JSONValue.string)),
            "offsets": .array(encoding.offsets.map { [JSONValue($0.lowerBound), JSONValue($0.upperBound)] }),
        ])
    }

    private func printText(of line: String, _ tokenizer: Tokenizer, _ output: StandardOutput) throws {
        let ids = try tokenizer.ids(parsing: line)
        let text = tokenizer.decode(ids, skipSpecialTokens: !specialTokens)
        try json.isOn ? output.line(["ids": JSONValue(ids), "text": .string(text)]) : output.line(text)
    }
}

extension JSONValue {
    /// A list of numbers.
    init(_ values: some Sequence<some BinaryInteger>) {
        self = .array(values.map { .number(JSONNumber($0)) })
    }
}
