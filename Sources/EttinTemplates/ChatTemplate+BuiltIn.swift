// The templates that come with the package, which stand in where no model can be asked for one.

extension ChatTemplate {
    /// The names of the built-in templates.
    public static let builtInNames = ["chatml", "qwen3", "qwen3-training"]

    /// A built-in template.
    ///
    /// - Parameter name: `chatml`; `qwen3`, which leaves the thoughts of earlier answers out; or `qwen3-training`, which
    ///   keeps them and marks what the assistant generates.
    /// - Returns: The template.
    /// - Throws: ``TemplateError`` for another name.
    public static func builtIn(_ name: String) throws -> ChatTemplate {
        let source =
            switch name {
            case "chatml": chatML
            case "qwen3": qwen3
            case "qwen3-training": qwen3Training
            default:
                throw TemplateError(
                    .file,
                    template: name,
                    reason: "there is no such built-in template; expected \(builtInNames.joined(separator: ", "))"
                )
            }
        return try ChatTemplate(source, name: name)
    }

    /// ChatML: every message in `<|im_start|>` and `<|im_end|>`.
    public static let chatML = """
        {%- for message in messages %}
            {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\\n' }}
        {%- endif %}
        """

    /// The format of Qwen3, with thoughts and tools; answers before the last question lose their thoughts.
    public static let qwen3 = qwenOpening + answer(isMarked: false) + qwenClosing

    /// The same for training: every answer has its thoughts, and what the assistant generates is marked.
    public static let qwen3Training = qwenOpening + answer(isMarked: true) + qwenClosing

    private static let qwenOpening = """
        {#- Non-string content counts as empty. -#}
        {%- macro text_of(message) -%}
            {{- message.content if message.content is string else '' -}}
        {%- endmacro -%}
        {#- The last question: a message of the user that is no result of a tool. -#}
        {%- set found = namespace(question=messages | length - 1, searching=true) %}
        {%- for message in messages[::-1] %}
            {%- if found.searching and message.role == 'user' and message.content is string and not
                (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
                {%- set found.searching = false %}
                {%- set found.question = loop.revindex0 %}
            {%- endif %}
        {%- endfor %}
        {%- set starts_with_system = messages and messages[0].role == 'system' %}
        {%- if tools %}
            {{- '<|im_start|>system\\n' }}
            {%- if starts_with_system %}
                {{- text_of(messages[0]) + '\\n\\n' }}
            {%- endif %}
            {{- '# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\n' }}
            {{- 'You are provided with function signatures within <tools></tools> XML tags:\\n<tools>' }}
            {%- for tool in tools %}
                {{- '\\n' + tool | tojson }}
            {%- endfor %}
            {{- '\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments ' }}
            {{- 'within <tool_call></tool_call> XML tags:\\n<tool_call>\\n' }}
            {{- '{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call><|im_end|>\\n' }}
        {%- elif starts_with_system %}
            {{- '<|im_start|>system\\n' + text_of(messages[0]) + '<|im_end|>\\n' }}
        {%- endif %}
        {%- for message in messages %}
            {%- set content = text_of(message) %}
            {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
                {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
            {%- elif message.role == 'assistant' %}
                {%- set thoughts = '' %}
                {%- if message.reasoning_content is string %}
                    {%- set thoughts = message.reasoning_content %}
                {%- elif '</think>' in content %}
                    {%- set thoughts = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                    {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
                {%- endif %}
                {{- '<|im_start|>assistant\\n' }}

        """

    /// An answer behind its role: its thoughts, the text and calls of tools.
    private static func answer(isMarked: Bool) -> String {
        let test = isMarked ? "true" : "loop.index0 > found.question and (loop.last or thoughts)"
        let (opening, closing) = isMarked ? ("{%- generation %}", "{%- endgeneration %}") : ("{#- -#}", "{#- -#}")
        return """
                    \(opening)
                    {%- if \(test) %}
                        {{- '<think>\\n' + thoughts.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
                    {%- else %}
                        {{- content }}
                    {%- endif %}
                    {%- for call in message.tool_calls or [] %}
                        {%- set function = call.function or call %}
                        {{- '\\n' if content or not loop.first else '' }}
                        {{- '<tool_call>\\n{"name": "' + function.name + '", "arguments": ' }}
                        {{- function.arguments if function.arguments is string else function.arguments | tojson }}
                        {{- '}\\n</tool_call>' }}
                    {%- endfor %}
                    {{- '<|im_end|>\\n' }}
                    \(closing)

            """
    }

    private static let qwenClosing = """
            {%- elif message.role == 'tool' %}
                {{- '' if loop.previtem and loop.previtem.role == 'tool' else '<|im_start|>user' }}
                {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}
                {{- '' if loop.nextitem and loop.nextitem.role == 'tool' else '<|im_end|>\\n' }}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\\n' }}
            {%- if enable_thinking is defined and enable_thinking is false %}
                {{- '<think>\\n\\n</think>\\n\\n' }}
            {%- endif %}
        {%- endif %}
        """
}
