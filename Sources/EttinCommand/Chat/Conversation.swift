import EttinJSON
import EttinTokenizer

/// Messages that a template renders.
struct Conversation {
    var messages: [JSONValue]
    /// Descriptions of tools.
    var tools: [JSONValue]?

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
        guard let list = value.arrayValue ?? value["messages"]?.arrayValue else {
            throw error(
                value.objectValue == nil ? "is a JSON \(value.kind.rawValue)" : "has no list \"messages\"",
                Self.shape
            )
        }
        guard !list.isEmpty else { throw error("has no messages", "at least one message") }
        for (index, message) in list.enumerated() where message["role"]?.stringValue == nil {
            throw error("message \(index + 1) has no \"role\"", "an object with \"role\" and \"content\"")
        }
        if let tools = value["tools"], !tools.isNull {
            guard let tools = tools.arrayValue else {
                throw error("\"tools\" is a JSON \(tools.kind.rawValue)", "a list")
            }
            self.tools = tools
        }
        messages = list
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
