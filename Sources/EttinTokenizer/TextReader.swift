import EttinJSON

/// Texts from a file or standard input, one after the other in bounded memory.
///
/// Nothing is repaired: text that is not UTF-8 is an error that names the line.
package struct TextReader {
    /// How a file holds texts.
    package enum Format: String, CaseIterable, Sendable {
        /// One text per line, without the line feed and a carriage return before it; an empty line is an empty text.
        case lines
        /// One JSON object per line, the text under the key `text`.
        case jsonl
    }

    private let input: InputFile
    private let format: Format
    private let name: String
    private var pending: [UInt8] = []
    /// Where the next line begins in `pending`.
    private var start = 0
    private var line = 0
    private var isAtEnd = false

    /// Opens a file.
    ///
    /// - Parameters:
    ///   - path: The file, `-` for standard input.
    ///   - format: The format; nil for that of the name: JSON Lines for `.jsonl`, else lines.
    /// - Throws: `TokenizerError` when the file cannot be opened.
    package init(_ path: String, format: Format? = nil) throws {
        input = try InputFile(path)
        self.format = format ?? (path.hasSuffix(".jsonl") ? .jsonl : .lines)
        name = input.path
    }

    /// The next text.
    ///
    /// - Returns: Nil at the end.
    /// - Throws: `TokenizerError` when the file cannot be read or its content is not what the format asks for.
    package mutating func next() throws -> String? {
        guard var bytes = try nextLine() else { return nil }
        line += 1
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw error("is not UTF-8 text") }
        return format == .lines ? text : try member(of: text)
    }

    /// All texts that are left.
    ///
    /// - Returns: The texts in order.
    /// - Throws: `TokenizerError` when the file cannot be read or its content is not what the format asks for.
    package mutating func rest() throws -> [String] {
        var texts: [String] = []
        while let text = try next() { texts.append(text) }
        return texts
    }

    private mutating func nextLine() throws -> ArraySlice<UInt8>? {
        var searched = start
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return pending[start..<end]
            }
            pending.removeFirst(start)
            start = 0
            searched = pending.count
            if !isAtEnd {
                isAtEnd = try input.read(into: &pending, upTo: 1 << 20) == 0
            } else if pending.isEmpty {
                return nil
            } else {
                defer { start = pending.count }
                return pending[...]
            }
        }
    }

    private func member(of text: String) throws -> String {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            throw self.error("column \(error.column): \(error.reason); expected a JSON object with \"text\"")
        }
        guard let member = value["text"] else {
            let found = value.objectValue == nil ? "is a JSON \(value.kind.rawValue)" : "has no \"text\""
            throw error("\(found); expected a JSON object with \"text\"")
        }
        guard let text = member.stringValue else {
            throw error("\"text\" is a JSON \(member.kind.rawValue); expected a string")
        }
        return text
    }

    private func error(_ reason: String) -> TokenizerError {
        .file(path: "\(name), line \(line)", reason: reason)
    }
}
