import EttinFiles

/// Why a chat template cannot be read or rendered.
public struct TemplateError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The families of problems.
    public enum Kind: Sendable, Hashable {
        /// The source is not a template of the supported language.
        case syntax
        /// An expression cannot be evaluated: an undefined value is used, or types do not fit.
        case evaluation
        /// The template called `raise_exception`; the reason is its message.
        case raised
        /// The template exceeded a limit on steps, depth, memory or output.
        case limit
        /// The file of the template cannot be read, or holds something else.
        case file
    }

    /// The family of the problem.
    public let kind: Kind
    /// The name of the template, mostly its file.
    public let template: String
    /// The line in the source, counted from 1; 0 where the problem has no place.
    public let line: Int
    /// The column in the line, counted from 1 in characters (Unicode scalars); 0 where the problem has no place.
    public let column: Int
    /// What is wrong, without the place.
    public let reason: String

    package init(_ kind: Kind, template: String, line: Int = 0, column: Int = 0, reason: String) {
        (self.kind, self.template, self.line, self.column, self.reason) = (kind, template, line, column, reason)
    }

    /// Template, place and reason in one line.
    public var description: String {
        let place = line > 0 ? "\(template): line \(line), column \(column)" : template
        let found = kind == .raised ? "the template refuses this conversation: \(reason)" : reason
        return problemText(place, found: found, expected: nil)
    }
}

/// A problem with its place in the source, before it is known which template it is.
struct TemplateFault: Error {
    let kind: TemplateError.Kind
    /// Byte offset in the source.
    let offset: Int
    let reason: String

    init(_ kind: TemplateError.Kind, at offset: Int, _ reason: String) {
        (self.kind, self.offset, self.reason) = (kind, offset, reason)
    }

    /// The problem as a caller sees it.
    func error(in source: [UInt8], template: String) -> TemplateError {
        var line = 1
        var column = 1
        for byte in source.prefix(max(0, offset)) {
            if byte == UInt8(ascii: "\n") {
                (line, column) = (line + 1, 1)
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return TemplateError(kind, template: template, line: line, column: column, reason: reason)
    }
}
