/// The filters that stand behind `|`.
enum TemplateFilters {
    static let names: Set<String> = [
        "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape", "first",
        "float", "forceescape", "format", "groupby", "indent", "int", "items", "join", "last", "length", "list",
        "lower",
        "map", "max", "min", "regex_replace", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select",
        "selectattr", "slice", "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper",
        "wordcount",
    ]
}

extension Interpreter {
    /// Applies a filter.
    func filter(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> Value {
        if case .string(let text) = value { try take(steps: text.bytes.count / 64) }
        switch name {
        case "default", "d":
            let isBoolean = try arguments.value(1, "boolean").map(isTrue) ?? false
            if case .undefined(let undefined) = value, !undefined.isForbidden {
                return arguments.value(0, "default_value") ?? .text("")
            }
            return try isBoolean && !isTrue(value) ? arguments.value(0, "default_value") ?? .text("") : value
        case "tojson": return .string(try json(of: value, arguments))
        case "string", "safe": return .string(try string(of: value))
        case "length", "count":
            guard let length = try length(of: value) else { throw hasNo("length", value) }
            return .int(length)
        case "abs":
            guard let number = value.number else { throw wrongOperand("abs", value) }
            if let integer = value.integer, integer != .min { return .int(abs(integer)) }
            return .float(abs(number))
        case "int": return try integer(value, arguments)
        case "float": return .float(try float(value) ?? arguments.value(0, "default").flatMap(\.number) ?? 0)
        case "round": return try rounded(value, arguments)
        case "attr":
            guard case .string(let name)? = arguments.value(0, "name") else { throw fail("attr needs a name") }
            if case .dict = value, ValueMethods.access(name.string, value) == .absent {
                let shown = Undefined.shortened(name.string)
                return .undefined(Undefined(reason: "'dict object' has no attribute '\(shown)'"))
            }
            return try attribute(name.string, of: value)
        case "regex_replace":
            guard environment == .evaluationHarness else {
                throw fail("the filter \"regex_replace\" belongs to the evaluation harness's templates")
            }
            return .string(try replacedByExpression(value, arguments))
        default:
            if let result = try textFilter(name, value, arguments) { return result }
            if let result = try sequenceFilter(name, value, arguments) { return result }
            if let result = try selection(name, value, arguments) { return result }
            throw fail("unknown filter \"\(name)\"")
        }
    }

    // MARK: - Numbers

    private func integer(_ value: Value, _ arguments: CallArguments) throws -> Value {
        let fallback = arguments.value(0, "default") ?? .int(0)
        if let integer = value.integer { return .int(integer) }
        switch value {
        case .bigInt: return value
        case .float(let number): return try number.isNaN ? fallback : .int(whole(number))
        case .string(let text):
            let base = try arguments.value(1, "base").map { try size($0, "base", limit: 36) } ?? 10
            if let integer = Self.integer(text.stripped().string, base: base) { return .int(integer) }
            guard let number = try float(value), number.isFinite else { return fallback }
            return .int(try whole(number))
        case .undefined(let undefined):
            throw fail(undefined.reason)
        default: return fallback
        }
    }

    private func whole(_ number: Double) throws -> Int {
        guard let integer = Int(exactly: number.rounded(.towardZero)) else { throw tooLarge }
        return integer
    }

    private static func integer(_ spelling: String, base: Int) -> Int? {
        guard base == 0 || (2...36).contains(base) else { return nil }
        let sign = spelling.hasPrefix("-") ? "-" : ""
        var digits = spelling.hasPrefix("-") || spelling.hasPrefix("+") ? String(spelling.dropFirst()) : spelling
        var radix = base
        for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)]
        where digits.lowercased().hasPrefix(prefix) && (base == value || base == 0) {
            (digits, radix) = (String(digits.dropFirst(2)), value)
        }
        if radix == 0 { radix = 10 }
        let parts = digits.split(separator: "_", omittingEmptySubsequences: false)
        guard !parts.contains(where: \.isEmpty), !digits.hasPrefix("-"), !digits.hasPrefix("+") else { return nil }
        return Int(sign + parts.joined(), radix: radix)
    }

    private func float(_ value: Value) throws -> Double? {
        if let number = value.number { return number }
        if case .undefined(let undefined) = value { throw fail(undefined.reason) }
        guard case .string(let text) = value else { return nil }
        let spelling = text.stripped().string.lowercased()
        let word = spelling.hasPrefix("-") || spelling.hasPrefix("+") ? String(spelling.dropFirst()) : spelling
        switch word {
        case "inf", "infinity": return spelling.hasPrefix("-") ? -.infinity : .infinity
        case "nan": return .nan
        default:
            let parts = spelling.split(separator: "_", omittingEmptySubsequences: false)
            guard word.utf8.first.map({ $0 == UInt8(ascii: ".") || ($0 >= 0x30 && $0 <= 0x39) }) == true,
                !word.hasPrefix("0x"), !parts.contains(where: \.isEmpty)
            else { return nil }
            let plain = parts.joined()
            // Swift wants digits on both sides of the point.
            return Double(plain) ?? Double(plain.replacing("+.", with: "+0.").replacing("-.", with: "-0."))
                ?? (plain.hasPrefix(".") ? Double("0" + plain) : plain.hasSuffix(".") ? Double(plain + "0") : nil)
        }
    }

    private func rounded(_ value: Value, _ arguments: CallArguments) throws -> Value {
        let places =
            try arguments.value(0, "precision").map { value in
                guard let places = value.integer else { throw fail("round: the precision is no integer") }
                return max(-400, min(400, places))
            } ?? 0
        let method: Text =
            switch arguments.value(1, "method") {
            case nil: Text("common")
            case .string(let text)?: text
            default: throw fail("round: the method is no string")
            }
        guard let number = value.number else { throw wrongOperand("round", value) }
        switch method.string {
        case "common":
            if let integer = value.integer, places >= 0 { return .int(integer) }
            let result = FloatFormatting.rounded(number, places: places)
            return value.integer != nil ? .int(Int(exactly: result) ?? 0) : .float(result)
        case "ceil", "floor":
            var factor = 1.0
            for _ in 0..<abs(places) { factor *= 10 }
            let scaled = places < 0 ? number / factor : number * factor
            // Python rounds to an integer here, which has no negative zero.
            let whole = scaled.rounded(method.string == "ceil" ? .up : .down) + 0
            guard whole.isFinite else { throw fail("round: the result is not finite") }
            return .float(places < 0 ? whole * factor : whole / factor)
        default: throw fail("round: the method is \"\(method.string)\"; expected common, ceil or floor")
        }
    }

    // MARK: - Texts

    private func textFilter(_ name: String, _ value: Value, _ arguments: CallArguments) throws -> Value? {
        switch name {
        case "upper", "lower", "capitalize", "title":
            let text = try string(of: value)
            try take(bytes: text.bytes.count)
            try take(steps: text.bytes.count / 16)
            return .string(name == "title" ? Self.titled(text) : text.recased(name) ?? text)
        case "trim":
            let text = try string(of: value)
            try take(bytes: text.bytes.count)
            switch arguments.value(0, "chars") {
            case nil, Value.none?: return .string(text.stripped())
            case .string(let characters)?: return .string(text.stripped(characters))
            default: throw fail("trim: the characters are no string")
            }
        case "replace":
            guard let old = arguments.value(0, "old"), let new = arguments.value(1, "new") else {
                throw fail("replace needs an old and a new text")
            }
            var limit = -1
            if let count = arguments.value(2, "count"), case .none = count {
            } else if let count = arguments.value(2, "count") {
                guard let integer = count.integer else { throw fail("replace: the count is no integer") }
                limit = integer
            }
            return .string(try replaced(string(of: value), string(of: old), by: string(of: new), limit: limit))
        case "indent":
            guard case .string(let text) = value else { throw wrongOperand("indent", value) }
            return .string(try indented(text, arguments))
        case "center":
            let width = try arguments.value(0, "width").map { try size($0, "center: the width") } ?? 80
            return .string(try padded(string(of: value), "center", width, fill: Text(" ")))
        case "format":
            let named = arguments.named
            guard named.isEmpty || arguments.positional.isEmpty else { throw fail("format takes positions or names") }
            guard named.isEmpty else {
                var dictionary = PythonDictionary()
                for (name, value) in named { dictionary[.text(name)] = value }
                return .string(try formatted(string(of: value), percent: .dict(dictionary)))
            }
            return .string(try formatted(string(of: value), percent: .tuple(arguments.positional)))
        case "truncate": return try truncated(value, arguments)
        case "wordcount":
            var (count, isInside) = (0, false)
            for scalar in try string(of: value).scalars {
                if scalar.isWordCharacter, !isInside { count += 1 }
                isInside = scalar.isWordCharacter
            }
            return .int(count)
        case "escape", "e", "forceescape":
            let entities: [UInt8: String] = [
                UInt8(ascii: "&"): "&amp;", UInt8(ascii: "<"): "&lt;", UInt8(ascii: ">"): "&gt;",
                UInt8(ascii: "'"): "&#39;", UInt8(ascii: "\""): "&#34;",
            ]
            let text = try string(of: value)
            try take(bytes: 5 * text.bytes.count)
            return .string(Text(bytes: text.bytes.flatMap { entities[$0].map { Array($0.utf8) } ?? [$0] }))
        default: return nil
        }
    }

    /// Upper case behind white space, hyphens and opening brackets, as Jinja's filter has it, other than the method.
    private static func titled(_ text: Text) -> Text {
        var result = Text(bytes: [])
        var word: [Unicode.Scalar] = []
        func close() {
            if let first = word.first {
                result.bytes += Text([first]).uppercased.bytes + Text(word.dropFirst()).lowercased.bytes
            }
            word = []
        }
        for scalar in text.scalars {
            if scalar.isPythonSpace || ["-", "(", "{", "[", "<"].contains(scalar) {
                close()
                result.append(scalar)
            } else {
                word.append(scalar)
            }
        }
        close()
        return result
    }

    private func indented(_ text: Text, _ arguments: CallArguments) throws -> Text {
        let indent: Text =
            switch arguments.value(0, "width") {
            case nil: Text("    ")
            case .string(let text)?: text
            case let other?: Text(bytes: [UInt8](repeating: 0x20, count: try size(other, "indent: the width")))
            }
        let indentsFirst = try arguments.value(1, "first").map(isTrue) ?? false
        let indentsBlank = try arguments.value(2, "blank").map(isTrue) ?? false
        // As in Jinja, a newline at the end stays.
        var lines = (text + Text("\n")).lines()
        try take(bytes: (lines.count + 1) * (indent.bytes.count + 16) + text.bytes.count)
        for index in lines.indices {
            let isIndented = index == 0 ? indentsFirst : indentsBlank || !lines[index].isEmpty
            if isIndented { lines[index] = indent + lines[index] }
        }
        return try joined(lines, by: Text("\n"))
    }

    /// What is short enough comes back as it is, whatever it is.
    private func truncated(_ value: Value, _ arguments: CallArguments) throws -> Value {
        let length = try arguments.value(0, "length").map { try size($0, "truncate: the length") } ?? 255
        let cutsWords = try arguments.value(1, "killwords").map(isTrue) ?? false
        let end: Text = if case .string(let text)? = arguments.value(2, "end") { text } else { Text("...") }
        let leeway = try arguments.value(3, "leeway").map { try size($0, "truncate: the leeway") } ?? 5
        guard length >= end.count else {
            throw fail("truncate: the length is \(length); expected \(end.count) or more")
        }
        guard let count = try self.length(of: value) else { throw wrongOperand("truncate", value) }
        guard count > length + leeway else { return value }
        guard case .string(let text) = value else { throw wrongOperand("truncate", value) }
        try take(bytes: text.bytes.count)
        let kept = Text(text.bytes[..<text.byteOffset(ofCharacter: length - end.count)])
        if cutsWords { return .string(kept + end) }
        let space = kept.lastRange(of: Text(" "))
        return .string((space.map { Text(kept.bytes[..<$0.lowerBound]) } ?? kept) + end)
    }
}
