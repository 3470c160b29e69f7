import ArgumentParser
import EttinJSON
import EttinTokenizer

/// The command `ettin tokenize`.
struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tokenize texts, or decode ids.",
        discussion: """
            Prints the tokens of each text on one line, in the tokenizer's byte-level
            alphabet (Ġ is a space). With --json, prints one object per text: "ids",
            "tokens" and "offsets" in characters.

            Examples:

              ettin tokenize encoder "The capital of France is [MASK]."
              ettin tokenize encoder --input texts.txt --json > tokens.jsonl
              ettin tokenize encoder --decode "1 302 17 2"
            """
    )

    @OptionGroup var model: ModelArgument
    @OptionGroup var input: InputOptions

    @Flag(inversion: .prefixedNo, help: "Add special tokens; with --decode, keep them.")
    var specialTokens = true

    @Flag(help: "Print ids instead of tokens.")
    var ids = false

    @Flag(help: "Decode ids, such as \"1 17 2\" or \"[1, 17, 2]\".")
    var decode = false

    @OptionGroup var json: JSONOption

    func validate() throws {
        if ids, decode { throw ValidationError("--ids and --decode cannot be combined") }
        if ids, json.isOn { throw ValidationError("--ids and --json cannot be combined; --json includes the ids") }
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
        guard json.isOn else {
            guard ids else {
                let encoding = tokenizer.encodeWithoutOffsets(text, addSpecialTokens: specialTokens)
                return try printLine(encoding.count, output) { encoding.token(at: $0) }
            }
            let ids = tokenizer.encodeIDs(text, addSpecialTokens: specialTokens)
            return try printLine(ids.count, output) { String(ids[$0]) }
        }
        let encoding = tokenizer.encode(text, addSpecialTokens: specialTokens)
        try output.line([
            "ids": JSONValue(encoding.ids),
            "tokens": .array(encoding.tokens.map(JSONValue.string)),
            "offsets": .array(encoding.offsets.map { [JSONValue($0.lowerBound), JSONValue($0.upperBound)] }),
        ])
    }

    /// Prints words on one line, some at a time: a text of many megabytes has as many of them.
    private func printLine(_ count: Int, _ output: StandardOutput, _ word: (Int) -> String) throws {
        var piece = ""
        for position in 0..<count {
            if position > 0 { piece += " " }
            piece += word(position)
            guard piece.utf8.count > 1 << 16 else { continue }
            try output.piece(piece)
            piece = ""
        }
        try output.line(piece)
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
