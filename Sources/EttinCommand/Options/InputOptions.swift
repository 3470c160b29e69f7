import ArgumentParser
import EttinInference
import EttinTokenizer

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The texts of a command: arguments, a file or standard input.
struct InputOptions: ParsableArguments {
    @Argument(help: "Input texts; reads standard input if there are none, or for -.")
    var texts: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Input file: one text per line, or one {\"text\": …} per line for .jsonl, .ndjson and .json.",
            valueName: "file"
        ),
        completion: .file()
    )
    var input: String?

    @Option(help: ArgumentHelp("Format of the input (default: from the file extension).", valueName: "format"))
    var inputFormat: TextReader.Format?

    func validate() throws {
        if input != nil, !texts.isEmpty {
            throw ValidationError("texts are given both as arguments and with --input; expected one of the two")
        }
        if inputFormat != nil, !readsFile {
            throw ValidationError("--input-format applies to files and standard input; texts are given as arguments")
        }
    }

    private var readsFile: Bool { texts.isEmpty || texts == ["-"] }

    /// Hands over each text when it has been read.
    ///
    /// - Throws: `TokenizerError` when the input cannot be read or has no text; what `body` throws.
    func forEach(_ body: (String) throws -> Void) throws {
        guard readsFile else { return try texts.forEach(body) }
        let path = input ?? "-"
        if path == "-", isatty(0) == 1 { Diagnostics.note("reading texts, one per line, until Ctrl-D") }
        var reader = try TextReader(path, format: inputFormat)
        var isEmpty = true
        while let text = try reader.next() {
            isEmpty = false
            try body(text)
        }
        if isEmpty { throw NoTexts(source: path == "-" ? "standard input" : path) }
    }

    /// All texts.
    ///
    /// - Throws: `TokenizerError` when the input cannot be read or has no text.
    func all() throws -> [String] {
        var result: [String] = []
        try forEach { result.append($0) }
        return result
    }
}

extension InputOptions {
    /// All texts, those of JSON Lines with the second text of a pair where a line has one.
    ///
    /// - Throws: `TokenizerError` when the input cannot be read or has no text; ``InvalidRecord`` for a line whose fields
    ///   are no texts.
    func textsAndPairs() throws -> [TextClassificationPipeline.Input] {
        let path = input ?? "-"
        guard readsFile, TextReader.format(ofName: path, given: inputFormat) == .jsonl else {
            return try all().map { TextClassificationPipeline.Input($0) }
        }
        return try Record.all(path, expected: "{\"text\": …}").map { record in
            TextClassificationPipeline.Input(
                try record.text("text"),
                textPair: try record.optionalText("text_pair")
            )
        }
    }
}

/// An input without a single line.
struct NoTexts: Error, CustomStringConvertible {
    let source: String

    var description: String { "\(source): contains no text; expected at least one line" }
}
