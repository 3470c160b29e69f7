// `text % values`, the filter `format`, and `text.format(…)`.

/// What stands between `%` or `:` and the type of a placeholder.
private struct FormatSpecification {
    var fill = Text(" ")
    var alignment: Unicode.Scalar?
    var sign: Unicode.Scalar?
    var isAlternative = false
    var padsZeros = false
    var width = 0
    var grouping: Unicode.Scalar?
    var precision: Int?
    var type: Unicode.Scalar?
    /// Whether nothing is said, so that a value is printed as it is.
    var isEmpty = false
}

extension Interpreter {
    private static let widthLimit = 100_000

    // MARK: - text % values

    func formatted(_ format: Text, percent value: Value) throws -> Text {
        try take(bytes: format.bytes.count)
        var values: [Value] = if case .tuple(let values) = value { values } else { [value] }
        let isMapping = if case .dict = value { true } else { false }
        values.reverse()
        var result = Text(bytes: [])
        let scalars = Array(format.scalars)
        var position = 0
        func next() throws -> Value {
            guard let value = values.popLast() else { throw fail("not enough values for the format") }
            return value
        }
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            guard scalar == "%" else {
                result.append(scalar)
                continue
            }
            try take(steps: 1)
            var named: Value?
            if position < scalars.count, scalars[position] == "(" {
                guard isMapping, let end = scalars[position...].firstIndex(of: ")") else {
                    throw fail("the format needs a mapping")
                }
                named = try item(.string(Text(scalars[(position + 1)..<end])), of: value)
                position = end + 1
            }
            var form = FormatSpecification()
            flags: while position < scalars.count {
                switch scalars[position] {
                case "-": form.alignment = "<"
                case "0": form.padsZeros = true
                case "+": form.sign = "+"
                case " ": form.sign = form.sign ?? " "
                case "#": form.isAlternative = true
                default: break flags
                }
                position += 1
            }
            form.width = try number(scalars, &position) ?? 0
            if position < scalars.count, scalars[position] == "." {
                position += 1
                form.precision = try number(scalars, &position) ?? 0
            }
            guard position < scalars.count else { throw fail("the format ends within a placeholder") }
            let type = scalars[position]
            position += 1
            if type == "%" {
                result.append("%")
                continue
            }
            let argument = try named ?? next()
            form.type = type
            let piece = try percentPiece(argument, form)
            try take(bytes: piece.bytes.count)
            result.bytes += piece.bytes
        }
        // Python takes for a mapping what has items, lists and ranges among them.
        let mayBeLeft =
            switch value {
            case .dict, .list, .range: true
            default: false
            }
        guard mayBeLeft || values.isEmpty else {
            throw fail("not all values are used by the format")
        }
        return result
    }

    private func percentPiece(_ value: Value, _ form: FormatSpecification) throws -> Text {
        var form = form
        form.alignment = form.alignment ?? ">"
        if form.alignment == "<" { form.padsZeros = false }
        switch form.type {
        case "s", "r":
            var text = Text(bytes: [])
            if form.type == "s" { text = try string(of: value) } else { try appendRepresentation(of: value, to: &text) }
            if let precision = form.precision { text = try prefix(of: text, precision) }
            form.padsZeros = false
            return try aligned(text, form)
        case "d", "i", "u":
            guard let number = value.number, number.isFinite else { throw fail("%d needs a number") }
            let digits =
                if case .float = value { Self.wholeDigits(number.rounded(.towardZero)) } else {
                    try string(of: .int(value.integer ?? 0)).string
                }
            return try aligned(signed(Self.widened(digits, form.precision), form), form)
        case "x", "X", "o":
            guard let number = value.integer else { throw fail("%x needs an integer") }
            guard !form.isAlternative else { throw fail("the format has the flag #, which is not supported") }
            let digits = String(number, radix: form.type == "o" ? 8 : 16, uppercase: form.type == "X")
            return try aligned(signed(Self.widened(digits, form.precision), form), form)
        case "f", "F", "e", "E", "g", "G":
            guard let number = value.number else { throw fail("%f needs a number") }
            guard !form.isAlternative else { throw fail("the format has the flag #, which is not supported") }
            return try aligned(signed(FloatFormatting.text(number, form.type ?? "f", form.precision ?? 6), form), form)
        case "c":
            if case .string(let text) = value, text.count == 1 { return try aligned(text, form) }
            guard let number = value.integer, let scalar = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else {
                throw fail("%c needs a character")
            }
            return try aligned(Text([scalar]), form)
        default: throw fail("the format has an unsupported placeholder")
        }
    }

    private func prefix(of text: Text, _ count: Int) throws -> Text {
        try take(steps: text.bytes.count / 64)
        return Text(text.bytes[..<text.byteOffset(ofCharacter: count)])
    }

    /// An integer with zeros in front of its digits, as many as its precision asks for.
    private static func widened(_ digits: String, _ precision: Int?) -> String {
        let sign = digits.hasPrefix("-") ? "-" : ""
        let missing = max(0, (precision ?? 0) - (digits.utf8.count - sign.utf8.count))
        return sign + String(repeating: "0", count: missing) + digits.dropFirst(sign.count)
    }

    private static func wholeDigits(_ number: Double) -> String { FloatFormatting.text(number, "f", 0) }

    private func number(_ scalars: [Unicode.Scalar], _ position: inout Int) throws -> Int? {
        var result: Int?
        while position < scalars.count, ("0"..."9").contains(scalars[position]) {
            result = (result ?? 0) * 10 + Int(scalars[position].value - 48)
            position += 1
            guard (result ?? 0) <= Self.widthLimit else { throw fail("the format has a width over \(Self.widthLimit)") }
        }
        return result
    }

    private func signed(_ digits: String, _ form: FormatSpecification) -> Text {
        guard !digits.hasPrefix("-"), let sign = form.sign, sign != "-" else { return Text(digits) }
        return Text(String(sign) + digits)
    }

    private func aligned(_ text: Text, _ form: FormatSpecification) throws -> Text {
        if form.padsZeros { return try padded(text, "zfill", form.width, fill: Text("0")) }
        let method =
            switch form.alignment {
            case "<": "ljust"
            case "^": "center"
            default: "rjust"
            }
        guard method == "center" else { return try padded(text, method, form.width, fill: form.fill) }
        // Other than the method, a format leaves the odd one to the right.
        let missing = max(0, form.width - text.count)
        return try padded(
            padded(text, "rjust", text.count + missing / 2, fill: form.fill),
            "ljust",
            form.width,
            fill: form.fill
        )
    }

    // MARK: - text.format(…)

    func formatted(_ format: Text, _ arguments: CallArguments) throws -> Text {
        try take(bytes: format.bytes.count)
        var result = Text(bytes: [])
        let scalars = Array(format.scalars)
        var position = 0
        var automatic = 0
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            guard scalar == "{" || scalar == "}" else {
                result.append(scalar)
                continue
            }
            if position < scalars.count, scalars[position] == scalar {
                result.append(scalar)
                position += 1
                continue
            }
            guard scalar == "{", let end = scalars[position...].firstIndex(of: "}") else {
                throw fail("format: single '\(scalar)' in the text")
            }
            let parts = Array(scalars[position..<end]).split(
                separator: ":",
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            position = end + 1
            let head = parts[0].split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
            let name = head.first.map { String(String.UnicodeScalarView($0)) } ?? ""
            let value = try field(named: name, &automatic, arguments)
            let form = try specification(parts.count > 1 ? Array(parts[1]) : [])
            let piece: Text
            if head.count > 1 {
                var text = Text(bytes: [])
                if head[1].elementsEqual(["r"]) {
                    try appendRepresentation(of: value, to: &text)
                } else {
                    text = try string(of: value)
                }
                piece = try formatPiece(.string(text), form)
            } else {
                piece = try formatPiece(value, form)
            }
            try take(bytes: piece.bytes.count)
            result.bytes += piece.bytes
        }
        return result
    }

    private func field(named name: String, _ automatic: inout Int, _ arguments: CallArguments) throws -> Value {
        // Names are searched one by one.
        try take(steps: 1 + arguments.named.count / 8)
        let parts = name.split(omittingEmptySubsequences: false) { $0 == "." || $0 == "[" }
        let head = parts.first.map(String.init) ?? ""
        var value: Value
        if head.isEmpty || Int(head) != nil {
            let index = Int(head) ?? automatic
            if head.isEmpty { automatic += 1 }
            guard arguments.positional.indices.contains(index) else { throw fail("format: there is no value \(index)") }
            value = arguments.positional[index]
        } else {
            guard let found = arguments.named.first(where: { $0.name == head }) else {
                throw fail("format: there is no value '\(head)'")
            }
            value = found.value
        }
        for part in parts.dropFirst() {
            if part.hasSuffix("]") {
                let key = String(part.dropLast())
                value = try item(Int(key).map(Value.int) ?? .text(key), of: value)
            } else {
                value = try attribute(String(part), of: value)
            }
        }
        return value
    }

    private func specification(_ scalars: [Unicode.Scalar]) throws -> FormatSpecification {
        var form = FormatSpecification()
        form.isEmpty = scalars.isEmpty
        var position = 0
        func isAlignment(_ index: Int) -> Bool {
            index < scalars.count && ["<", ">", "^", "="].contains(scalars[index])
        }
        if isAlignment(1) {
            (form.fill, form.alignment, position) = (Text([scalars[0]]), scalars[1], 2)
        } else if isAlignment(0) {
            (form.alignment, position) = (scalars[0], 1)
        }
        func skip(_ accepted: [Unicode.Scalar]) -> Unicode.Scalar? {
            guard position < scalars.count, accepted.contains(scalars[position]) else { return nil }
            position += 1
            return scalars[position - 1]
        }
        form.sign = skip(["+", "-", " "])
        form.isAlternative = skip(["#"]) != nil
        form.padsZeros = skip(["0"]) != nil
        form.width = try number(scalars, &position) ?? 0
        form.grouping = skip([",", "_"])
        if skip(["."]) != nil { form.precision = try number(scalars, &position) ?? 0 }
        if position < scalars.count {
            form.type = scalars[position]
            position += 1
        }
        guard position == scalars.count, !form.isAlternative, form.alignment != "=" else {
            throw fail("format: this form of a value is not supported")
        }
        return form
    }

    private func formatPiece(_ value: Value, _ form: FormatSpecification) throws -> Text {
        var form = form
        switch value {
        case .int, .bool, .float:
            if case .bool = value, form.isEmpty { break }
            guard let number = value.number else { break }
            form.alignment = form.alignment ?? ">"
            if form.alignment != ">" { form.padsZeros = false }
            guard !form.padsZeros || form.grouping == nil || form.width == 0 else {
                throw fail("format: zeros in front of grouped digits are not supported")
            }
            let digits: String
            switch form.type {
            case nil where value.integer != nil && form.precision == nil, "d":
                digits = try string(of: .int(value.integer ?? 0)).string
            case nil:
                guard form.precision == nil else { throw fail("format: a precision needs a type, such as .2f") }
                digits = Self.spelling(of: number)
            case "f", "F", "e", "E", "g", "G":
                digits = FloatFormatting.text(number, form.type ?? "f", form.precision ?? 6)
            case "%": digits = FloatFormatting.text(number * 100, "f", form.precision ?? 6) + "%"
            case "x", "X", "o", "b":
                guard let integer = value.integer else { throw fail("format: this type needs an integer") }
                let radix = form.type == "o" ? 8 : form.type == "b" ? 2 : 16
                digits = String(integer, radix: radix, uppercase: form.type == "X")
            default: throw fail("format: this type is not supported for numbers")
            }
            return try aligned(
                signed(form.grouping.map { FloatFormatting.grouped(digits, by: $0) } ?? digits, form),
                form
            )
        case .string: break
        default:
            // Only strings and numbers have forms in Python.
            guard form.isEmpty else { throw fail("format: a value of type \(value.typeName) takes no form") }
        }
        guard form.type == nil || form.type == "s" else { throw fail("format: this type needs a number") }
        var text = try string(of: value)
        if let precision = form.precision { text = try prefix(of: text, precision) }
        form.padsZeros = false
        form.alignment = form.alignment ?? "<"
        return try aligned(text, form)
    }
}
