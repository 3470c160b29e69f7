// Python's string methods.

extension Interpreter {
    private func text(_ value: Value?, _ method: String) throws -> Text {
        guard case .string(let text)? = value else {
            if case .undefined(let undefined)? = value { throw fail(undefined.reason) }
            throw fail(
                "\(method): expected a string, found \(value.map { "a value of type \($0.typeName)" } ?? "nothing")"
            )
        }
        return text
    }

    private func optionalText(_ value: Value?, _ method: String) throws -> Text? {
        if case .none? = value { return nil }
        return try value.map { try text($0, method) }
    }

    private func integer(_ value: Value?, _ method: String) throws -> Int? {
        guard let value else { return nil }
        guard let integer = value.integer else {
            throw fail("\(method): expected an integer, found a value of type \(value.typeName)")
        }
        return integer
    }

    func call(_ name: String, of text: Text, _ arguments: CallArguments) throws -> Value {
        try take(bytes: text.bytes.count)
        let first = arguments.positional.first
        let second = arguments.positional.count > 1 ? arguments.positional[1] : nil
        switch name {
        case "strip", "lstrip", "rstrip":
            let characters = try optionalText(first, name)
            return .string(text.stripped(characters, left: name != "rstrip", right: name != "lstrip"))
        case "split", "rsplit":
            let separator = try optionalText(arguments.value(0, "sep"), name)
            let limit = try integer(arguments.value(1, "maxsplit"), name) ?? -1
            guard separator?.isEmpty != true else { throw fail("\(name): the separator is empty") }
            let note = { [unowned self] in try take(elements: 1) }
            let parts =
                try name == "split" ? text.split(separator, limit, note) : text.splitFromEnd(separator, limit, note)
            return .list(parts.map(Value.string))
        case "splitlines":
            let keepsEnds = try arguments.value(0, "keepends").map(isTrue) ?? false
            let parts = text.lines(keepsEnds: keepsEnds)
            try take(elements: parts.count)
            return .list(parts.map(Value.string))
        case "partition", "rpartition":
            let separator = try self.text(first, name)
            guard !separator.isEmpty else { throw fail("\(name): the separator is empty") }
            guard let range = name == "partition" ? text.firstRange(of: separator) : text.lastRange(of: separator)
            else {
                let empty = Value.text("")
                return .tuple(name == "partition" ? [.string(text), empty, empty] : [empty, empty, .string(text)])
            }
            return .tuple([
                .string(Text(text.bytes[..<range.lowerBound])), .string(separator),
                .string(Text(text.bytes[range.upperBound...])),
            ])
        case "startswith", "endswith":
            let candidates: [Value] = if case .tuple(let values)? = first { values } else { [first ?? .none] }
            let part = try stretch(
                of: text,
                second,
                arguments.positional.count > 2 ? arguments.positional[2] : nil,
                name
            )
            for candidate in candidates {
                let affix = try self.text(candidate, name)
                guard let part else { continue }
                let slice = Text(text.bytes[part])
                if name == "startswith" ? slice.hasPrefix(affix) : slice.hasSuffix(affix) { return .bool(true) }
            }
            return .bool(false)
        case "removeprefix":
            let affix = try self.text(first, name)
            return .string(text.hasPrefix(affix) ? Text(text.bytes[affix.bytes.count...]) : text)
        case "removesuffix":
            let affix = try self.text(first, name)
            return .string(text.hasSuffix(affix) ? Text(text.bytes.dropLast(affix.bytes.count)) : text)
        case "replace":
            let (old, new) = (try self.text(first, name), try self.text(second, name))
            let limit = try integer(arguments.value(2, "count"), name) ?? -1
            return .string(try replaced(text, old, by: new, limit: limit))
        case "find", "rfind", "index", "rindex", "count":
            return .int(try search(name, text, arguments))
        case "join":
            guard let first else { throw fail("join needs values") }
            let parts = try elements(of: first).map { try self.text($0, name) }
            return .string(try joined(parts, by: text))
        case "ljust", "rjust", "center", "zfill":
            let width = try size(first ?? .none, "\(name): the width")
            return .string(try padded(text, name, width, fill: try second.map { try self.text($0, name) } ?? Text(" ")))
        case "expandtabs":
            return .string(
                try tabsExpanded(
                    text,
                    size: try arguments.value(0, "tabsize").map { try size($0, name, limit: 1000) } ?? 8
                )
            )
        case "format": return .string(try formatted(text, arguments))
        default:
            try take(steps: text.bytes.count / 16)
            if let result = text.recased(name) { return .string(result) }
            if let result = text.passes(name) { return .bool(result) }
            throw fail("strings have no method '\(name)'")
        }
    }

    /// The bytes between two positions counted in characters; nil where the start lies behind the end of the text.
    private func stretch(of text: Text, _ start: Value?, _ stop: Value?, _ method: String) throws -> Range<Int>? {
        func number(_ value: Value?) throws -> Int? {
            if case .none? = value { return nil }
            return try integer(value, method)
        }
        let (start, stop) = (try number(start), try number(stop))
        guard start != nil || stop != nil else { return 0..<text.bytes.count }
        let count = text.count
        func place(_ number: Int) -> Int { number < 0 ? max(0, number < -count ? 0 : number + count) : number }
        let from = place(start ?? 0)
        let to = min(count, place(stop ?? count))
        guard from <= to else { return nil }
        return text.byteOffset(ofCharacter: from)..<text.byteOffset(ofCharacter: to)
    }

    private func search(_ name: String, _ text: Text, _ arguments: CallArguments) throws -> Int {
        let needle = try self.text(arguments.positional.first, name)
        let bounds = arguments.positional.dropFirst().map { $0 }
        try take(steps: text.bytes.count / 16)
        let part = try stretch(of: text, bounds.first, bounds.count > 1 ? bounds[1] : nil, name)
        guard let part else {
            if name == "index" || name == "rindex" { throw fail("\(name): the text is not found") }
            return name == "count" ? 0 : -1
        }
        let slice = Text(text.bytes[part])
        if name == "count" {
            guard !needle.isEmpty else { return slice.count + 1 }
            var (count, position) = (0, 0)
            while let range = slice.firstRange(of: needle, from: position) {
                (count, position) = (count + 1, range.upperBound)
            }
            return count
        }
        guard let range = name.hasPrefix("r") ? slice.lastRange(of: needle) : slice.firstRange(of: needle) else {
            if name == "index" || name == "rindex" { throw fail("\(name): the text is not found") }
            return -1
        }
        return Text(text.bytes[..<(part.lowerBound + range.lowerBound)]).count
    }

    func replaced(_ text: Text, _ old: Text, by new: Text, limit: Int) throws -> Text {
        var result = Text(bytes: [])
        var left = limit < 0 ? Int.max : limit
        func note(_ result: Text) throws { try take(bytes: result.bytes.count) }
        if old.isEmpty {
            let characters = text.characters
            try take(elements: characters.count)
            try take(bytes: (characters.count + 1).multipliedReportingOverflow(by: new.bytes.count).partialValue)
            for (index, character) in characters.enumerated() {
                if index < left { result.bytes += new.bytes }
                result.bytes += character.bytes
            }
            if characters.count < left { result.bytes += new.bytes }
            return result
        }
        var position = 0
        while left > 0, let range = text.firstRange(of: old, from: position) {
            result.bytes += text.bytes[position..<range.lowerBound]
            try take(bytes: new.bytes.count)
            result.bytes += new.bytes
            position = range.upperBound
            left -= 1
        }
        result.bytes += text.bytes[position...]
        try note(result)
        return result
    }

    func joined(_ parts: [Text], by separator: Text) throws -> Text {
        let size = parts.reduce(max(0, parts.count - 1) * separator.bytes.count) { $0 + $1.bytes.count }
        try take(bytes: size)
        var result = Text(bytes: [])
        for (index, part) in parts.enumerated() {
            if index > 0 { result.bytes += separator.bytes }
            result.bytes += part.bytes
        }
        return result
    }

    func padded(_ text: Text, _ method: String, _ width: Int, fill: Text) throws -> Text {
        guard fill.count == 1 else { throw fail("\(method): the fill is not a single character") }
        let missing = width - text.count
        guard missing > 0 else { return text }
        try take(bytes: missing * fill.bytes.count)
        func padding(_ count: Int) -> [UInt8] { Array((0..<count).map { _ in fill.bytes }.joined()) }
        switch method {
        case "ljust": return Text(bytes: text.bytes + padding(missing))
        case "rjust": return Text(bytes: padding(missing) + text.bytes)
        case "zfill":
            let hasSign = text.bytes.first == UInt8(ascii: "-") || text.bytes.first == UInt8(ascii: "+")
            let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: missing)
            return Text(bytes: text.bytes.prefix(hasSign ? 1 : 0) + zeros + text.bytes.dropFirst(hasSign ? 1 : 0))
        default:
            // The odd one goes to the left where the width is odd.
            let left = missing / 2 + (missing & width & 1)
            return Text(bytes: padding(left) + text.bytes + padding(missing - left))
        }
    }

    private func tabsExpanded(_ text: Text, size: Int) throws -> Text {
        var result = Text(bytes: [])
        var column = 0
        for scalar in text.scalars {
            switch scalar {
            case "\t":
                let count = size > 0 ? size - column % size : 0
                try take(bytes: count)
                result.bytes += [UInt8](repeating: 0x20, count: count)
                column += count
            default:
                result.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return result
    }
}
