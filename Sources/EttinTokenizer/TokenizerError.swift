public import EttinJSON

/// Why a tokenizer cannot be read, written or trained.
public enum TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A file could not be read or written.
    case file(path: String, reason: String)
    /// A file is not the JSON that was expected.
    case malformed(file: String, error: JSONError)
    /// A file asks for something that this library does not do.
    case unsupported(file: String, field: String, found: String, supported: String)
    /// A file contradicts itself or holds an impossible value.
    case invalid(file: String, field: String, found: String, expected: String)
    /// An option has an impossible value.
    case invalidOption(name: String, found: String, expected: String)

    /// File, field, finding and expectation in one line.
    public var description: String {
        let text = sentence
        guard text.utf8.contains(where: { $0 < 0x20 }) else { return text }
        // Names come from files; one line stays one line.
        return String(
            String.UnicodeScalarView(text.unicodeScalars.flatMap { $0.value < 0x20 ? Array($0.escaped) : [$0] })
        )
    }

    private var sentence: String {
        switch self {
        case .file(let path, let reason):
            "\(path): \(reason)"
        case .malformed(let file, let error):
            "\(file): \(error)"
        case .unsupported(let file, let field, let found, let supported):
            "\(file): \"\(field)\" is \(found), which is not supported; supported: \(supported)"
        case .invalid(let file, let field, let found, let expected):
            "\(file): \"\(field)\" is \(found); expected \(expected)"
        case .invalidOption(let name, let found, let expected):
            "\(name) is \(found); expected \(expected)"
        }
    }
}

extension Unicode.Scalar {
    /// A control character as Swift spells it.
    fileprivate var escaped: String.UnicodeScalarView { "\\u{\(String(value, radix: 16))}".unicodeScalars }
}
