import ArgumentParser
import EttinCorpus

/// How documents are found in the inputs of `ettin data tokenize`.
struct ReadingFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The format of all inputs; by their names unless given.", valueName: "format"))
    var format: CorpusInput.Format?

    @Option(help: ArgumentHelp("The field of JSON Lines or column of MDS with the text.", valueName: "name"))
    var textKey = "text"

    @Option(help: ArgumentHelp("The field or column with the document's id.", valueName: "name"))
    var idKey = "id"

    @Option(
        help: ArgumentHelp(
            "What separates documents of text files, with \\n, \\r, \\t and \\\\; \"\\n\" is every line. "
                + "Without it, each file is one document.",
            valueName: "text"
        )
    )
    var separator: String?

    @Option(help: ArgumentHelp("What happens to text that is not UTF-8.", valueName: "rule"))
    var invalidText: ReadingOptions.InvalidTextRule = .refuse

    @Option(help: ArgumentHelp("What happens to documents without text.", valueName: "rule"))
    var emptyDocuments: ReadingOptions.EmptyDocumentRule = .refuse

    @Option(help: ArgumentHelp("The most bytes of a document, such as 64mb.", valueName: "bytes"))
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
            default: throw ValidationError("--separator has a \\ before neither n, r, t nor \\; a plain one is \\\\")
            }
        }
        guard !text.isEmpty else { throw ValidationError("--separator is an empty text; expected a character or more") }
        return text.unicodeScalars.elementsEqual(["\n"]) ? .line : .separator(text)
    }
}

/// The tokenizer of a command on data.
struct TokenizerOption: ParsableArguments {
    @Option(help: ArgumentHelp("The folder of the tokenizer.", valueName: "folder"), completion: .directory)
    var tokenizer: String
}
