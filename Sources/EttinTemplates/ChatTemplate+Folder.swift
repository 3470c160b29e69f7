import EttinFiles
public import EttinJSON

extension ChatTemplate {
    /// The names of the special tokens that templates read as variables.
    private static let specialTokenNames = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    /// Reads the template of a model.
    ///
    /// `chat_template.jinja` comes first, then `chat_template` of `tokenizer_config.json`: a text, or a list of named
    /// ones, of which `default` is taken.
    ///
    /// Nil where the model has none.
    ///
    /// - Parameter folder: The folder of the model or its tokenizer.
    /// - Throws: ``TemplateError`` for a file that cannot be read or holds no template.
    public init?(folder: String) throws {
        let file = FilePath.joined(folder, "chat_template.jinja")
        if FilePath.kind(of: file) == .file {
            try self.init(file: file)
            return
        }
        let place = FilePath.joined(folder, "tokenizer_config.json")
        let configuration = try Self.tokenizerConfiguration(folder: folder)
        guard let value = configuration["chat_template"], !value.isNull else { return nil }
        let source: String?
        switch value {
        case .string(let text): source = text
        case .array(let named):
            source = named.first { $0["name"]?.stringValue == "default" }?["template"]?.stringValue
        case .object(let named): source = named["default"]?.stringValue
        default: source = nil
        }
        guard let source else {
            let names = (value.arrayValue ?? []).compactMap { $0["name"]?.stringValue }.map { quoted($0) }
            let found =
                names.isEmpty
                ? "is a JSON \(value.kind.rawValue)" : "has the templates \(names.joined(separator: ", "))"
            throw TemplateError(
                .file,
                template: place,
                reason: "\"chat_template\" \(found); expected a string, or a list with a template named \"default\""
            )
        }
        try self.init(source, name: "\(place): chat_template")
    }

    /// Reads a template from a file.
    ///
    /// - Parameter file: A file of Jinja's language in UTF-8.
    /// - Throws: ``TemplateError`` for a file that cannot be read or holds no template.
    public init(file: String) throws {
        let bytes = try Self.contents(of: file)
        guard let source = String(validating: bytes, as: UTF8.self) else {
            throw TemplateError(.file, template: file, reason: "is not UTF-8; expected a Jinja template")
        }
        try self.init(source, name: file)
    }

    /// Reads the template that an option names: a built-in one or a file.
    ///
    /// - Parameter option: `chatml`, `qwen3`, `qwen3-training`, or a path.
    /// - Throws: ``TemplateError`` for a file that cannot be read or holds no template.
    public init(option: String) throws {
        self = Self.builtInNames.contains(option) ? try Self.builtIn(option) : try ChatTemplate(file: option)
    }

    /// The special tokens of a model's tokenizer, which templates read as variables.
    ///
    /// - Parameter folder: The folder of the model or its tokenizer.
    /// - Returns: `bos_token`, `eos_token` and the like, those that the model has.
    /// - Throws: ``TemplateError`` for a file that cannot be read.
    public static func specialTokens(folder: String) throws -> JSONObject {
        let configuration = try tokenizerConfiguration(folder: folder)
        let map = try object(inFile: FilePath.joined(folder, "special_tokens_map.json"))
        var result = JSONObject()
        for name in specialTokenNames {
            let value = configuration[name] ?? map[name]
            if let text = value?.stringValue ?? value?["content"]?.stringValue { result[name] = .string(text) }
        }
        return result
    }

    /// The variables that transformers gives a template.
    ///
    /// - Parameters:
    ///   - messages: The conversation, each message an object with `role` and `content`, and what else it has.
    ///   - tools: Descriptions of tools.
    ///   - addsGenerationPrompt: Whether the text ends where the assistant is to answer.
    ///   - specialTokens: As ``specialTokens(folder:)`` gives them.
    ///   - arguments: Further variables, such as `enable_thinking`; they take precedence.
    /// - Returns: What ``render(_:limits:)`` takes.
    public static func variables(
        messages: [JSONValue],
        tools: [JSONValue]? = nil,
        addsGenerationPrompt: Bool = false,
        specialTokens: JSONObject = [:],
        arguments: JSONObject = [:]
    ) -> JSONObject {
        var variables = specialTokens
        variables["messages"] = .array(messages.map(withReasoning))
        variables["tools"] = tools.map(JSONValue.array) ?? .null
        variables["documents"] = .null
        variables["add_generation_prompt"] = .bool(addsGenerationPrompt)
        for argument in arguments.members { variables[argument.key] = argument.value }
        return variables
    }

    /// A message whose thoughts stand under every name that templates read, as transformers has it.
    private static func withReasoning(_ message: JSONValue) -> JSONValue {
        guard case .object(let object) = message,
            let thoughts = ["reasoning_content", "thinking", "reasoning"].lazy
                .compactMap({ object[$0] }).first(where: { !$0.isNull })
        else { return message }
        var result: JSONObject = ["thinking": thoughts]
        for member in object.members { result[member.key] = member.value }
        result["reasoning_content"] = thoughts
        return .object(result)
    }

    private static func contents(of file: String) throws -> [UInt8] {
        do {
            return try OpenFile.contents(of: file)
        } catch let error as FileError {
            let expected = error.expected.map { "; expected \($0)" } ?? ""
            throw TemplateError(.file, template: error.file, reason: error.found + expected)
        }
    }

    private static func tokenizerConfiguration(folder: String) throws -> JSONObject {
        try object(inFile: FilePath.joined(folder, "tokenizer_config.json"))
    }

    private static func object(inFile file: String) throws -> JSONObject {
        guard FilePath.kind(of: file) == .file else { return [:] }
        do {
            let options = JSONParsingOptions(allowsNonFiniteNumbers: true)
            let value = try JSONValue(parsing: contents(of: file), options: options)
            guard let object = value.objectValue else {
                throw TemplateError(
                    .file,
                    template: file,
                    reason: "is a JSON \(value.kind.rawValue); expected an object"
                )
            }
            return object
        } catch let error as JSONError {
            throw TemplateError(.file, template: file, reason: "\(error)")
        }
    }
}
