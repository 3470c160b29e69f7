package import EttinJSON

/// Texts from a file or standard input, one after the other in bounded memory.
///
/// Nothing is repaired: text that is not UTF-8 is an error that names the line. A byte order mark at the start of the
/// file is no text.
package struct TextReader {
    /// How a file holds texts.
    package enum Format: String, CaseIterable, Sendable {
        /// One text per line, without the line feed and a carriage return before it; an empty line is an empty text.
        case lines
        /// One JSON object per line, the text under the key `text`, with the rules of `JSONLine`.
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
    ///   - format: The format; nil for that of the name: JSON Lines for `.jsonl`, `.ndjson` and `.json`, else lines.
    /// - Throws: `TokenizerError` when the file cannot be opened.
    package init(_ path: String, format: Format? = nil) throws {
        input = try InputFile(path)
        self.format = Self.format(ofName: path, given: format)
        name = input.path
    }

    /// The format of a file: the one that is given, else that of the name.
    package static func format(ofName path: String, given format: Format?) -> Format {
        if let format { return format }
        return [".jsonl", ".ndjson", ".json"].contains { path.hasSuffix($0) } ? .jsonl : .lines
    }

    /// Reads a file or standard input as one text, in which nothing is changed but a byte order mark left out.
    ///
    /// - Parameter path: The file, `-` for standard input.
    /// - Returns: The text.
    /// - Throws: `TokenizerError` when the file cannot be read or is not UTF-8.
    package static func whole(_ path: String) throws -> String {
        let input = try InputFile(path)
        var bytes: [UInt8] = []
        while try input.read(into: &bytes, upTo: 1 << 20) > 0 {}
        let text = bytes.withUnsafeBytes {
            String(validating: JSONLine.withoutMark($0, isFirst: true), as: UTF8.self)
        }
        guard let text else { throw TokenizerError.file(path: input.path, reason: "is not UTF-8 text") }
        return text
    }

    /// The next text.
    ///
    /// - Returns: Nil at the end.
    /// - Throws: `TokenizerError` when the file cannot be read or its content is not what the format asks for.
    package mutating func next() throws -> String? {
        try nextLine { try $0.text($1) }
    }

    /// The next line as a JSON object, whatever the format.
    ///
    /// - Parameter expected: What the line should be, for messages: `{"query": …, "documents": […]}`.
    /// - Returns: The object, and the file with the number of the line for messages; nil at the end.
    /// - Throws: `TokenizerError` when the file cannot be read or the line is no JSON object.
    package mutating func nextObject(expected: String) throws -> (object: JSONObject, place: String)? {
        try nextLine { reader, bytes in
            do {
                let object = try JSONLine.object(bytes, isFirst: reader.line == 1, expected: expected)
                return (object, "\(reader.name), line \(reader.line)")
            } catch {
                throw reader.error("\(error)")
            }
        }
    }

    private mutating func nextLine<Result>(
        _ body: (_ reader: TextReader, UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        guard let range = try nextLine() else { return nil }
        line += 1
        defer {
            // A line of many megabytes should not be held twice while its text is worked on.
            if start == pending.count, pending.count > 16 << 20 {
                pending = []
                start = 0
            }
        }
        return try pending.withUnsafeBytes { try body(self, UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    private func text(_ bytes: UnsafeRawBufferPointer) throws -> String {
        guard format == .lines else { return try member(of: bytes) }
        var bytes = JSONLine.withoutMark(bytes, isFirst: line == 1)
        if bytes.last == UInt8(ascii: "\r") { bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast()) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw error("is not UTF-8 text") }
        return text
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

    /// Where the next line lies in `pending`.
    private mutating func nextLine() throws -> Range<Int>? {
        var searched = start
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return start..<end
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
                return 0..<pending.count
            }
        }
    }

    private func member(of bytes: UnsafeRawBufferPointer) throws -> String {
        let expected = "a JSON object with \"text\""
        var text: String?
        do {
            try JSONLine.read(bytes, isFirst: line == 1, expected: expected) { reader, key in
                guard key.elementsEqual("text".utf8) else {
                    try reader.skipValue()
                    return
                }
                let kind = try reader.peekKind()
                guard kind == .string else {
                    throw JSONLine.Fault(found: "\"text\" is a JSON \(kind.rawValue)", expected: "a string")
                }
                text = try reader.readString()
            }
        } catch let fault as JSONLine.Fault {
            throw error("\(fault)")
        }
        guard let text else { throw error("has no \"text\"; expected \(expected)") }
        return text
    }

    private func error(_ reason: String) -> TokenizerError {
        .file(path: "\(name), line \(line)", reason: reason)
    }
}
