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

/// The command `ettin chat`.
struct Chat: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Talk to a decoder.",
        discussion: """
            Answers appear as they are generated. The whole conversation is the context
            of each answer; a conversation longer than the model's context is an error
            that /reset ends.

              /reset         forget the conversation; the system message stays
              /system TEXT   set the system message and begin anew
              /save FILE     write the conversation as a line of JSON
              /help          list these
              /exit          end, as Ctrl-D does

            Ctrl-C stops an answer; a second one ends the program. Without a terminal,
            each line of standard input is a turn of the user.

            Examples:

              ettin chat assistant --temperature 0.7
              ettin chat decoder --chat-template chatml --system "Be brief."
              echo "What is bread made of?" | ettin chat assistant
            """
    )

    @OptionGroup var model: ModelArgument

    @Option(help: ArgumentHelp("System message.", valueName: "text"))
    var system: String?

    @OptionGroup var chat: ChatOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var compute: ModelOptions

    func run() throws {
        let folder = try model.folder()
        let format = try chat.format(folder: folder)
        let generator = try TextGenerationPipeline(
            folder: folder,
            options: compute.prepare(),
            usesGenerationConfiguration: sampling.generationConfig
        )
        generator.notices.forEach(Diagnostics.note)
        let asked = sampling.applied(to: generator.defaultOptions)
        Diagnostics.note(sampling.summary(of: asked, generator.configuration))
        let options = format.ending(asked, generator)
        let session = ChatSession(generator: generator, format: format, options: options, system: system)
        try StandardOutput.write { output in
            try isatty(0) == 1 ? session.talk(output) : session.answerLines(output)
        }
    }
}
