import ArgumentParser
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
    @Argument(help: "Texts. Without any, and for -, standard input is read.")
    var texts: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "A file with one text per line or, if it ends in .jsonl, .ndjson or .json, one {\"text\": …}.",
            valueName: "file"
        ),
        completion: .file()
    )
    var input: String?

    @Option(help: ArgumentHelp("How the input holds texts; by the file's name unless given.", valueName: "format"))
    var inputFormat: TextReader.Format?

    func validate() throws {
        if input != nil, !texts.isEmpty {
            throw ValidationError("texts are given as arguments and by --input; expected one of them")
        }
        if inputFormat != nil, !readsFile {
            throw ValidationError("--input-format is for files and standard input, but texts are given as arguments")
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

/// An input without a single line.
struct NoTexts: Error, CustomStringConvertible {
    let source: String

    var description: String { "\(source): holds no text; expected at least one line" }
}
