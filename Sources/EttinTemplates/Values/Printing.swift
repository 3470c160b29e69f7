import EttinJSON

// How Python prints values.

extension Interpreter {
    /// `str(value)`.
    func string(of value: Value) throws -> Text {
        switch value {
        case .string(let text): return text
        case .undefined(let undefined):
            guard !undefined.isForbidden, environment == .chat else { throw fail(undefined.reason) }
            return Text(bytes: [])
        default:
            var text = Text(bytes: [])
            try appendRepresentation(of: value, to: &text)
            return text
        }
    }

    /// Appends `repr(value)`.
    func appendRepresentation(of value: Value, to text: inout Text) throws {
        try take(steps: 1)
        switch value {
        case .undefined: text.bytes += "Undefined".utf8
        case .none: text.bytes += "None".utf8
        case .bool(let value): text.bytes += (value ? "True" : "False").utf8
        case .int(let value): text.bytes += String(value).utf8
        case .bigInt(let spelling): text.bytes += spelling.utf8
        case .float(let value): text.bytes += Self.spelling(of: value).utf8
        case .string(let string):
            try take(bytes: string.bytes.count)
            Self.appendQuoted(string, to: &text)
        case .list(let values): try append(values, "[", "]", to: &text)
        case .tuple(let values): try append(values, "(", values.count == 1 ? ",)" : ")", to: &text)
        case .dict(let dictionary): try append(dictionary, to: &text)
        case .view(let view, let dictionary):
            text.bytes += "dict_\(view.rawValue)(".utf8
            try append(dictionary.elements(of: view), "[", "]", to: &text)
            text.bytes += ")".utf8
        case .range(let range):
            let step = range.step == 1 ? "" : ", \(range.step)"
            text.bytes += "range(\(range.start), \(range.stop)\(step))".utf8
        case .namespace(let namespace):
            text.bytes += "<Namespace ".utf8
            try append(namespace.attributes, to: &text)
            text.bytes += ">".utf8
        case .macro(let macro): text.bytes += "<Macro '\(macro.definition.name)'>".utf8
        case .loop(let loop): text.bytes += "<LoopContext \(loop.index + 1)/\(loop.values.count)>".utf8
        case .iterator, .method, .function: throw fail("a value of type \(value.typeName) cannot be printed")
        }
    }

    private func append(_ values: [Value], _ opening: String, _ closing: String, to text: inout Text) throws {
        text.bytes += opening.utf8
        for (index, value) in values.enumerated() {
            if index > 0 { text.bytes += ", ".utf8 }
            try deeper { try appendRepresentation(of: value, to: &text) }
        }
        text.bytes += closing.utf8
    }

    private func append(_ dictionary: PythonDictionary, to text: inout Text) throws {
        text.bytes += "{".utf8
        for (index, (key, value)) in zip(dictionary.keys, dictionary.values).enumerated() {
            if index > 0 { text.bytes += ", ".utf8 }
            try appendRepresentation(of: key, to: &text)
            text.bytes += ": ".utf8
            try deeper { try appendRepresentation(of: value, to: &text) }
        }
        text.bytes += "}".utf8
    }

    /// `repr` of a float.
    static func spelling(of value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        return JSONNumber(value).spelling
    }

    /// `repr` of a string: in single quotes unless it has those and no double ones.
    private static func appendQuoted(_ string: Text, to text: inout Text) {
        let hasSingle = string.bytes.contains(UInt8(ascii: "'"))
        let quote: Unicode.Scalar = hasSingle && !string.bytes.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        text.append(quote)
        for scalar in string.scalars {
            switch scalar {
            case quote, "\\":
                text.append("\\")
                text.append(scalar)
            case "\n": text.bytes += "\\n".utf8
            case "\r": text.bytes += "\\r".utf8
            case "\t": text.bytes += "\\t".utf8
            default:
                if scalar.isPythonPrintable {
                    text.append(scalar)
                } else {
                    let digits = String(scalar.value, radix: 16)
                    let (letter, width) = scalar.value <= 0xFF ? ("x", 2) : scalar.value <= 0xFFFF ? ("u", 4) : ("U", 8)
                    text.bytes += "\\\(letter)\(String(repeating: "0", count: width - digits.utf8.count))\(digits)".utf8
                }
            }
        }
        text.append(quote)
    }
}

extension Unicode.Scalar {
    /// Whether Python prints the character in a quoted string as it is.
    var isPythonPrintable: Bool {
        if value < 0x7F { return value >= 0x20 }
        return switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }
}
