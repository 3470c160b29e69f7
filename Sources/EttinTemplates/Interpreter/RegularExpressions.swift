// The filter `regex_replace` of the evaluation harness.

extension Interpreter {
    /// `re.sub(pattern, repl, string, count)`.
    func replacedByExpression(_ value: Value, _ arguments: CallArguments) throws -> Text {
        guard case .string(let pattern)? = arguments.value(0, "pattern"),
            case .string(let replacement)? = arguments.value(1, "repl")
        else { throw fail("regex_replace needs a pattern and a replacement") }
        let text = try string(of: value)
        let limit = try arguments.value(2, "count").map { try size($0, "regex_replace: the count") } ?? 0
        try take(bytes: 4 * text.bytes.count)
        // The parser of patterns recurses.
        guard pattern.bytes.count <= 1000, pattern.bytes.count(where: { $0 == UInt8(ascii: "(") }) <= 50 else {
            throw fail("regex_replace: the pattern is longer than 1000 bytes or has more than 50 parentheses")
        }
        let expression: Regex<AnyRegexOutput>
        do {
            expression = try Regex(pattern.string).matchingSemantics(.unicodeScalar)
        } catch {
            throw fail("regex_replace: the pattern \"\(pattern.string)\" is not supported")
        }
        let string = text.string
        var result = Text(bytes: [])
        var position = string.startIndex
        var count = 0
        for match in string.matches(of: expression) where limit == 0 || count < limit {
            count += 1
            result.bytes += string[position..<match.range.lowerBound].utf8
            try append(replacement, groups: match.output.map { $0.substring }, to: &result)
            position = match.range.upperBound
            try take(bytes: result.bytes.count / 16)
        }
        result.bytes += string[position...].utf8
        return result
    }

    /// Appends a replacement, in which `\1` and `\g<1>` stand for groups.
    private func append(_ replacement: Text, groups: [Substring?], to result: inout Text) throws {
        func appendGroup(_ number: Int) throws {
            guard groups.indices.contains(number) else { throw fail("regex_replace: there is no group \(number)") }
            result.bytes += (groups[number] ?? "").utf8
        }
        let scalars = Array(replacement.scalars)
        var position = 0
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            guard scalar == "\\", position < scalars.count else {
                result.append(scalar)
                continue
            }
            let next = scalars[position]
            position += 1
            switch next {
            case "n": result.append("\n")
            case "t": result.append("\t")
            case "r": result.append("\r")
            case "\\": result.append("\\")
            case "0"..."9":
                var number = Int(next.value - 48)
                if position < scalars.count, ("0"..."9").contains(scalars[position]) {
                    number = number * 10 + Int(scalars[position].value - 48)
                    position += 1
                }
                try appendGroup(number)
            case "g":
                guard position < scalars.count, scalars[position] == "<",
                    let end = scalars[position...].firstIndex(of: ">"),
                    let number = Int(String(String.UnicodeScalarView(scalars[(position + 1)..<end])))
                else { throw fail("regex_replace: groups with names are not supported in the replacement") }
                position = end + 1
                try appendGroup(number)
            default:
                result.append("\\")
                result.append(next)
            }
        }
    }
}
