import EttinJSON
import EttinTemplates
import EttinTokenizer

/// Renders conversations by a chat template, as `apply_chat_template` of transformers does.
struct ConversationRenderer: Sendable {
    private let template: ChatTemplate
    private let specialTokens: JSONObject

    init(_ template: ChatTemplate, _ tokenizer: Tokenizer) {
        self.template = template
        specialTokens = JSONObject(tokenizer.specialTokens.map { ($0.role, JSONValue.string($0.token)) })
    }

    /// Renders a conversation.
    ///
    /// - Parameters:
    ///   - messages: The messages.
    ///   - row: What the row says of tools and further variables.
    ///   - addsGenerationPrompt: Whether the assistant is to speak next.
    /// - Returns: The text, with the places of what the assistant says where the template marks them.
    /// - Throws: `TemplateError`.
    func callAsFunction(
        _ messages: [JSONValue],
        _ row: TemplateVariables,
        addsGenerationPrompt: Bool = false
    ) throws -> RenderedTemplate {
        try template.rendering(
            ChatTemplate.variables(
                messages: messages,
                tools: row.tools.arrayValue,
                addsGenerationPrompt: addsGenerationPrompt,
                specialTokens: specialTokens,
                arguments: row.others
            )
        )
    }

    /// The marked form of a template that has no markers; nil for one that no such form is known of.
    static func trainingTemplate(for source: String) -> String? {
        source == ChatTemplate.qwen3 ? ChatTemplate.qwen3Training : nil
    }
}

/// What a row gives the template besides its messages.
struct TemplateVariables: Sendable {
    /// The tools that the assistant may call; null for none.
    var tools: JSONValue = .null
    /// Further variables; `chat_template_kwargs`.
    var others = JSONObject()
}
