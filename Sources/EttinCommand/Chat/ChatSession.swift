import EttinFiles
import EttinInference
import EttinJSON
import EttinTemplates
import EttinTokenizer

/// A conversation with a model, line by line.
final class ChatSession {
    private let generator: TextGenerationPipeline
    private let format: ChatFormat
    private let options: GenerationOptions
    private var system: String?
    private var conversation = Conversation()

    init(generator: TextGenerationPipeline, format: ChatFormat, options: GenerationOptions, system: String?) {
        (self.generator, self.format, self.options, self.system) = (generator, format, options, system)
        reset()
    }

    private func reset() {
        conversation = Conversation()
        if let system { conversation.append("system", system) }
    }

    /// Talks to who sits at a terminal: mistakes are named and leave the conversation as it was.
    func talk(_ output: StandardOutput) throws {
        Diagnostics.note("/help lists commands; Ctrl-D ends")
        var reader = try TextReader("-", format: .lines)
        while true {
            Diagnostics.piece("> ")
            guard let line = try reader.next() else {
                Diagnostics.note("")
                return
            }
            do {
                guard line.hasPrefix("/") else {
                    try answer(line, output)
                    continue
                }
                if try obey(line) { return }
            } catch let error as StandardOutput.Closed {
                throw error
            } catch {
                Diagnostics.error("\(error)")
            }
        }
    }

    /// Answers each line of standard input.
    func answerLines(_ output: StandardOutput) throws {
        var reader = try TextReader("-", format: .lines)
        var isEmpty = true
        while let line = try reader.next() {
            isEmpty = false
            if try !answer(line, output) { throw CancellationError() }
        }
        if isEmpty { throw NoTexts(source: "standard input") }
    }

    /// Answers a turn of the user; what was generated before it was stopped counts as the answer.
    ///
    /// - Returns: Whether the answer came to its end.
    @discardableResult
    private func answer(_ line: String, _ output: StandardOutput) throws -> Bool {
        guard !line.isEmpty else { return true }
        let before = conversation
        conversation.append("user", line)
        do {
            let prompt = try generator.preparer.prepare(rendered: [format.text(of: conversation)])
            var text = ""
            var isComplete = true
            do {
                try Interruption.draining {
                    _ = try generator.generate(
                        from: prompt,
                        options: options,
                        onText: { _, piece in
                            text += piece
                            try output.piece(piece)
                        },
                        shouldStop: { Interruption.isRequested }
                    )
                }
            } catch is CancellationError {
                isComplete = false
            }
            _ = Interruption.takeRequest()
            try output.line("")
            conversation.append("assistant", text)
            return isComplete
        } catch {
            conversation = before
            throw error
        }
    }

    /// Obeys a command.
    ///
    /// - Returns: Whether the conversation is over.
    private func obey(_ line: String) throws -> Bool {
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        let argument = parts.count > 1 ? String(parts[1]) : ""
        switch parts.first {
        case "/exit", "/quit": return true
        case "/reset":
            reset()
            Diagnostics.note("the conversation begins anew")
        case "/system":
            system = argument.isEmpty ? nil : argument
            reset()
            Diagnostics.note(argument.isEmpty ? "there is no system message now" : "the conversation begins anew")
        case "/save":
            guard !argument.isEmpty else { throw ChatCommandError(text: "/save needs the name of a file") }
            let document: JSONValue = ["messages": .array(conversation.messages)]
            try AtomicFile.write(Array("\(document.text())\n".utf8), to: FilePath.expandingHome(argument))
            Diagnostics.note("saved \(conversation.messages.count) messages to \(argument)")
        case "/help":
            Diagnostics.note("/reset, /system TEXT, /save FILE, /help, /exit; Ctrl-C stops an answer")
        default:
            throw ChatCommandError(text: "unknown command \(quoted(String(parts.first ?? ""))); /help lists commands")
        }
        return false
    }
}

/// A command of a conversation that cannot be obeyed.
private struct ChatCommandError: Error, CustomStringConvertible {
    let text: String

    var description: String { text }
}
