// The filter `tojson`.

/// How `tojson` writes.
struct JSONForm {
    /// What stands in front of each level; nil for one line.
    var indent: Text?
    var itemSeparator: Text
    var keySeparator = Text(": ")
    var sortsKeys: Bool
    var escapesNonASCII: Bool
    /// Whether characters that HTML gives a meaning to are escaped, as Jinja's own filter does.
    var escapesHTML: Bool
}

extension Interpreter {
    /// `json.dumps(value)`, with the options that transformers gives the filter, or those of Jinja's own.
    func json(of value: Value, _ arguments: CallArguments) throws -> Text {
        let isChat = environment == .chat
        // Jinja's filter takes the indent alone.
        let indentValue = isChat ? arguments.value(1, "indent") : arguments.value(0, "indent")
        let indent: Text? =
            switch indentValue {
            case nil, Value.none?: nil
            case .string(let text)?: text
            case let other?:
                Text(bytes: [UInt8](repeating: 0x20, count: try size(other, "indent", limit: 1000)))
            }
        var form = JSONForm(
            indent: indent,
            itemSeparator: Text(indent == nil ? ", " : ","),
            sortsKeys: !isChat,
            escapesNonASCII: !isChat,
            escapesHTML: !isChat
        )
        if isChat {
            if let value = arguments.value(0, "ensure_ascii") { form.escapesNonASCII = try isTrue(value) }
            if let value = arguments.value(3, "sort_keys") { form.sortsKeys = try isTrue(value) }
            if let value = arguments.value(2, "separators"), case .none = value {
            } else if let value = arguments.value(2, "separators") {
                let parts = try elements(of: value)
                guard parts.count == 2, case .string(let item) = parts[0], case .string(let key) = parts[1] else {
                    throw fail("tojson: separators must be two strings")
                }
                (form.itemSeparator, form.keySeparator) = (item, key)
            }
        }
        var text = Text(bytes: [])
        try append(value, form, level: 1, to: &text)
        try take(bytes: text.bytes.count)
        guard form.escapesHTML else { return text }
        let escapes: [(UInt8, String)] = [
            (UInt8(ascii: "<"), "\\u003c"), (UInt8(ascii: ">"), "\\u003e"), (UInt8(ascii: "&"), "\\u0026"),
            (UInt8(ascii: "'"), "\\u0027"),
        ]
        try take(bytes: 5 * text.bytes.count { byte in escapes.contains { $0.0 == byte } })
        return Text(
            bytes: text.bytes.flatMap { byte in escapes.first { $0.0 == byte }.map { Array($0.1.utf8) } ?? [byte] }
        )
    }

    private func append(_ value: Value, _ form: JSONForm, level: Int, to text: inout Text) throws {
        try take(steps: 1)
        switch value {
        case .none: text.bytes += "null".utf8
        case .bool(let value): text.bytes += (value ? "true" : "false").utf8
        case .int(let value): text.bytes += String(value).utf8
        case .bigInt(let spelling): text.bytes += spelling.utf8
        case .float(let value): text.bytes += Self.jsonSpelling(of: value).utf8
        case .string(let string): try appendEscaped(string, form, to: &text)
        case .list(let values), .tuple(let values):
            guard !values.isEmpty else {
                text.bytes += "[]".utf8
                return
            }
            text.bytes += "[".utf8
            for (index, value) in values.enumerated() {
                try separate(index, form, level, to: &text)
                try deeper { try append(value, form, level: level + 1, to: &text) }
            }
            try breakLine(form, level - 1, to: &text)
            text.bytes += "]".utf8
        case .dict(let dictionary): try append(dictionary, form, level: level, to: &text)
        default: throw fail("tojson: a value of type \(value.typeName) cannot be written as JSON")
        }
    }

    private func append(_ dictionary: PythonDictionary, _ form: JSONForm, level: Int, to text: inout Text) throws {
        guard dictionary.count > 0 else {
            text.bytes += "{}".utf8
            return
        }
        var members = zip(dictionary.keys, dictionary.values).map { ($0, $1) }
        if form.sortsKeys { members = try sorted(members) { $0.0 } }
        text.bytes += "{".utf8
        for (index, (key, value)) in members.enumerated() {
            try separate(index, form, level, to: &text)
            let name: Text =
                switch key {
                case .string(let name): name
                case .none: Text("null")
                case .bool(let value): Text(value ? "true" : "false")
                case .int, .bigInt: try string(of: key)
                case .float(let value): Text(Self.jsonSpelling(of: value))
                default: throw fail("tojson: a value of type \(key.typeName) cannot be a key of JSON")
                }
            try appendEscaped(name, form, to: &text)
            try take(bytes: form.keySeparator.bytes.count)
            text.bytes += form.keySeparator.bytes
            try deeper { try append(value, form, level: level + 1, to: &text) }
        }
        try breakLine(form, level - 1, to: &text)
        text.bytes += "}".utf8
    }

    private func separate(_ index: Int, _ form: JSONForm, _ level: Int, to text: inout Text) throws {
        if index > 0 {
            try take(bytes: form.itemSeparator.bytes.count)
            text.bytes += form.itemSeparator.bytes
        }
        try breakLine(form, level, to: &text)
    }

    private func breakLine(_ form: JSONForm, _ level: Int, to text: inout Text) throws {
        guard let indent = form.indent else { return }
        try take(bytes: indent.bytes.count * level)
        text.bytes.append(0x0A)
        for _ in 0..<level { text.bytes += indent.bytes }
    }

    private static func jsonSpelling(of value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity" }
        return spelling(of: value)
    }

    private func appendEscaped(_ string: Text, _ form: JSONForm, to text: inout Text) throws {
        // A control character takes six bytes, and so does, where it is escaped, any other of two or more.
        let controls = string.bytes.count { $0 < 0x20 }
        let others = form.escapesNonASCII ? string.bytes.count { $0 >= 0x80 } : 0
        try take(bytes: string.bytes.count + 5 * controls + 2 * others)
        func escape(_ unit: UInt16) {
            let digits = String(unit, radix: 16)
            text.bytes += "\\u\(String(repeating: "0", count: 4 - digits.utf8.count))\(digits)".utf8
        }
        text.append("\"")
        for scalar in string.scalars {
            switch scalar {
            case "\"": text.bytes += "\\\"".utf8
            case "\\": text.bytes += "\\\\".utf8
            case "\n": text.bytes += "\\n".utf8
            case "\r": text.bytes += "\\r".utf8
            case "\t": text.bytes += "\\t".utf8
            case "\u{08}": text.bytes += "\\b".utf8
            case "\u{0C}": text.bytes += "\\f".utf8
            case "\u{00}"..<" ": escape(UInt16(scalar.value))
            default:
                if form.escapesNonASCII, scalar.value >= 0x7F, !(scalar.value == 0x7F) {
                    for unit in UTF16.encode(scalar).map(Array.init) ?? [] { escape(unit) }
                } else {
                    text.append(scalar)
                }
            }
        }
        text.append("\"")
    }
}
