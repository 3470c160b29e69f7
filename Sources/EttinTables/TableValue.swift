package import EttinJSON

/// A value of a table.
public enum TableValue: Hashable, Sendable {
    /// Nothing.
    case null
    /// A text.
    case text(String)
    /// A whole number; also that of a class whose name the table knows.
    case integer(Int)
    /// A number with a fraction.
    case real(Double)
    /// True or false.
    case boolean(Bool)
    /// Several values, such as the scores of several texts.
    case list([TableValue])

    /// The word for messages.
    package var kindText: String {
        switch self {
        case .null: "null"
        case .text: "a text"
        case .integer: "a whole number"
        case .real: "a number"
        case .boolean: "a Boolean"
        case .list: "a list"
        }
    }

    /// The value as JSON; numbers that JSON does not have are null.
    package var json: JSONValue {
        switch self {
        case .null: .null
        case .text(let text): .string(text)
        case .integer(let number): JSONValue(number)
        case .real(let number): number.isFinite ? JSONValue(number) : .null
        case .boolean(let flag): .bool(flag)
        case .list(let values): .array(values.map(\.json))
        }
    }

    /// The value as Python's `str` writes it, by which sentence-transformers compares values.
    package var pythonText: String {
        switch self {
        case .text(let text): text
        case .list(let values): "[" + values.map(\.pythonRepresentation).joined(separator: ", ") + "]"
        case .null, .integer, .real, .boolean: pythonRepresentation
        }
    }

    private var pythonRepresentation: String {
        switch self {
        case .null: "None"
        case .text(let text): Self.quoted(text)
        case .integer(let number): String(number)
        case .real(let number):
            number.isFinite ? JSONNumber(number).spelling : number.isNaN ? "nan" : number < 0 ? "-inf" : "inf"
        case .boolean(let flag): flag ? "True" : "False"
        case .list: pythonText
        }
    }

    /// A text in Python's quotes; characters that are printed nowhere are told apart from all others, which is enough to
    /// compare.
    private static func quoted(_ text: String) -> String {
        let quote: Unicode.Scalar =
            text.unicodeScalars.contains("'") && !text.unicodeScalars.contains("\"") ? "\"" : "'"
        var result = String.UnicodeScalarView([quote])
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case "\\", quote:
                result.append("\\")
                result.append(scalar)
            default: result.append(scalar)
            }
        }
        result.append(quote)
        return String(result)
    }
}
