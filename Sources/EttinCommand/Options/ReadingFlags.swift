import ArgumentParser
import EttinCorpus

/// How documents are found in the inputs of `ettin data tokenize`.
struct ReadingFlags: ParsableArguments {
    @Option(help: ArgumentHelp("Format of all inputs (default: from the file extensions).", valueName: "format"))
    var format: CorpusInput.Format?

    @Option(help: ArgumentHelp("JSON field or Parquet/MDS column that holds the text.", valueName: "name"))
    var textKey = "text"

    @Option(help: ArgumentHelp("Field or column that holds the document id.", valueName: "name"))
    var idKey = "id"

    @Option(
        help: ArgumentHelp(
            "Document separator in text files; \\n, \\r, \\t and \\\\ are escapes, so \"\\n\" makes every line a document. "
                + "By default each file is one document.",
            valueName: "text"
        )
    )
    var separator: String?

    @Option(help: ArgumentHelp("What to do with text that is not valid UTF-8.", valueName: "rule"))
    var invalidText: ReadingOptions.InvalidTextRule = .refuse

    @Option(help: ArgumentHelp("What to do with empty documents.", valueName: "rule"))
    var emptyDocuments: ReadingOptions.EmptyDocumentRule = .refuse

    @Option(help: ArgumentHelp("Maximum document size in bytes, such as 64mb.", valueName: "bytes"))
    var longestDocument = "64mb"

    func validate() throws {
        _ = try options()
    }

    func options() throws -> ReadingOptions {
        ReadingOptions(
            format: format,
            splitting: try splitting(),
            textField: textKey,
            idField: idKey,
            invalidText: invalidText,
            emptyDocuments: emptyDocuments,
            longestDocumentBytes: try byteCount(longestDocument, flag: "--longest-document")
        )
    }

    private func splitting() throws -> ReadingOptions.Splitting {
        guard let separator else { return .file }
        var text = ""
        var rest = separator.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "\\" else {
                text.unicodeScalars.append(scalar)
                continue
            }
            switch rest.popFirst() {
            case "n": text += "\n"
            case "r": text += "\r"
            case "t": text += "\t"
            case "\\": text += "\\"
            default: throw ValidationError("--separator has an unknown escape; expected \\n, \\r, \\t or \\\\")
            }
        }
        guard !text.isEmpty else { throw ValidationError("--separator is empty; expected at least one character") }
        return text.unicodeScalars.elementsEqual(["\n"]) ? .line : .separator(text)
    }
}

/// The tokenizer of a command on data.
struct TokenizerOption: ParsableArguments {
    @Option(help: ArgumentHelp("Tokenizer folder.", valueName: "folder"), completion: .directory)
    var tokenizer: String
}
