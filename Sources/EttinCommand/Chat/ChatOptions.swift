import ArgumentParser
import EttinInference
import EttinJSON
import EttinTemplates
import EttinTokenizer

/// How a conversation becomes the text that a model reads.
struct ChatOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Chat template: a Jinja file, chatml, qwen3 or qwen3-training (default: the model's).",
            valueName: "file"
        ),
        completion: .file()
    )
    var chatTemplate: String?

    @Option(help: ArgumentHelp("Variable of the template, as key=JSON; repeatable.", valueName: "key=json"))
    var templateArg: [String] = []

    @Flag(inversion: .prefixedNo, help: "Set the template's variable enable_thinking.")
    var enableThinking: Bool?

    /// The first of the options that is given.
    var given: String? {
        if chatTemplate != nil { return "--chat-template" }
        if !templateArg.isEmpty { return "--template-arg" }
        return enableThinking.map { $0 ? "--enable-thinking" : "--no-enable-thinking" }
    }

    func validate() throws { _ = try arguments() }

    /// The variables that the options set.
    private func arguments() throws -> JSONObject {
        var result = JSONObject()
        if let enableThinking { result["enable_thinking"] = .bool(enableThinking) }
        for argument in templateArg {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw ValidationError(
                    "--template-arg is \"\(argument)\"; expected key=JSON, such as enable_thinking=false"
                )
            }
            do {
                result[String(parts[0])] = try JSONValue(parsing: String(parts[1]))
            } catch {
                throw ValidationError(
                    "--template-arg \(parts[0]) is not JSON: \(error.reason); expected key=JSON, such as date=\"\\\"today\\\"\""
                )
            }
        }
        return result
    }

    /// The template with what it reads beside the messages.
    ///
    /// - Parameter folder: The folder of the model.
    /// - Returns: The option's template, or else the model's.
    /// - Throws: `TemplateError` for a template that cannot be read; ``NoChatTemplate``.
    func format(folder: String) throws -> ChatFormat {
        guard let template = try chatTemplate.map(ChatTemplate.init(option:)) ?? ChatTemplate(folder: folder) else {
            throw NoChatTemplate(folder: folder)
        }
        return ChatFormat(
            template: template,
            specialTokens: try ChatTemplate.specialTokens(folder: folder),
            arguments: try arguments()
        )
    }
}

/// A model that does not say how conversations look.
struct NoChatTemplate: Error, CustomStringConvertible {
    let folder: String

    var description: String {
        "\(folder): has no chat template, neither chat_template.jinja nor \"chat_template\" in tokenizer_config.json; "
            + "pass --chat-template chatml, qwen3 or a file"
    }
}

/// A template with what it reads beside the messages.
struct ChatFormat {
    let template: ChatTemplate
    let specialTokens: JSONObject
    let arguments: JSONObject

    /// A conversation as the model reads it, up to where it is to answer; options override what its line says.
    func text(of conversation: Conversation) throws -> String {
        var arguments = conversation.arguments
        for member in self.arguments { arguments[member.key] = member.value }
        do {
            return try template.render(
                ChatTemplate.variables(
                    messages: conversation.messages,
                    tools: conversation.tools,
                    addsGenerationPrompt: true,
                    specialTokens: specialTokens,
                    arguments: arguments
                )
            )
        } catch let error as TemplateError {
            guard let place = conversation.place else { throw error }
            throw InvalidRecord(
                place: place,
                found: "cannot be rendered: \(error)",
                expected: "a conversation that the chat template takes"
            )
        }
    }

    /// Options that end an answer where the template ends a message, too.
    func ending(_ options: GenerationOptions, _ generator: TextGenerationPipeline) -> GenerationOptions {
        let end = "<|im_end|>"
        guard template.source.contains(end) else { return options }
        var options = options
        if let id = generator.tokenizer.tokenToID(end).map(Int.init) {
            let ids = options.endTokenIDs ?? generator.endTokenIDs
            options.endTokenIDs = ids.contains(id) ? ids : ids + [id]
        } else if !options.stopTexts.contains(end) {
            // To a tokenizer without the token it is text as any other.
            options.stopTexts.append(end)
        }
        return options
    }
}
