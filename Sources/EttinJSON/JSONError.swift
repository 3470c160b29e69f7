/// Where and why a text is not the JSON that was expected.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Offset of the offending byte from the start of the text.
    public let offset: Int
    /// The line of that byte, counted from 1; lines end at line feeds.
    public let line: Int
    /// The column of that byte, counted from 1 in characters (Unicode scalars) of its line.
    public let column: Int
    /// What was expected and what was found, without the position.
    public let reason: String

    init(offset: Int, in source: UnsafeBufferPointer<UInt8>, reason: String) {
        self.offset = offset
        self.reason = reason
        var line = 1
        var column = 1
        for byte in source.prefix(max(0, offset)) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                // Continuation bytes of UTF-8 belong to the character that is already counted.
                column += 1
            }
        }
        self.line = line
        self.column = column
    }

    /// Position and reason in one line, to be put behind a file name.
    public var description: String {
        "line \(line), column \(column) (byte \(offset)): \(reason)"
    }
}
