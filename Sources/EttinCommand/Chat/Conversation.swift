import EttinJSON
import EttinTemplates
import EttinTokenizer

/// Messages that a template renders.
struct Conversation {
    var messages: [JSONValue]
    /// Descriptions of tools.
    var tools: [JSONValue]?
    /// Variables of the template; `chat_template_kwargs`.
    private(set) var arguments = JSONObject()
    /// Where it was read, for messages; nil for one that is typed.
    private(set) var place: String?

    private static let shape = "{\"messages\": [{\"role\": …, \"content\": …}, …]} or the list alone"

    init(messages: [JSONValue] = [], tools: [JSONValue]? = nil) {
        (self.messages, self.tools) = (messages, tools)
    }

    /// Reads a line of a file.
    private init(_ line: String, place: String) throws {
        func error(_ found: String, _ expected: String) -> InvalidRecord {
            InvalidRecord(place: place, found: found, expected: expected)
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: line)
        } catch let problem {
            throw error("is not JSON: column \(problem.column): \(problem.reason)", Self.shape)
        }
        guard let list = value.arrayValue ?? (value["messages"] ?? value["conversations"])?.arrayValue else {
            throw error(
                value.objectValue == nil ? "is a JSON \(value.kind.rawValue)" : "has no list \"messages\"",
                Self.shape
            )
        }
        guard !list.isEmpty else { throw error("has no messages", "at least one message") }
        messages = try list.enumerated().map { index, message in
            guard let message = ChatTemplate.message(message) else {
                throw error("message \(index + 1) has no \"role\"", "an object with \"role\" and \"content\"")
            }
            return message
        }
        if let value = value["tools"] {
            guard let tools = ChatTemplate.tools(value) else {
                throw error("\"tools\" is a JSON \(value.kind.rawValue)", "a list, or the JSON text of one")
            }
            self.tools = tools.arrayValue
        }
        if let value = value["chat_template_kwargs"], !value.isNull {
            guard let object = value.objectValue else {
                throw error("\"chat_template_kwargs\" is a JSON \(value.kind.rawValue)", "an object")
            }
            arguments = object
        }
        self.place = place
    }

    /// Reads the conversations of a file, one per line.
    ///
    /// - Parameter file: The file, `-` for standard input.
    /// - Returns: At least one conversation.
    /// - Throws: `TokenizerError` when the file cannot be read; ``InvalidRecord`` for a line that is no conversation.
    static func all(_ file: String) throws -> [Conversation] {
        var reader = try TextReader(file, format: .lines)
        let name = file == "-" ? "standard input" : file
        var result: [Conversation] = []
        while let line = try reader.next() {
            result.append(try Conversation(line, place: "\(name), line \(result.count + 1)"))
        }
        guard !result.isEmpty else { throw NoTexts(source: name) }
        return result
    }

    /// Adds a message.
    mutating func append(_ role: String, _ content: String) {
        messages.append(["role": .string(role), "content": .string(content)])
    }
}
